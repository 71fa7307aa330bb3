import type { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { BarBoard, type Frame } from './bar-board.ts';
import { type Layout, layoutFor, type Row } from './bar-line.ts';
import { closingLines, shardClosingLine } from './closing.ts';
import { fit, width } from './column-text.ts';
import { errorLines, errorSummary } from './error-text.ts';
import { countdown, duration } from './format.ts';
import { plannedLine, resolvedLine } from './header.ts';
import { doneText } from './layer-text.ts';
import { plain } from './plain-text.ts';
import type { Reporter, ReporterSettings } from './reporter.ts';
import { type Transfer, Transfers } from './transfers.ts';

/** One very long name does not push everybody's bar to the right edge. */
const longestNameShown = 48;

/** From this long (ms) without a byte on, a layer is said to wait. */
const stillAfter = 5000;

/** For a person at a terminal: a bar for each layer in flight and one for all, finished layers scroll up above them. */
export class TtyReporter implements Reporter {
  readonly #settings: ReporterSettings;
  readonly #transfers = new Transfers();
  #longestName = width('all');
  /** There from the first layer in flight to the end. */
  #board: BarBoard | undefined;
  #ended = false;

  constructor(settings: ReporterSettings) {
    this.#settings = settings;
  }

  event(event: PublishEvent): void {
    this.#transfers.apply(event, this.#settings.now());
    if (event.type === 'resolved') this.#lines([resolvedLine(event)]);
    else if (event.type === 'planned') {
      const longest = Math.max(this.#longestName, ...event.layers.map(({ path }) => width(plain(path))));
      this.#longestName = Math.min(longestNameShown, longest);
      this.#lines([plannedLine(event), '']);
    } else if (event.type === 'layer-started' || event.type === 'layer-retry') this.#begin();
    else if (event.type === 'layer-done') {
      this.#layerLine('ok', event.result.path, doneText(event.result, event.source, '  '));
    } else if (event.type === 'layer-failed') {
      this.#layerLine('no', event.path, `failed: ${errorSummary(event.error)}`);
    } else if (event.type === 'notice') this.#notice(event);
    else if (event.type === 'tagged' && this.#settings.verbose) {
      this.#lines([`${event.moved ? 'tagged' : 'already tagged'} ${plain(event.tag)} (${event.digest})`]);
    } else if (event.type === 'done') {
      this.close();
      this.#lines(['', ...closingLines(event.result)]);
    } else if (event.type === 'shard-done') {
      this.close();
      this.#lines(['', shardClosingLine(event.result)]);
    }
  }

  #notice({ level, message }: Extract<PublishEvent, { type: 'notice' }>): void {
    if (level === 'detail' && !this.#settings.verbose) return;
    this.#lines([`${level === 'warning' ? 'warning: ' : ''}${plain(message, 500)}`]);
  }

  stopping(signal: NodeJS.Signals): void {
    this.#lines([`stopping on ${signal}: saving what was sent so far`]);
  }

  error(error: BoxcarError, exitCode: number): void {
    this.close();
    this.#lines(errorLines(error, exitCode, this.#settings));
  }

  close(): void {
    this.#ended = true;
    this.#board?.close();
    this.#board = undefined;
  }

  #begin(): void {
    if (!this.#ended) this.#board ??= new BarBoard(this.#settings.stderr, () => this.#frame());
  }

  #lines(lines: string[]): void {
    if (this.#board) this.#board.log(lines);
    else this.#settings.stderr.write(lines.map((line) => `${line}\n`).join(''));
  }

  #layerLine(mark: string, path: string, text: string): void {
    const name = plain(path);
    const { name: columns, gap } = this.#layout();
    const shown = width(name) > columns ? name : fit(name, columns);
    this.#lines([`${mark.padEnd(4)}${shown}${' '.repeat(gap)}${text}`]);
  }

  #layout(): Layout {
    return layoutFor(this.#settings.stderr.columns ?? 80, this.#longestName, this.#transfers.size);
  }

  /** As many layers as the terminal has lines for, below them all of it; one line stays free for the cursor. */
  #frame(): Frame {
    const now = this.#settings.now();
    const room = Math.max(0, (this.#settings.stderr.rows ?? 24) - 2);
    const layers = [...this.#transfers.inFlight.values()];
    const hidden = Math.max(0, layers.length - room);
    const rows = layers.slice(0, room).map((transfer) => layerRow(transfer, now));
    return { rows: [...rows, this.#allRow(hidden, now)], layout: this.#layout() };
  }

  #allRow(hidden: number, now: number): Row {
    const { offset, size, allSettled } = this.#transfers;
    return {
      mark: '',
      name: hidden > 0 ? `all (${hidden} more in flight)` : 'all',
      offset,
      size,
      bytesPerSecond: this.#transfers.perSecond(now),
      remark: allSettled ? 'writing the manifest' : timeLeft(this.#transfers.secondsLeft(now)),
    };
  }
}

function layerRow(transfer: Transfer, now: number): Row {
  return {
    mark: '>',
    name: plain(transfer.path),
    offset: transfer.offset,
    size: transfer.size,
    bytesPerSecond: transfer.rate.perSecond(now),
    remark: waitingFor(transfer, now) ?? timeLeft(transfer.secondsLeft(now)),
  };
}

function waitingFor({ retry, offset, size, movedAt }: Transfer, now: number): string | undefined {
  if (retry) return `retry ${retry.attempt}: ${plain(retry.error.message).replace(/^the /, '')}`;
  if (offset >= size) return 'closing';
  const still = now - movedAt;
  return still >= stillAfter ? `waiting ${duration(still / 1000)}` : undefined;
}

function timeLeft(seconds: number | undefined): string {
  return seconds === undefined ? '' : countdown(seconds);
}
