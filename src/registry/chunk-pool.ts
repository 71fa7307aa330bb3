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
