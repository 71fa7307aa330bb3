/** Pieces handed on, in bytes: what arrives in TLS records of 16 KiB costs less to hash and send when gathered. */
const pieceSize = 256 * 1024;
/** A slow source is not held back to fill a piece for longer than this, in ms. */
const gatherMs = 50;

/** Pulls a source ahead of its reader, up to `limit` bytes, and gathers its chunks into larger pieces. */
export class PieceQueue {
  readonly #pieces: Buffer[] = [];
  readonly #limit: number;
  #queued = 0;
  #gathering: Buffer | undefined;
  #filled = 0;
  #since = 0;
  #ended = false;
  #failure: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeSource: (() => void) | undefined;

  constructor(source: AsyncIterable<Buffer>, limit: number) {
    this.#limit = limit;
    this.#pull(source).then(
      () => this.#end(),
      (error) => this.#end(error),
    );
  }

  async *read(): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        this.#queued -= piece.length;
        this.#wakeSource?.();
        yield piece;
      } else if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  async #pull(source: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of source) {
      this.#gather(chunk);
      while (this.#queued >= this.#limit) {
        await new Promise<void>((resolve) => {
          this.#wakeSource = resolve;
        });
      }
    }
  }

  #gather(chunk: Buffer): void {
    if (chunk.length >= pieceSize / 2) {
      this.#flush();
      this.#push(chunk);
      return;
    }
    if (this.#filled + chunk.length > pieceSize) this.#flush();
    if (!this.#gathering) {
      this.#gathering = Buffer.allocUnsafeSlow(pieceSize);
      this.#since = performance.now();
    }
    chunk.copy(this.#gathering, this.#filled);
    this.#filled += chunk.length;
    if (performance.now() - this.#since > gatherMs) this.#flush();
  }

  #flush(): void {
    if (this.#gathering && this.#filled > 0) this.#push(this.#gathering.subarray(0, this.#filled));
    this.#gathering = undefined;
    this.#filled = 0;
  }

  #push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#queued += piece.length;
    this.#wakeReader?.();
  }

  #end(failure?: unknown): void {
    this.#flush();
    this.#ended = true;
    this.#failure = failure;
    this.#wakeReader?.();
  }
}
