/** Samples closer together than this (ms) are one, so that a fast layer costs no more memory than a slow one. */
const grain = 100;

/** Below this (ms) a speed would be told from one or two bursts; the time is taken for this long. */
const shortest = 500;

/** Speed over a sliding window, from the bytes that moved and when. All times are ms of one clock. */
export class Rate {
  readonly #startedAt: number;
  readonly #windowMs: number;
  #samples: { at: number; bytes: number }[] = [];

  constructor(startedAt: number, windowMs = 5000) {
    this.#startedAt = startedAt;
    this.#windowMs = windowMs;
  }

  add(bytes: number, now: number): void {
    const last = this.#samples.at(-1);
    if (last && now - last.at < grain) {
      last.bytes += bytes;
      return;
    }
    this.#forget(now);
    this.#samples.push({ at: now, bytes });
  }

  /** Bytes per second; 0 when nothing moved within the window. */
  perSecond(now: number): number {
    this.#forget(now);
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, 0);
    const elapsed = Math.min(this.#windowMs, Math.max(shortest, now - this.#startedAt));
    return (bytes * 1000) / elapsed;
  }

  #forget(now: number): void {
    const kept = this.#samples.findIndex((sample) => now - sample.at < this.#windowMs);
    this.#samples = kept < 0 ? [] : this.#samples.slice(kept);
  }
}

/** Seconds until the bytes are through at this speed; undefined when nothing moves. */
export function secondsLeft(bytes: number, perSecond: number): number | undefined {
  return perSecond > 0 ? bytes / perSecond : undefined;
}
