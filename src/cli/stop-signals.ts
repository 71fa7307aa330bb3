type StopSignal = 'SIGINT' | 'SIGTERM';

/** Exit statuses of a shell's command that a signal has ended: 128 and the signal's number. */
const exitCodes: Record<StopSignal, number> = { SIGINT: 130, SIGTERM: 143 };

/** The first SIGINT or SIGTERM asks the push to end cleanly, the second ends the process at once. */
export class StopSignals {
  readonly #abort = new AbortController();
  readonly #onStop: (name: StopSignal) => void;
  #first: StopSignal | undefined;

  constructor(onStop: (name: StopSignal) => void) {
    this.#onStop = onStop;
    process.on('SIGINT', this.#listen);
    process.on('SIGTERM', this.#listen);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get exitCode(): number {
    return exitCodes[this.#first ?? 'SIGINT'];
  }

  close(): void {
    process.off('SIGINT', this.#listen);
    process.off('SIGTERM', this.#listen);
  }

  readonly #listen = (name: NodeJS.Signals): void => {
    const stop = name as StopSignal;
    if (this.#first) process.exit(exitCodes[stop]);
    this.#first = stop;
    this.#abort.abort();
    this.#onStop(stop);
  };
}
