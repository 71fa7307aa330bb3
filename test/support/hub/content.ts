import { createCipheriv, createHash } from 'node:crypto';

/** Bytes that can be read at any offset. */
export interface Content {
  readonly size: number;
  /** `length` bytes from `offset`, both inside the content. The result is the caller's. */
  read(offset: number, length: number): Buffer;
}

export function contentOf(bytes: string | Uint8Array): Content {
  const buffer =
    typeof bytes === 'string'
      ? Buffer.from(bytes)
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}

const pageSize = 4096;
const blockSize = 1024 * 1024;

/**
 * A file that exists only as a seed: one random block of 1 MiB, repeated, with the page's number stamped into the
 * first four bytes of every 4 KiB. So any range costs one copy, and no two pages are alike: a piece that
 * lands in the wrong place is found by its digest.
 */
export function virtualContent(size: number, seed: number): Content {
  const block = randomBlock(seed);
  return {
    size,
    read(offset, length) {
      const firstPage = Math.floor(offset / pageSize);
      const start = firstPage * pageSize;
      const pages = Math.ceil((offset + length - start) / pageSize);
      const out = Buffer.allocUnsafe(pages * pageSize);
      for (let filled = 0; filled < out.length; ) {
        filled += block.copy(out, filled, (start + filled) % blockSize);
      }
      for (let page = 0; page < pages; page++) out.writeUInt32LE((firstPage + page) >>> 0, page * pageSize);
      return out.subarray(offset - start, offset - start + length);
    },
  };
}

const blocks = new Map<number, Buffer>();

function randomBlock(seed: number): Buffer {
  let block = blocks.get(seed);
  if (!block) {
    const key = createHash('sha256').update(`virtual file ${seed}`).digest();
    block = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(blockSize));
    blocks.set(seed, block);
  }
  return block;
}

const digests = new Map<string, string>();

/** SHA-256 (hex) of the virtual file, computed once in this process: about 0.6 s a GiB. */
export function virtualSha256(size: number, seed: number): string {
  const key = `${size}:${seed}`;
  let digest = digests.get(key);
  if (!digest) {
    digest = sha256(virtualContent(size, seed));
    digests.set(key, digest);
  }
  return digest;
}

export function sha256(content: Content): string {
  const hash = createHash('sha256');
  for (let offset = 0; offset < content.size; offset += blockSize) {
    hash.update(content.read(offset, Math.min(blockSize, content.size - offset)));
  }
  return hash.digest('hex');
}

/** What git calls the content: sha1 of `blob <size>\0` and the bytes. */
export function gitBlobId(content: Content): string {
  return createHash('sha1')
    .update(`blob ${content.size}\0`)
    .update(content.read(0, content.size))
    .digest('hex');
}
