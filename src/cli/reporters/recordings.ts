import { type PublishEvent, warning } from '../../publish/events.ts';
import { checkOptions, type PushOptions, type ShardOptions } from '../../publish/options.ts';
import { shardName } from '../../publish/shards.ts';
import { MetricsFile } from './metrics-file.ts';
import type { Reporter } from './reporter.ts';
import { TraceFile } from './trace-file.ts';

/** The files that a run leaves beside its log: metrics and a trace, as far as they are asked for. */
export class Recordings {
  readonly #trace: TraceFile | undefined;
  readonly #metrics: MetricsFile | undefined;
  readonly #onExit = (exitCode: number) => this.end(exitCode);
  #ended = false;

  /** @throws BoxcarError `usage` where one cannot be written, or where the options are wrong. */
  constructor(
    push: PushOptions & Partial<ShardOptions>,
    { metricsFile, trace }: { metricsFile: string | undefined; trace: string | undefined },
    reporter: Pick<Reporter, 'event'>,
  ) {
    const { model, revision, target, shard } = checkOptions(push);
    const place =
      target.kind === 'layout' ? `oci:${target.directory}` : `${target.registry}/${target.repository}`;
    const labels = { model, revision, target: place, ...(shard ? { shard: shardName(shard) } : {}) };
    const warn = (message: string) => reporter.event(warning(message));
    if (metricsFile !== undefined) this.#metrics = new MetricsFile(metricsFile, labels, warn);
    if (trace !== undefined) this.#trace = new TraceFile(trace, `boxcar ${model} -> ${place}`, warn);
    // A second signal ends the process where it stands.
    process.once('exit', this.#onExit);
  }

  event(event: PublishEvent): void {
    this.#metrics?.event(event);
    this.#trace?.event(event);
  }

  /** Writes what is left to write; the first call counts. */
  end(exitCode: number): void {
    if (this.#ended) return;
    this.#ended = true;
    process.off('exit', this.#onExit);
    this.#trace?.end();
    this.#metrics?.end(exitCode);
  }
}
