import { createHash } from 'node:crypto';
import { type Sha256, type Sha256State, sha256Engine } from './sha256.ts';

/**
 * What the hub recorded of a file's bytes: the SHA-256 of an LFS file, or the git object id of any other
 * (SHA-1 over `blob <size>\0` and the bytes; git-hash-object(1)).
 */
export type ContentId = `sha256:${string}` | `git:${string}`;

export function isContentId(text: string): text is ContentId {
  return /^sha256:[0-9a-f]{64}$|^git:[0-9a-f]{40}$/.test(text);
}

/** Hashes a file's bytes as its content id asks. Only a SHA-256 can be saved: git ids are of small files, read again. */
export interface ContentHash {
  update(bytes: Uint8Array): void;
  /** Where it is one: it can be updated together with another, by their engine. */
  sha256?: Sha256;
  save(): Sha256State | undefined;
  /** The content id of the bytes seen. */
  id(): ContentId;
}

export async function contentHash(
  expected: ContentId,
  size: number,
  from?: Sha256State,
): Promise<ContentHash> {
  if (expected.startsWith('git:')) {
    const sha1 = createHash('sha1').update(`blob ${size}\0`);
    return {
      update: (bytes) => sha1.update(bytes),
      save: () => undefined,
      id: () => `git:${sha1.digest('hex')}`,
    };
  }
  const sha256: Sha256 = await (await sha256Engine()).create(from);
  return {
    sha256,
    update: (bytes) => sha256.update(bytes),
    save: () => sha256.save(),
    id: () => `sha256:${sha256.digest()}`,
  };
}
