import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { Cadence } from './cadence.ts';
import { errorObject } from './error-object.ts';
import { plainJson } from './plain-text.ts';
import type { Reporter, ReporterSettings } from './reporter.ts';
import { Transfers } from './transfers.ts';

const levels = { detail: 'debug', info: 'info', warning: 'warn' } as const;

/** For programs that read logs: every event as one JSON object a line, the progress of a layer every 5 s. */
export class JsonReporter implements Reporter {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #verbose: boolean;
  readonly #transfers = new Transfers();
  readonly #cadence: Cadence;

  constructor({ quiet, verbose, stderr, now }: ReporterSettings) {
    this.#now = now;
    this.#verbose = verbose;
    this.#cadence = new Cadence(now);
    // An object with write() is called synchronously: a process that exits right away loses no line.
    const destination = { write: (line: string) => stderr.write(`${plainJson(line.trimEnd())}\n`) };
    const options = {
      base: null,
      level: quiet ? 'warn' : verbose ? 'debug' : 'info',
      formatters: { level: (level: string) => ({ level }) },
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
    };
    // Only this style pays for it.
    const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino');
    this.#log = pino(options, destination);
    if (!quiet) this.#cadence.start((path) => this.#progress(path));
  }

  event(event: PublishEvent): void {
    this.#transfers.apply(event, this.#now());
    if (event.type === 'layer-started' || event.type === 'layer-retry') this.#cadence.told(event.path);
    if (event.type === 'layer-done') this.#cadence.forget(event.result.path);
    if (event.type === 'layer-failed') this.#cadence.forget(event.path);
    if (event.type !== 'layer-progress' && event.type !== 'layer-phases') this.#tell(event);
  }

  #tell(event: PublishEvent): void {
    const { type, ...facts } = event;
    if (event.type === 'notice') {
      this.#log[levels[event.level]]({ event: type }, event.message);
    } else if (event.type === 'layer-retry') {
      this.#log.info({ event: type, ...facts, error: errorObject(event.error) });
    } else if (event.type === 'layer-failed') {
      this.#log.error({ event: type, ...facts, error: errorObject(event.error) });
    } else {
      this.#log.info({ event: type, ...facts });
    }
  }

  #progress(path: string): void {
    const transfer = this.#transfers.inFlight.get(path);
    if (!transfer) return;
    const now = this.#now();
    const left = transfer.secondsLeft(now);
    this.#log.info({
      event: 'layer-progress',
      path,
      size: transfer.size,
      offset: transfer.offset,
      bytesPerSecond: Math.round(transfer.rate.perSecond(now)),
      ...(left !== undefined && { secondsLeft: Math.ceil(left) }),
    });
  }

  stopping(signal: NodeJS.Signals): void {
    this.#log.info({ event: 'stopping', signal });
  }

  error(error: BoxcarError, exitCode: number): void {
    this.#cadence.stop();
    const stack = this.#verbose ? { stack: error.stack } : {};
    this.#log.error({ event: 'error', error: errorObject(error, exitCode), ...stack }, error.message);
  }

  close(): void {
    this.#cadence.stop();
  }
}
