import { addPhases, type BodyPhase, noPhases, type Phases } from './phases.ts';

/** Shortest time between two tellings, in ms: a layer changes its phase hundreds of times a second. */
const tellEveryMs = 250;

/** Measures how long a transfer is in each of its phases. It begins in `registry`, where the upload is opened. */
export class PhaseClock {
  /** Seconds of each phase so far. */
  readonly spent = noPhases();
  readonly #tell: (spent: Phases) => void;
  #untold = noPhases();
  #phase: BodyPhase = 'registry';
  #since = performance.now();
  #toldAt = this.#since;
  #waitingUntil = 0;

  /** @param tell gets what was spent since it was called before. */
  constructor(tell: (spent: Phases) => void) {
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

  /** Tells now: something happens that is to be seen in its place, or the transfer is over. */
  tell(): void {
    this.#tellAt(this.#settle());
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
    const told = this.#untold;
    addPhases(this.spent, told);
    this.#untold = noPhases();
    this.#toldAt = now;
    this.#tell(told);
  }
}
