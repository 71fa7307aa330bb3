import { createHash } from 'node:crypto';

/** `sha256:<64 lower-case hex digits>` (image-spec, descriptor.md, "Digests"). boxcar writes no other algorithm. */
export type Digest = `sha256:${string}`;

const pattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** Digest of bytes that are in memory: configs and manifests. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
