/** Two looks are at least so many ms apart. */
const lookEveryMs = 250;
/** What a larger number must bring, of what it would if each of them were as fast as those before. */
const worthwhile = 0.4;
/** A number that was not worth it is not tried again for so many looks: lines change. */
const restLooks = 40;

interface Trial {
  from: number;
  /** Bytes a second before it. */
  rate: number;
  /** The first look after a change sees connections being made. */
  settled: boolean;
}

/**
 * How many of something (connections, layers in flight) are at work: more as long as more bring more bytes, because what
 * one of them is worth differs from server to server and from line to line.
 */
export class Growth {
  now: number;
  readonly #most: number;
  #trial: Trial | undefined;
  #rest = 0;
  #bytes = 0;
  #since = performance.now();

  constructor(first: number, most: number) {
    this.now = Math.min(first, most);
    this.#most = most;
  }

  /** So many bytes have come. */
  took(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Looks whether the number is right, where it is time to.
   * @param wanting whether more would have something to do, asked of the `ms` since the last look.
   */
  look(wanting: (ms: number) => boolean): void {
    const ms = performance.now() - this.#since;
    if (this.#most <= this.now && !this.#trial) return;
    if (ms < lookEveryMs) return;
    const rate = (this.#bytes * 1000) / ms;
    this.#bytes = 0;
    this.#since += ms;
    this.#decide(rate, wanting(ms));
  }

  #decide(rate: number, wanting: boolean): void {
    const trial = this.#trial;
    if (trial && !trial.settled) {
      trial.settled = true;
      return;
    }
    this.#trial = undefined;
    if (trial && rate <= trial.rate * (1 + worthwhile * (this.now / trial.from - 1))) {
      this.now = trial.from;
      this.#rest = restLooks;
    }
    this.#rest -= 1;
    if (this.#rest > 0 || !wanting || this.now >= this.#most) return;
    this.#trial = { from: this.now, rate, settled: false };
    this.now = Math.min(this.#most, Math.ceil(this.now * 1.5));
  }
}
