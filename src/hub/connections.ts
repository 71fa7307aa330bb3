/** Connections at first: a CDN gives each of them less than the link has, and registries take what eight bring. */
const first = 8;
const most = 32;
/** Two looks are at least so many ms apart. */
const lookEveryMs = 250;
/** Readers that wait so much of their time for the hub would take more. */
const starving = 0.25;
/** What more connections must bring, of what they would if all were as fast as those before. */
const worthwhile = 0.4;
/** A number that was not worth it is not tried again for so many looks: links change. */
const restLooks = 40;

/** What one look has seen. */
interface Seen {
  /** Bytes a second. */
  rate: number;
  /** Part of the readers' time in which they waited, 0 to 1. */
  waiting: number;
}

interface Trial {
  from: number;
  rate: number;
  /** The first look after a change sees connections being made. */
  settled: boolean;
}

/**
 * How many connections to the hub there are for all files together: more as long as more bring more, because what one of
 * them is worth differs from CDN to CDN. They grow only while somebody waits for the hub.
 */
export class ConnectionCount {
  now = first;
  #trial: Trial | undefined;
  #rest = 0;
  #bytes = 0;
  #waitedMs = 0;
  #since = performance.now();

  took(bytes: number): void {
    this.#bytes += bytes;
  }

  waited(ms: number): void {
    this.#waitedMs += ms;
  }

  /** Looks whether the number is right. @param readers at work now. */
  look(readers: number): void {
    const ms = performance.now() - this.#since;
    if (ms < lookEveryMs) return;
    const seen = { rate: (this.#bytes * 1000) / ms, waiting: this.#waitedMs / ms / Math.max(1, readers) };
    this.#bytes = 0;
    this.#waitedMs = 0;
    this.#since += ms;
    this.#decide(seen);
  }

  #decide({ rate, waiting }: Seen): void {
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
    if (this.#rest > 0 || waiting < starving || this.now >= most) return;
    this.#trial = { from: this.now, rate, settled: false };
    this.now = Math.min(most, Math.ceil(this.now * 1.5));
  }
}
