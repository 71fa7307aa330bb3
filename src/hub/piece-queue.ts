import { type PiecePool, pieceSize } from './piece-pool.ts';

/** A reader that waits gets what is there after this time, in ms, full piece or not. */
const gatherMs = 50;

interface Piece {
  buffer: Buffer;
  filled: number;
}

/** Pulls a source ahead of its reader, up to `limit` bytes, and gathers its chunks into larger pieces. */
export class PieceQueue {
  readonly #pieces: Piece[] = [];
  readonly #limit: number;
  readonly #pool: PiecePool;
  #queued = 0;
  #gathering: Piece | undefined;
  #spent: Buffer | undefined;
  #since = 0;
  #ended = false;
  #failure: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeSource: (() => void) | undefined;

  /** @param source gives its chunks away to the function that it is called with, which may ask it to wait. */
  constructor(
    source: (sink: (chunk: Buffer) => Promise<void> | undefined) => Promise<void>,
    limit: number,
    pool: PiecePool,
  ) {
    this.#limit = limit;
    this.#pool = pool;
    source((chunk) => this.#take(chunk)).then(
      () => this.#end(),
      (error) => this.#end(error),
    );
  }

  /** A piece is valid until the next one is asked for. */
  async *read(): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        this.#queued -= piece.filled;
        this.#wakeSource?.();
        yield piece.buffer.subarray(0, piece.filled);
        this.#pool.give(piece.buffer);
      } else if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
        this.#wakeReader = undefined;
      }
    }
  }

  #take(chunk: Buffer): Promise<void> | undefined {
    this.#gather(chunk);
    // Not this one yet: it may come from within undici's parser, which looks at it once more.
    if (this.#spent) release(this.#spent);
    this.#spent = chunk;
    if (this.#queued < this.#limit) return undefined;
    return new Promise((resolve) => {
      this.#wakeSource = resolve;
    });
  }

  #gather(chunk: Buffer): void {
    for (let taken = 0; taken < chunk.length; ) {
      if (!this.#gathering) {
        this.#gathering = { buffer: this.#pool.take(), filled: 0 };
        this.#since = performance.now();
      }
      const piece = this.#gathering;
      const copied = chunk.copy(piece.buffer, piece.filled, taken);
      piece.filled += copied;
      taken += copied;
      const late = this.#wakeReader !== undefined && performance.now() - this.#since > gatherMs;
      if (piece.filled === pieceSize || late) this.#flush();
    }
  }

  #flush(): void {
    const piece = this.#gathering;
    this.#gathering = undefined;
    if (!piece) return;
    this.#pieces.push(piece);
    this.#queued += piece.filled;
    this.#wakeReader?.();
  }

  #end(failure?: unknown): void {
    this.#flush();
    if (this.#spent) release(this.#spent);
    this.#spent = undefined;
    this.#ended = true;
    this.#failure = failure;
    this.#wakeReader?.();
  }
}

/**
 * Frees a chunk's memory at once. Left to the garbage collector, 64 KiB for each read make V8 mark its whole heap every
 * 32 MiB or so: a quarter of the CPU time of a push, and 50 MiB more resident memory.
 */
function release({ buffer, byteOffset, length }: Buffer): void {
  // What is before it in the same read is done with: the answer's headers, chunks that came earlier. What is behind is not.
  const isLast = byteOffset + length === buffer.byteLength;
  // Node's pool of small buffers gives away less than half of itself at once.
  const isOwn = byteOffset === 0 || length >= Buffer.poolSize / 2;
  if (isLast && isOwn) (buffer as ArrayBuffer).transfer(0);
}
