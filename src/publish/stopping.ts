import { setMaxListeners } from 'node:events';
import { BoxcarError } from '../errors.ts';

/** How long a stop waits for requests to end cleanly before it cuts them, in ms: the command promises 5 s in all. */
const cleanStopMs = 3500;

/** Two ways to end: `stop` lets requests end cleanly, `kill` cuts what has not ended a few seconds later. */
export class Stopping {
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.now(stopped());
  readonly #onStop: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onStop called when requests are to end cleanly: once, if at all. */
  constructor(signal: AbortSignal | undefined, onStop: () => void = () => {}) {
    this.#signal = signal;
    this.#onStop = onStop;
    // Every request in flight listens to them.
    setMaxListeners(0, this.stop, this.kill);
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  get kill(): AbortSignal {
    return this.#kill.signal;
  }

  now(reason: BoxcarError): void {
    if (this.stop.aborted) return;
    this.#stop.abort(reason);
    this.#onStop();
    this.#timer = setTimeout(() => this.#kill.abort(reason), cleanStopMs);
  }

  done(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** What `push` rejects with when its signal is aborted. */
export function stopped(): BoxcarError {
  return new BoxcarError('stopped; nothing was tagged', {
    code: 'stopped',
    side: 'local',
    hint: 'everything sent so far is saved: run the same command to go on',
  });
}
