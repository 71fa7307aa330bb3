import type { LayerOutcome, LayerResult, PublishEvent, Totals } from '../../publish/events.ts';
import { addPhases, noPhases, phaseNames } from '../../publish/phases.ts';
import { type Gauge, type Labels, prometheusText } from './prometheus-text.ts';

/** What a run's metrics are told with, beside what its events say. */
export interface RunFacts {
  /** Seconds since 1970. */
  startedAt: number;
  now: number;
  /** How long it has taken, in seconds; the clock may have been set meanwhile. */
  seconds: number;
  /** CPU time of the process so far, in seconds. */
  cpuSeconds: number;
  /** Absent while it runs. */
  exitCode?: number;
  /** The end of the newest run that went well, in seconds since 1970. */
  lastSuccess?: number | undefined;
}

export const lastSuccessName = 'boxcar_last_success_timestamp_seconds';

/**
 * A publish in numbers. All are gauges: each run begins again at 0, and a counter that a run leaves higher than the one
 * before it would be taken for its continuation.
 */
export class Metrics {
  readonly #layers: Record<LayerOutcome | 'failed', number> = {
    reused: 0,
    mounted: 0,
    resumed: 0,
    transferred: 0,
    failed: 0,
  };
  /** Of layers that needed not be sent, by how they came there. */
  readonly #bytes = { reused: 0, mounted: 0, resumed: 0 };
  readonly #phases = noPhases();
  readonly #retries = new Map<string, { labels: Labels; count: number }>();
  #read = 0;
  #sent = 0;
  #planned: { layers: number; size: number } | undefined;
  #commit: string | undefined;

  event(event: PublishEvent): void {
    if (event.type === 'resolved') this.#commit = event.commit;
    else if (event.type === 'planned') this.#planned = { layers: event.layers.length, size: event.size };
    else if (event.type === 'layer-phases') {
      addPhases(this.#phases, event.phases);
      this.#read += event.bytesRead;
      this.#sent += event.bytesSent;
    } else if (event.type === 'layer-retry') this.#retry(event);
    else if (event.type === 'notice' && event.retry) this.#retry(event.retry);
    else if (event.type === 'layer-failed') this.#layers.failed += 1;
    else if (event.type === 'layer-done') this.#layer(event.result);
    else if (event.type === 'done' || event.type === 'shard-done') this.#totals(event.result.totals);
  }

  #retry({ side, reason }: { side: string; reason: string }): void {
    const known = this.#retries.get(`${side} ${reason}`);
    if (known) known.count += 1;
    else this.#retries.set(`${side} ${reason}`, { labels: { side, reason }, count: 1 });
  }

  #layer({ outcome, size, bytesSent }: LayerResult): void {
    this.#layers[outcome] += 1;
    if (outcome === 'resumed') this.#bytes.resumed += Math.max(0, size - bytesSent);
    else if (outcome !== 'transferred') this.#bytes[outcome] += size;
  }

  /** Not every layer of an image that others have brought has had an event. */
  #totals({ reused, mounted, resumed, transferred, bytes }: Totals): void {
    Object.assign(this.#layers, { reused, mounted, resumed, transferred });
    Object.assign(this.#bytes, { reused: bytes.reused, mounted: bytes.mounted, resumed: bytes.resumed });
  }

  /** @param labels of every sample. */
  text(
    { startedAt, now, seconds, cpuSeconds, exitCode, lastSuccess }: RunFacts,
    labels: Labels,
    version: string,
  ) {
    const one = (name: string, help: string, value: number | undefined): Gauge => ({
      name,
      help,
      samples: value === undefined ? [] : [[{}, value]],
    });
    const ended = exitCode !== undefined;
    const info = { version, ...(this.#commit === undefined ? {} : { commit: this.#commit }) };
    const gauges: Gauge[] = [
      { name: 'boxcar_info', help: 'What ran, and the commit of the model.', samples: [[info, 1]] },
      one('boxcar_running', 'Whether the run goes on.', ended ? 0 : 1),
      one('boxcar_success', 'Whether the run has ended well.', ended ? Number(exitCode === 0) : undefined),
      one('boxcar_exit_code', 'Exit status of the run.', exitCode),
      one('boxcar_start_timestamp_seconds', 'When the run began.', startedAt),
      one(lastSuccessName, 'When a run ended well last.', exitCode === 0 ? now : lastSuccess),
      one('boxcar_duration_seconds', 'How long the run has taken.', seconds),
      one('boxcar_cpu_seconds', 'CPU time of the run.', cpuSeconds),
      one('boxcar_planned_layers', 'Layers that the run is to bring.', this.#planned?.layers),
      one('boxcar_planned_bytes', 'Bytes of the layers that the run is to bring.', this.#planned?.size),
      {
        name: 'boxcar_layers',
        help: 'Layers that are done or have failed.',
        samples: Object.entries(this.#layers).map(([outcome, count]) => [{ outcome }, count]),
      },
      one('boxcar_read_bytes', 'Bytes read from the hub.', this.#read),
      one('boxcar_sent_bytes', 'Bytes of layers sent.', this.#sent),
      one('boxcar_reused_bytes', 'Bytes of layers that were there.', this.#bytes.reused),
      one('boxcar_mounted_bytes', 'Bytes of layers mounted from other repositories.', this.#bytes.mounted),
      one('boxcar_resumed_bytes', 'Bytes that earlier runs had sent.', this.#bytes.resumed),
      {
        name: 'boxcar_retries',
        help: 'Requests tried again.',
        samples: [...this.#retries.values()].map(({ labels, count }) => [labels, count]),
      },
      {
        name: 'boxcar_phase_seconds',
        help: 'Time of all layers together, by what it was spent on.',
        samples: phaseNames.map((phase) => [{ phase }, this.#phases[phase]]),
      },
    ];
    return prometheusText(gauges, labels);
  }
}
