import { BoxcarError } from '../errors.ts';
import { modelcarImage, type Plan } from '../formats/modelcar.ts';
import { unsafeFiles } from '../formats/unsafe.ts';
import type { ModelFile } from '../hub/model-file.ts';
import { layerSize } from '../layer/layer.ts';
import { digestOf } from '../oci/digest.ts';

/** What a target can take, in bytes. */
export interface Limits {
  layer?: number;
  manifest?: number;
}

/** Paths that a message names; the rest are counted. */
const named = 10;

/** @throws BoxcarError `usage` for an image that the target would refuse in the end: said before the first byte moves. */
export function checkLimits(plan: Plan, limits: Limits, target: string): void {
  const { layer: layerLimit = Number.POSITIVE_INFINITY, manifest = Number.POSITIVE_INFINITY } = limits;
  const large = plan.layers.filter((layer) => layerSize(layer) > layerLimit).map(({ path }) => path);
  if (large.length > 0) {
    throw refused(
      `${target} takes layers of at most ${gib(layerLimit)}, and ${listed(large)} ${large.length > 1 ? 'are' : 'is'} larger`,
      'leave them out with --exclude, or, if the registry is known to take them after all, give --dialect standard',
    );
  }
  const placeholder = digestOf(Buffer.alloc(0));
  const { bytes } = modelcarImage(
    plan,
    plan.layers.map(() => placeholder),
  ).manifest;
  if (bytes.length > manifest) {
    throw refused(
      `the manifest of ${plan.layers.length} layers would have ${bytes.length} bytes, and registries take ${manifest}`,
      'publish fewer files: --include, --exclude, --weights',
    );
  }
}

/** @throws BoxcarError `unsafe` where `--deny-unsafe` refuses files; `tell` gets each of them. */
export async function denyUnsafe(
  files: ModelFile[],
  head: (file: ModelFile) => Promise<Uint8Array>,
  tell: (message: string) => void,
): Promise<void> {
  const found = await unsafeFiles(files, head);
  if (found.length === 0) return;
  for (const { path, why } of found) tell(`unsafe: ${path} (${why})`);
  const paths = listed(found.map(({ path }) => path));
  throw new BoxcarError(`${found.length} of ${files.length} files are unsafe: ${paths}`, {
    code: 'unsafe',
    side: 'hub',
    hint: 'publish without them: --weights safetensors, or --exclude; nothing was published',
  });
}

function refused(message: string, hint: string): BoxcarError {
  return new BoxcarError(message, { code: 'usage', side: 'local', hint });
}

function listed(words: string[]): string {
  const more = words.length - named;
  return words.slice(0, named).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
