import { addPhases, type BodyPhase, noPhases, type Phases } from './phases.ts';

/** Shortest time between two tellings, in ms: a layer changes its phase hundreds of times a second. */
const tellEveryMs = 250;

/** Measures how long a transfer is in each of its phases. It begins in `registry`, where the upload is opened. */
export class PhaseClock {
  /** Seconds of each phase so far. */
  readonly spent = noPhases();
  readonly #tell: (spent: Phases, until: number) => void;
  #untold = noPhases();
  #phase: BodyPhase = 'registry';
  #since = performance.now();
  #toldAt = this.#since;
  #waitingUntil = 0;
  #over = false;

  /** @param tell gets what was spent since it was called before, and until when, in ms of `performance.now()`. */
  constructor(tell: (spent: Phases, until: number) => void) {
    this.#tell = tell;
  }

  enter(phase: BodyPhase): void {
    const now = this.#settle();
    this.#phase = phase;
    if (now - this.#toldAt >= tellEveryMs) this.#tellAt(now);
  }

  /** A delay of our own begins, in ms. Whatever goes on meanwhile, it is what holds the transfer up. */
  wait(ms: number): void {
    this.#waitingUntil = this.#settle() + ms;
  }

  /** Tells now: something happens that is to be seen in its place. */
  tell(): void {
    this.#tellAt(this.#settle());
  }

  /** Tells for the last time: the transfer is over, though a source that was left may still end. */
  stop(): void {
    this.tell();
    this.#over = true;
  }

  #settle(): number {
    const now = performance.now();
    const waited = Math.max(0, Math.min(now, this.#waitingUntil) - this.#since);
    this.#untold.waiting += waited / 1000;
    this.#untold[this.#phase] += (now - this.#since - waited) / 1000;
    this.#since = now;
    return now;
  }

  #tellAt(now: number): void {
    if (this.#over) return;
    const told = this.#untold;
    addPhases(this.spent, told);
    this.#untold = noPhases();
    this.#toldAt = now;
    this.#tell(told, now);
  }
}
