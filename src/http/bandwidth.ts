import type { ByteSink } from './byte-socket.ts';

/** What was not used for so long (ms) may be made up for at once: timers that fire late, and a short silence. */
const burstMs = 100;
/** A portion takes so long (ms) at the full rate, */
const portionMs = 50;
/** and has so many bytes: at most what is handed over at once anyway, and not so few that the waits cost more than they. */
const portions = { least: 512, most: 512 * 1024 };

/**
 * A token bucket in bytes, shared by everyone who reads, or sends, under one cap; in its turn each gets a portion.
 * What is kept is the time when the next byte may pass, which comes to the same as tokens (ITU-T I.371, GCRA).
 */
export class Bandwidth {
  readonly bytesPerSecond: number;
  /** Bytes that pass at once, at most. */
  readonly portion: number;
  /** When all that has been let through will have taken its time, on the clock of `performance`. */
  #due = 0;
  #lifted = false;
  readonly #waiting = new Set<() => void>();

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
    const wanted = Math.floor((bytesPerSecond * portionMs) / 1000);
    this.portion = Math.min(portions.most, Math.max(portions.least, wanted));
  }

  /**
   * Lets bytes through, one after the other in the order asked.
   * @param signal ends the wait; what that means is for whoever listens to it as well.
   * @returns how long to wait: until these bytes will have taken their time; `undefined` for not at all.
   */
  pass(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    if (this.#lifted || signal?.aborted) return undefined;
    const now = performance.now();
    this.#due = Math.max(this.#due, now - burstMs) + (bytes / this.bytesPerSecond) * 1000;
    return this.#due > now ? this.#wait(this.#due - now, signal) : undefined;
  }

  /** A request's body, portion by portion. Pieces may be large: cut up, no connection is silent for as long as one takes. */
  async *sending(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      for (let at = 0; at < piece.length; ) {
        const portion = this.#lifted ? piece.subarray(at) : piece.subarray(at, at + this.portion);
        await this.pass(portion.length, signal);
        at += portion.length;
        yield portion;
      }
    }
  }

  /** A sink that an answer's bytes come into no faster than that. */
  reading(sink: ByteSink, signal: AbortSignal | undefined): ByteSink {
    return {
      room: () => sink.room()?.subarray(0, this.portion),
      took: (bytes) => {
        const held = sink.took(bytes);
        const paid = this.pass(bytes, signal);
        return held && paid ? Promise.all([held, paid]).then(() => {}) : (held ?? paid);
      },
    };
  }

  /** Nothing is held back any more: what is in hand may be brought to its end. */
  lift(): void {
    this.#lifted = true;
    for (const go of this.#waiting) go();
  }

  #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', go);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = setTimeout(go, ms);
      signal?.addEventListener('abort', go, { once: true });
      this.#waiting.add(go);
    });
  }
}
