import type { LayerResult, Totals } from './events.ts';
import type { Transferred } from './transfer.ts';

/** Sums up a publish that took `seconds`. */
export function totalsOf(layers: Transferred[], seconds: number): Totals {
  const sum = (value: (layer: Transferred) => number) =>
    layers.reduce((total, layer) => total + value(layer), 0);
  const count = (outcome: LayerResult['outcome']) =>
    layers.filter((layer) => layer.outcome === outcome).length;
  const transferSeconds = sum((layer) => layer.seconds);
  return {
    layers: layers.length,
    size: sum((layer) => layer.size),
    reused: count('reused'),
    mounted: count('mounted'),
    resumed: count('resumed'),
    transferred: count('transferred'),
    bytesSent: sum((layer) => layer.bytesSent),
    bytesRead: sum((layer) => layer.bytesRead),
    seconds,
    retries: sum((layer) => layer.retries),
    waitingForHub:
      transferSeconds > 0 ? Math.min(1, sum((layer) => layer.waitedMs) / 1000 / transferSeconds) : 0,
  };
}
