/** Exit statuses of a shell's command that a signal has ended: 128 and the signal's number. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

type StopSignal = keyof typeof exitCodes;

/**
 * The same signal so soon after (ms) is the same request: Ctrl-C reaches a program from the terminal and once more from
 * npm, `timeout` signals its command and then its whole group.
 */
const sameMs = 500;

/** The first signal asks the push to end cleanly, the second ends the process at once. */
export class StopSignals {
  readonly #abort = new AbortController();
  readonly #onStop: (name: StopSignal) => void;
  #first: { name: StopSignal; at: number } | undefined;

  constructor(onStop: (name: StopSignal) => void) {
    this.#onStop = onStop;
    for (const name of Object.keys(exitCodes)) process.on(name, this.#listen);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get exitCode(): number {
    return exitCodes[this.#first?.name ?? 'SIGINT'];
  }

  close(): void {
    for (const name of Object.keys(exitCodes)) process.off(name, this.#listen);
  }

  readonly #listen = (signal: NodeJS.Signals): void => {
    const name = signal as StopSignal;
    if (!this.#first) {
      this.#first = { name, at: performance.now() };
      this.#abort.abort();
      this.#onStop(name);
    } else if (name !== this.#first.name || performance.now() - this.#first.at > sameMs) {
      process.exit(exitCodes[name]);
    }
  };
}
