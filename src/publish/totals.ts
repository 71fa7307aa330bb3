import type { LayerOutcome, LayerResult, Totals } from './events.ts';
import type { LinkRates } from './link.ts';
import { addPhases, bottleneckOf, noPhases, secondsOf, telling } from './phases.ts';
import type { Stopwatch } from './stopwatch.ts';

/** Bytes per second that a saving is told at where the run itself sent too little to measure. */
const usualRate = 100_000_000;

/** Sums up a publish that ends now. @param caps bytes a second that were allowed. */
export function totalsOf(
  layers: LayerResult[],
  watch: Pick<Stopwatch, 'seconds' | 'bringingSeconds' | 'cpuSeconds' | 'cpuBusy'>,
  caps: LinkRates,
): Totals {
  const { seconds, bringingSeconds, cpuSeconds, cpuBusy } = watch;
  const sum = (value: (layer: LayerResult) => number) =>
    layers.reduce((total, layer) => total + value(layer), 0);
  const count = (outcome: LayerOutcome) => layers.filter((layer) => layer.outcome === outcome).length;
  const sizeOf = (outcome: LayerOutcome) => sum((layer) => (layer.outcome === outcome ? layer.size : 0));
  const phases = noPhases();
  for (const layer of layers) addPhases(phases, layer.phases);
  const bytesSent = sum((layer) => layer.bytesSent);
  const bytes = {
    reused: sizeOf('reused'),
    mounted: sizeOf('mounted'),
    // A layer whose upload began anew may have been sent more than once.
    resumed: sum((layer) => (layer.outcome === 'resumed' ? Math.max(0, layer.size - layer.bytesSent) : 0)),
    transferred: bytesSent,
  };
  const savedAtBytesPerSecond = bytesSent >= telling ? bytesSent / seconds : usualRate;
  const bytesRead = sum((layer) => layer.bytesRead);
  const used = (bytes: number, cap?: number) =>
    cap === undefined ? 0 : bytes / (bringingSeconds || 1) / cap;
  const allowed = Math.max(used(bytesRead, caps.down), used(bytesSent, caps.up));
  const bottleneck = bottleneckOf(phases, { bytesSent, cpuBusy, allowed });
  return {
    layers: layers.length,
    size: sum((layer) => layer.size),
    reused: count('reused'),
    mounted: count('mounted'),
    resumed: count('resumed'),
    transferred: count('transferred'),
    bytes,
    secondsSaved: (bytes.reused + bytes.mounted + bytes.resumed) / savedAtBytesPerSecond,
    savedAtBytesPerSecond,
    bytesSent,
    bytesRead,
    seconds,
    retries: sum((layer) => layer.retries),
    phases,
    waitingForHub: phases.hub / (secondsOf(phases) || 1),
    cpuSeconds,
    cpuBusy,
    ...(bottleneck === undefined ? {} : { bottleneck }),
  };
}
