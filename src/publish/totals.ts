import type { LayerOutcome, Totals } from './events.ts';
import type { Transferred } from './transfer.ts';

/** Bytes per second that a saving is told at where the run itself sent too little to measure. */
const usualRate = 100_000_000;
/** Bytes below which a transfer says nothing about speed. */
const telling = 8_000_000;

/** Sums up a publish that took `seconds`. */
export function totalsOf(layers: Transferred[], seconds: number): Totals {
  const sum = (value: (layer: Transferred) => number) =>
    layers.reduce((total, layer) => total + value(layer), 0);
  const count = (outcome: LayerOutcome) => layers.filter((layer) => layer.outcome === outcome).length;
  const sizeOf = (outcome: LayerOutcome) => sum((layer) => (layer.outcome === outcome ? layer.size : 0));
  const transferSeconds = sum((layer) => layer.seconds);
  const bytesSent = sum((layer) => layer.bytesSent);
  const bytes = {
    reused: sizeOf('reused'),
    mounted: sizeOf('mounted'),
    // A layer whose upload began anew may have been sent more than once.
    resumed: sum((layer) => (layer.outcome === 'resumed' ? Math.max(0, layer.size - layer.bytesSent) : 0)),
    transferred: bytesSent,
  };
  const savedAtBytesPerSecond = bytesSent >= telling ? bytesSent / seconds : usualRate;
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
    bytesRead: sum((layer) => layer.bytesRead),
    seconds,
    retries: sum((layer) => layer.retries),
    waitingForHub:
      transferSeconds > 0 ? Math.min(1, sum((layer) => layer.waitedMs) / 1000 / transferSeconds) : 0,
  };
}
