import { createHash } from 'node:crypto';
import type { FileSpec, Model } from './hub/model.ts';

/** A commit id that is always the same for the same words. */
export function commitId(words: string): string {
  return createHash('sha1').update(words).digest('hex');
}

/** The newest commit's id: what `main` stands for. */
export function headOf(model: Model): string {
  const head = model.commits[0];
  if (!head) throw new Error(`${model.name} has no commits`);
  return head.id;
}

/** The files of the newest commit. */
export function filesOf(model: Model): Record<string, FileSpec> {
  return model.commits[0]?.files ?? {};
}

const gitattributes = '*.safetensors filter=lfs diff=lfs merge=lfs -text\n';

const readme = `---
license: apache-2.0
language: en
pipeline_tag: text-generation
---
# A small model

It says nothing, in ${'very '.repeat(20)}few words.
`;

/** Over 100 bytes, and longer than a ustar name can be as one piece. */
export const longName = `nested/${'a-name-that-does-not-fit-into-a-tar-header-'.repeat(3)}.json`;
export const unicodeName = 'Größe/模型 №1.txt';

/**
 * Ten files, one of each awkward kind: empty, one byte, nested, beyond ASCII, too long for a tar header, and two
 * in LFS whose sizes are no multiple of anything. Two commits: the older, tagged `v1.0`, has another config.json.
 */
export function tinyModel(name = 'acme/tiny'): Model {
  const files: Record<string, FileSpec> = {
    '.gitattributes': gitattributes,
    'README.md': readme,
    'config.json': JSON.stringify({ architectures: ['TinyForCausalLM'], hidden_size: 64, vocab_size: 512 }),
    'empty.txt': '',
    'one-byte.bin': 'x',
    'tokenizer/vocab.json': JSON.stringify({ a: 0, b: 1 }),
    [unicodeName]: 'pi is not 3\n',
    [longName]: '{}',
    'model-00001-of-00002.safetensors': safetensors(1_000_003, 1),
    'model-00002-of-00002.safetensors': safetensors(2_500_077, 2),
  };
  return {
    name,
    commits: [
      { id: commitId(`${name} 2`), title: 'Widen', date: '2025-02-01T00:00:00.000Z', files },
      {
        id: commitId(`${name} 1`),
        title: 'Begin',
        date: '2025-01-01T00:00:00.000Z',
        files: { ...files, 'config.json': JSON.stringify({ hidden_size: 32 }) },
      },
    ],
    tags: { 'v1.0': commitId(`${name} 1`) },
    cardData: { license: 'apache-2.0', language: 'en', pipeline_tag: 'text-generation' },
    modelTags: ['safetensors', 'text-generation', 'license:apache-2.0'],
    pipelineTag: 'text-generation',
    libraryName: 'transformers',
  };
}

/** `files` shards of `size` bytes that exist nowhere, and a config.json. */
export function bigModel({ files = 4, size = 256 * 1024 * 1024, name = 'acme/big' } = {}): Model {
  const count = String(files).padStart(5, '0');
  const shards = Array.from({ length: files }, (_, index): [string, FileSpec] => [
    `model-${String(index + 1).padStart(5, '0')}-of-${count}.safetensors`,
    { size, seed: index + 1, lfs: true },
  ]);
  const config = JSON.stringify({ shards: files });
  return oneCommit(name, { 'config.json': config, ...Object.fromEntries(shards) });
}

/** So many small files in a few folders: what a tree of several pages looks like. */
export function manyFiles(count: number, name = 'acme/many'): Model {
  const files = Array.from({ length: count }, (_, index): [string, FileSpec] => [
    `part-${index % 7}/file-${String(index).padStart(6, '0')}.json`,
    `{"index":${index}}`,
  ]);
  return oneCommit(name, Object.fromEntries(files));
}

/** What a commit changes against the one before it. */
export type Change =
  /** The model card, to another length. */
  | 'readme'
  | {
      put?: Record<string, FileSpec>;
      /** Paths that get other content of the same size: a letter or digit of a text, a byte of what is binary. */
      rewrite?: string[];
      /** New paths by old ones; the content stays. */
      rename?: Record<string, string>;
      remove?: string[];
    };

/** A model whose first commit has `files`, and one more commit, an hour later, for each change; the last is `main`. */
export function history(name: string, files: Record<string, FileSpec>, changes: Change[]): Model {
  const commits = [{ id: commitId(`${name} 1`), title: 'Begin', date: hour(0), files }];
  for (const [index, change] of changes.entries()) {
    const number = index + 2;
    const title = change === 'readme' ? 'Update README.md' : `Change ${Object.keys(change).join(', ')}`;
    files = changed(files, change, number);
    commits.push({ id: commitId(`${name} ${number}`), title, date: hour(number), files });
  }
  return { name, commits: commits.reverse() };
}

function changed(before: Record<string, FileSpec>, change: Change, number: number): Record<string, FileSpec> {
  if (change === 'readme') return { ...before, 'README.md': `${readme}\nChange ${'I'.repeat(number)}.\n` };
  const files = { ...before, ...change.put };
  const take = (path: string): FileSpec => {
    const spec = files[path];
    if (spec === undefined) throw new Error(`there is no ${path} to change`);
    delete files[path];
    return spec;
  };
  for (const path of change.rewrite ?? []) files[path] = rewritten(take(path));
  for (const [from, to] of Object.entries(change.rename ?? {})) files[to] = take(from);
  for (const path of change.remove ?? []) take(path);
  return files;
}

function rewritten(spec: FileSpec): FileSpec {
  if (typeof spec === 'string') {
    const other = spec.replace(/[0-9a-z](?=[^0-9a-z]*$)/i, (last) => (last === '1' ? '2' : '1'));
    if (other === spec) throw new Error('no letter or digit to change');
    return other;
  }
  if (spec instanceof Uint8Array) {
    const bytes = Buffer.from(spec);
    bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.length - 1);
    return bytes;
  }
  if ('seed' in spec) return { ...spec, seed: spec.seed + 1_000_000 };
  return { ...spec, bytes: rewritten(spec.bytes) as string | Uint8Array };
}

function hour(number: number): string {
  return new Date(Date.UTC(2025, 0, 1, number)).toISOString();
}

export function oneCommit(name: string, files: Record<string, FileSpec>): Model {
  return { name, commits: [{ id: commitId(`${name} 1`), files }] };
}

/** A valid safetensors file of exactly `size` bytes: a header that names one tensor, and the tensor's random bytes. */
export function safetensors(size: number, seed: number): Buffer {
  const headerSize = 120;
  const data = size - 8 - headerSize;
  const header = JSON.stringify({ weight: { dtype: 'U8', shape: [data], data_offsets: [0, data] } });
  const bytes = createHash('shake256', { outputLength: size }).update(`safetensors ${seed}`).digest();
  bytes.writeBigUInt64LE(BigInt(headerSize), 0);
  bytes.write(header.padEnd(headerSize), 8);
  return bytes;
}
