import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { replaceFileNow } from '../../disk/replace-file.ts';
import { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { version } from '../../publish/version.ts';
import { lastSuccessName, Metrics } from './metrics.ts';
import { type Labels, seriesName } from './prometheus-text.ts';

/** How often the file is written while the run goes on, in ms. */
const writeEveryMs = 15_000;

/**
 * A file for the textfile collector of Prometheus' node exporter: replaced whole, by a rename, so that no half of it is
 * ever read. What is written is small: it is written at once, also when the process is ending.
 */
export class MetricsFile {
  readonly #path: string;
  readonly #labels: Labels;
  readonly #warn: (message: string) => void;
  readonly #metrics = new Metrics();
  readonly #startedAt = Date.now() / 1000;
  readonly #started = performance.now();
  readonly #lastSuccess: number | undefined;
  readonly #timer: NodeJS.Timeout;
  #failed = false;

  /** @throws BoxcarError `usage` where no file can be written there. */
  constructor(path: string, labels: Labels, warn: (message: string) => void) {
    this.#path = resolve(path);
    this.#labels = labels;
    this.#warn = warn;
    checkPlace(this.#path, path);
    this.#lastSuccess = successIn(this.#path, labels);
    this.#timer = setInterval(() => this.#write(), writeEveryMs);
    this.#timer.unref();
  }

  event(event: PublishEvent): void {
    this.#metrics.event(event);
  }

  end(exitCode: number): void {
    clearInterval(this.#timer);
    this.#write(exitCode);
  }

  #write(exitCode?: number): void {
    const { user, system } = process.cpuUsage();
    const facts = {
      startedAt: this.#startedAt,
      now: Date.now() / 1000,
      seconds: (performance.now() - this.#started) / 1000,
      cpuSeconds: (user + system) / 1e6,
      lastSuccess: this.#lastSuccess,
      ...(exitCode === undefined ? {} : { exitCode }),
    };
    try {
      replaceFileNow(this.#path, this.#metrics.text(facts, this.#labels, version), 0o644);
    } catch (error) {
      if (!this.#failed) this.#warn(`the metrics file cannot be written: ${(error as Error).message}`);
      this.#failed = true;
    }
  }
}

function checkPlace(path: string, asGiven: string): void {
  let why: string | undefined;
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) why = 'it is a directory';
  } catch (error) {
    why = `its directory ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be written'}`;
  }
  if (why === undefined) return;
  throw new BoxcarError(`--metrics-file ${asGiven} cannot be written: ${why}`, {
    code: 'usage',
    side: 'local',
  });
}

/** When a run ended well last, as an earlier one has left it in the file. */
function successIn(path: string, labels: Labels): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const start = `${seriesName(lastSuccessName, labels)} `;
  const line = text.split('\n').find((each) => each.startsWith(start));
  const time = Number(line?.slice(start.length) ?? Number.NaN);
  return Number.isFinite(time) ? time : undefined;
}
