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

  /** A request body: a pull means that the previous piece was taken; the time that `source` takes does not count. */
  async *sending(source: AsyncIterable<Uint8Array>, answerMs = this.#limitMs): AsyncGenerator<Uint8Array> {
    this.#pause();
    for await (const piece of source) {
      this.#restart(this.#limitMs);
      yield piece;
      this.#pause();
    }
    this.#restart(answerMs);
  }

  /** An answer's body: each wait for its next piece is limited; the time that its reader takes does not count. */
  async *receiving(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    this.#restart(this.#limitMs);
    for await (const piece of source) {
      this.#pause();
      yield piece;
      this.#restart(this.#limitMs);
    }
    this.#pause();
  }

  /** The stall itself rather than the abort that it caused. */
  reasonFor(error: unknown): unknown {
    return this.#abort.signal.reason instanceof StallError ? this.#abort.signal.reason : error;
  }

  done(): void {
    this.#pause();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #pause(): void {
    clearTimeout(this.#timer);
  }

  #restart(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(new StallError(ms)), ms);
  }
}

export class StallError extends Error {
  constructor(ms: number) {
    super(`no progress for ${Math.round(ms / 1000)} s`);
  }
}
