import type { ModelFile } from '../hub/model-file.ts';

/** Why a file should not be trusted. */
export interface UnsafeFile {
  path: string;
  why: string;
}

/** Formats that are pickles, or archives of them: loading one runs the code in it. */
const pickled = /\.(pkl|pickle|dill|joblib|pt|pth|ckpt|distcp|skops)$/i;
/** A name that pickles share with other formats: the first bytes decide. */
const perhapsPickled = /\.(bin|dat|data|model)$/i;
/** Names under which only pickles are found. */
const torchNames =
  /(^|\/)((pytorch|adapter|diffusion_pytorch)_model[^/]*|training_args|optimizer|scheduler)\.bin$/i;

/** What the hub's scanners call a file that they warn of; anything else (safe, queued, unscanned) is no warning. */
const warnings = /^(unsafe|suspicious|dangerous|malicious|infected|caution)$/i;

/**
 * The files that `--deny-unsafe` refuses: pickles, by name or by their first bytes, and what the hub's scanners flag.
 * @param head gives a file's first four bytes.
 */
export async function unsafeFiles(
  files: ModelFile[],
  head: (file: ModelFile) => Promise<Uint8Array>,
): Promise<UnsafeFile[]> {
  const found: UnsafeFile[] = [];
  for (const file of files) {
    const { path, scan } = file;
    const flag = scannerFlag(scan);
    if (flag) found.push({ path, why: `the hub's scanner says ${flag}` });
    else if (pickled.test(path) || torchNames.test(path)) found.push({ path, why: 'a pickle, by its name' });
    else if (file.size > 1 && perhapsPickled.test(path) && isPickle(await head(file)))
      found.push({ path, why: 'a pickle, by its first bytes' });
  }
  return found;
}

/**
 * `{status: "unsafe", avScan: {...}, pickleImportScan: {...}}`, and its older form `{safe: false, avScan: {virusFound}}`
 * (the hub's tree with `expand`; huggingface_hub#2523).
 */
function scannerFlag(scan: unknown, depth = 0): string | undefined {
  if (typeof scan !== 'object' || scan === null || depth > 3) return undefined;
  for (const [key, value] of Object.entries(scan)) {
    if (typeof value === 'string' && /^(status|level|highestSafetyLevel)$/.test(key) && warnings.test(value))
      return value.toLowerCase();
    if (key === 'safe' && value === false) return 'unsafe';
    if (key === 'virusFound' && value === true) return 'infected';
    const inner = scannerFlag(value, depth + 1);
    if (inner) return inner;
  }
  return undefined;
}

/** Protocol 2 to 5 with a first opcode's frame or empty; protocol 0 has no mark. PyTorch's archives are zip files. */
function isPickle(head: Uint8Array): boolean {
  const [first, second] = head;
  const zip = first === 0x50 && second === 0x4b;
  return zip || (first === 0x80 && second !== undefined && second >= 2 && second <= 5);
}
