import { createHash } from 'node:crypto';
import type { ContentId } from '../../src/digest/content-id.ts';
import type { LayerPlan, OpenFile } from '../../src/layer/layer.ts';
import { tarHeader } from '../../src/layer/tar.ts';

/** `size` bytes that are no two alike nearby, the same for the same arguments. */
export function fakeBytes(size: number, seed = 0): Buffer {
  return size === 0
    ? Buffer.alloc(0)
    : createHash('shake256', { outputLength: size }).update(`file ${seed}`).digest();
}

/** A layer of these bytes, known to the hub by their SHA-256 or git id. */
export async function layerOf(bytes: Uint8Array, path = 'dir/file.bin', kind = 'sha256'): Promise<LayerPlan> {
  const name = `models/${path}`;
  const contentId: ContentId =
    kind === 'git'
      ? `git:${createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')}`
      : `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { path, name, contentId, fileSize: bytes.length, header: await tarHeader(name, bytes.length) };
}

/** Serves bytes from any offset, `piece` at a time. */
export function source(bytes: Uint8Array, piece = 1000): OpenFile {
  return async function* (from) {
    for (let at = from; at < bytes.length; at += piece)
      yield bytes.subarray(at, Math.min(bytes.length, at + piece));
  };
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces));
}
