import { createCipheriv, createHash } from 'node:crypto';

const mib = 1024 * 1024;
const blockSize = 64 * mib;
/** Files begin at different places of the block, so that no two are the same blob: an odd multiple of 64 bytes. */
const shift = 5 * mib + 64;
/**
 * What is handed to the socket at once. Larger pieces are no cheaper for http; with TLS the client then pays for them, as
 * a piece is encrypted whole before the first byte of it leaves (NOTES.md).
 */
const sliceSize = mib;

/** A file of deterministic, incompressible bytes. */
export interface BenchFile {
  path: string;
  size: number;
  sha256: string;
}

/** One random block in memory, of which every file is a repetition: serving costs no more than handing out slices. */
export class Content {
  readonly #block = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'boxcar'), Buffer.alloc(16)).update(
    Buffer.alloc(blockSize),
  );
  readonly files: BenchFile[];
  /** By path. */
  readonly #indices: Map<string, number>;

  constructor(count: number, size: number) {
    const of = String(count).padStart(5, '0');
    this.files = Array.from({ length: count }, (_, index) => {
      const path = `model-${String(index + 1).padStart(5, '0')}-of-${of}.safetensors`;
      const hash = createHash('sha256');
      for (const slice of this.#slices(index, 0, size)) hash.update(slice);
      return { path, size, sha256: hash.digest('hex') };
    });
    this.#indices = new Map(this.files.map(({ path }, index) => [path, index]));
  }

  file(path: string): BenchFile | undefined {
    return this.files[this.#indices.get(path) ?? -1];
  }

  /** Bytes `from` to `to` (exclusive) of a file. */
  read(file: BenchFile, from: number, to: number): Generator<Buffer> {
    return this.#slices(this.#indices.get(file.path) ?? 0, from, to);
  }

  *#slices(index: number, from: number, to: number): Generator<Buffer> {
    for (let at = from; at < to; ) {
      const start = (at + index * shift) % blockSize;
      const slice = this.#block.subarray(start, start + Math.min(sliceSize, to - at));
      at += slice.length;
      yield slice;
    }
  }
}
