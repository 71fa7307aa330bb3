import type { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { Cadence } from './cadence.ts';
import { closingLines, shardClosingLine } from './closing.ts';
import { errorLines, errorSummary } from './error-text.ts';
import { bytesOf, timeOfDay } from './format.ts';
import { plannedLine, resolvedLine } from './header.ts';
import { doneText, progressText, retryText } from './layer-text.ts';
import { plain } from './plain-text.ts';
import type { Reporter, ReporterSettings } from './reporter.ts';
import { Transfers } from './transfers.ts';

/** Makes a warning or error, one or more plain lines, into what a CI system shows apart from the log. */
export type Annotate = (level: 'warning' | 'error', lines: string[]) => string;

/** The subject of the line that is due while no layer is in flight. */
const publish = '';

/** For logs: lines that are complete in themselves, one of each layer in flight every 5 s. */
export class TextReporter implements Reporter {
  readonly #options: ReporterSettings;
  readonly #annotate: Annotate | undefined;
  readonly #clock: (now: number) => string;
  readonly #transfers = new Transfers();
  readonly #cadence: Cadence;
  #resolved = false;

  constructor(options: ReporterSettings, annotate?: Annotate) {
    this.#options = options;
    this.#annotate = annotate;
    this.#clock = timeOfDay(options.timeZone);
    this.#cadence = new Cadence(options.now);
    if (options.quiet) return;
    this.#cadence.told(publish);
    this.#cadence.start((subject) => this.#tellProgress(subject));
  }

  event(event: PublishEvent): void {
    this.#transfers.apply(event, this.#options.now());
    if (event.type === 'resolved') {
      this.#resolved = true;
      this.#line(resolvedLine(event));
    } else if (event.type === 'planned') this.#line(plannedLine(event));
    else if (event.type === 'notice') this.#notice(event.level, plain(event.message, 500));
    else if (event.type === 'tagged') {
      this.#timed(`${event.moved ? 'tagged' : 'already tagged'} ${plain(event.tag)} (${event.digest})`);
    } else if (event.type === 'done') {
      this.#cadence.stop();
      for (const line of closingLines(event.result)) this.#line(line);
    } else if (event.type === 'shard-done') {
      this.#cadence.stop();
      this.#line(shardClosingLine(event.result));
    } else if (event.type !== 'stage') this.#layerEvent(event);
  }

  #layerEvent(event: Extract<PublishEvent, { type: `layer-${string}` }>): void {
    if (event.type === 'layer-done') {
      const { result, source } = event;
      const done = doneText(result, source);
      this.#cadence.forget(result.path);
      this.#layerLine(result.path, result.bytesSent > 0 ? `done: ${done}` : done);
    } else if (event.type === 'layer-failed') {
      this.#cadence.forget(event.path);
      this.#warning(`${plain(event.path)} failed: ${errorSummary(event.error)}`);
    } else if (event.type === 'layer-started') {
      if (event.from > 0) this.#layerLine(event.path, `goes on from ${bytesOf(event.from, event.size)}`);
      this.#cadence.told(event.path);
    } else if (event.type === 'layer-retry') {
      this.#layerLine(event.path, retryText(event));
      this.#cadence.told(event.path);
    }
  }

  stopping(signal: NodeJS.Signals): void {
    this.#timed(`stopping on ${signal}: saving what was sent so far`);
  }

  error(error: BoxcarError, exitCode: number): void {
    this.#cadence.stop();
    const lines = errorLines(error, exitCode, this.#options);
    const text = this.#annotate?.(error.code === 'stopped' ? 'warning' : 'error', lines);
    this.#write(text ?? lines.join('\n'));
  }

  close(): void {
    this.#cadence.stop();
  }

  #tellProgress(subject: string): void {
    const { inFlight } = this.#transfers;
    const transfer = inFlight.get(subject);
    if (transfer) this.#layerLine(subject, progressText(transfer, this.#options.now()));
    else if (subject === publish && inFlight.size === 0) this.#timed(this.#activity());
  }

  /** What goes on while no layer is in flight; the events do not say more. */
  #activity(): string {
    const { planned, settled, allSettled } = this.#transfers;
    if (allSettled) return 'writing the manifest and tags';
    if (planned !== undefined)
      return `${settled} of ${planned} layers settled, looking for the others in the target`;
    return this.#resolved ? 'planning the layers' : 'asking the hub for the model';
  }

  #notice(level: 'detail' | 'info' | 'warning', text: string): void {
    if (level === 'warning') this.#warning(text);
    else if (level === 'info' || this.#options.verbose) this.#timed(text);
  }

  #warning(text: string): void {
    const plainLine = `${this.#clock(this.#options.now())} warning: ${text}`;
    this.#write(this.#annotate?.('warning', [text]) ?? plainLine);
  }

  #layerLine(path: string, text: string): void {
    this.#timed(`${plain(path)} ${text}`);
  }

  #timed(text: string): void {
    this.#line(`${this.#clock(this.#options.now())} ${text}`);
  }

  #line(text: string): void {
    if (!this.#options.quiet) this.#write(text);
  }

  #write(text: string): void {
    this.#cadence.told(publish);
    this.#options.stderr.write(`${text}\n`);
  }
}
