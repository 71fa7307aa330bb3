import { getDefaultHighWaterMark } from 'node:stream';

/** A piece of this size in bytes or more makes a socket's writer wait until it has drained. */
const drainSize = getDefaultHighWaterMark(false);

/** A timer that fires so much too late (ms) was asleep with the whole process, and the bytes that came meanwhile were not read. */
const oversleptMs = 1000;

/**
 * Finds silence: aborts a request when no byte has moved for `limitMs` in the direction that is ours to wait for.
 * Waiting for our own source is not silence of the other side, and no total time is ever limited
 * (restic's watchdog round tripper has the same idea).
 */
export class StallWatch {
  readonly #limitMs: number;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = 0;
  #since = 0;
  #done = false;

  constructor(limitMs: number, signal?: AbortSignal) {
    this.#limitMs = limitMs;
    this.#signal = signal;
    this.#onAbort = () => this.#abort.abort(signal?.reason);
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Starts the wait for an answer of at most `ms`; gives the signal that ends the request. */
  waiting(ms = this.#limitMs): AbortSignal {
    this.#restart(ms);
    return this.#abort.signal;
  }

  /**
   * A request body: a pull means that the previous piece was taken; the time that `source` takes does not count.
   * Its pieces are valid until the next one is asked for. undici asks when the socket has drained, which is at once after
   * a piece below the socket's high-water mark: such a small one is copied.
   */
  async *sending(source: AsyncIterable<Uint8Array>, answerMs = this.#limitMs): AsyncGenerator<Uint8Array> {
    this.pause();
    for await (const piece of source) {
      this.#restart(this.#limitMs);
      yield piece.length < drainSize ? Buffer.from(piece) : piece;
      this.pause();
    }
    this.#restart(answerMs);
  }

  /** A byte has come, or the wait for one begins. */
  progress(): void {
    this.#restart(this.#limitMs);
  }

  /** What is waited for is ours. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The stall itself rather than the abort that it caused. */
  reasonFor(error: unknown): unknown {
    return this.#abort.signal.reason instanceof StallError ? this.#abort.signal.reason : error;
  }

  /** No more waits: the body of a request that was cut may go on for a while. */
  done(): void {
    this.#done = true;
    this.pause();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #restart(ms: number): void {
    if (this.#done) return;
    this.#since = performance.now();
    if (this.#timer && ms === this.#waitMs) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#waitMs = ms;
    this.#timer = setTimeout(() => this.#fired(ms), ms);
  }

  #fired(ms: number): void {
    if (performance.now() - this.#since > ms + oversleptMs) this.#restart(ms);
    else this.#abort.abort(new StallError(ms));
  }
}

export class StallError extends Error {
  constructor(ms: number) {
    super(`no progress for ${Math.round(ms / 1000)} s`);
  }
}
