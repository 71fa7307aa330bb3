/** How often a log says something of whatever is going on, ms. */
const every = 5000;

/** How often it is looked whether something is due, ms; half of it is the tolerance for a late timer. */
const tick = 1000;

/** Sees to it that a log has one line every 5 s of each subject, whether or not anything happens to it. */
export class Cadence {
  readonly #now: () => number;
  readonly #toldAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Calls `tell` with every subject that is due; that counts as told. The timer keeps no process alive. */
  start(tell: (subject: string) => void): void {
    this.#timer = setInterval(() => {
      const now = this.#now();
      for (const [subject, toldAt] of this.#toldAt) {
        if (now - toldAt < every - tick / 2) continue;
        this.#toldAt.set(subject, now);
        tell(subject);
      }
    }, tick);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#toldAt.clear();
  }

  /** A line about this subject was written just now, so its next one is due in 5 s. */
  told(subject: string): void {
    this.#toldAt.set(subject, this.#now());
  }

  forget(subject: string): void {
    this.#toldAt.delete(subject);
  }
}
