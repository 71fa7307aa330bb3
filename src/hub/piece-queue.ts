import type { ByteSink } from '../http/byte-socket.ts';
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
  readonly #onWait: (ms: number) => void;
  #queued = 0;
  #gathering: Piece | undefined;
  #since = 0;
  #ended = false;
  #failure: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeSource: (() => void) | undefined;

  /**
   * @param source fills the memory that it is given, and waits where it is asked to.
   * @param onWait told how long the reader has waited for a piece, in ms.
   */
  constructor(
    source: (sink: ByteSink) => Promise<void>,
    limit: number,
    pool: PiecePool,
    onWait: (ms: number) => void = () => {},
  ) {
    this.#limit = limit;
    this.#pool = pool;
    this.#onWait = onWait;
    source({ room: () => this.#room(), took: (bytes) => this.#took(bytes) }).then(
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
        const since = performance.now();
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
        this.#wakeReader = undefined;
        this.#onWait(performance.now() - since);
      }
    }
  }

  #room(): Buffer {
    this.#gathering ??= { buffer: this.#pool.take(), filled: 0 };
    return this.#gathering.buffer.subarray(this.#gathering.filled);
  }

  #took(bytes: number): Promise<void> | undefined {
    const piece = this.#gathering as Piece;
    if (piece.filled === 0) this.#since = performance.now();
    piece.filled += bytes;
    const late = this.#wakeReader !== undefined && performance.now() - this.#since > gatherMs;
    if (piece.filled === pieceSize || late) this.#flush();
    if (this.#queued < this.#limit) return undefined;
    return new Promise((resolve) => {
      this.#wakeSource = resolve;
    });
  }

  #flush(): void {
    const piece = this.#gathering;
    this.#gathering = undefined;
    if (!piece) return;
    if (piece.filled === 0) {
      this.#pool.give(piece.buffer);
      return;
    }
    this.#pieces.push(piece);
    this.#queued += piece.filled;
    this.#wakeReader?.();
  }

  #end(failure?: unknown): void {
    this.#flush();
    this.#ended = true;
    this.#failure = failure;
    this.#wakeReader?.();
  }
}
