/** Bytes of a chunk that are handed over at once: progress is told, and silence noticed, between two of them. */
const sentAtOnce = 512 * 1024;

/**
 * Memory for chunks, used again: a chunk is as large as all that is read ahead of it, and left to the garbage collector
 * a few of them would lie about for each that is in use.
 */
export class ChunkPool {
  readonly #free: Buffer[] = [];

  /** At least `size` bytes, with whatever is in them. */
  take(size: number): Buffer {
    const fits = this.#free.findIndex((buffer) => buffer.length >= size);
    const [buffer] = fits < 0 ? [] : this.#free.splice(fits, 1);
    return buffer ?? Buffer.allocUnsafeSlow(size);
  }

  /** Gives one back. A request that was cut may still look at it: what that sends goes nowhere. */
  give(buffer: Buffer): void {
    this.#free.push(buffer);
  }
}

/** The memory of one layer's chunks, one at a time. */
export class ChunkMemory {
  readonly #pool: ChunkPool;
  #buffer: Buffer | undefined;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** For the next chunk; the one before is no longer valid. */
  of(size: number): Buffer {
    if (this.#buffer && this.#buffer.length < size) this.release();
    this.#buffer ??= this.#pool.take(size);
    return this.#buffer.subarray(0, size);
  }

  release(): void {
    if (this.#buffer) this.#pool.give(this.#buffer);
    this.#buffer = undefined;
  }
}

export async function* inPieces(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += sentAtOnce) yield chunk.subarray(at, at + sentAtOnce);
}
