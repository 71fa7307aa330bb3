/**
 * One piece of work for all who want its result while it is under way. Who stops waiting does not stop the others; when
 * the last one has gone, the work is stopped.
 */
export class Refresh<T> {
  readonly #result: Promise<T>;
  readonly #abort = new AbortController();
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#abort.signal);
    // Those who wait are told; with nobody left, a failure is nobody's.
    this.#result.catch(() => {});
  }

  /** Nobody waits any more: it is done, or given up. */
  get over(): boolean {
    return this.#abort.signal.aborted;
  }

  /**
   * @param signal not aborted yet.
   * @throws what the work threw, or the signal's reason.
   */
  async wait(signal?: AbortSignal): Promise<T> {
    const stopped = Promise.withResolvers<never>();
    const stop = () => stopped.reject(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    this.#waiting += 1;
    try {
      return await Promise.race([this.#result, stopped.promise]);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#abort.abort();
    }
  }
}
