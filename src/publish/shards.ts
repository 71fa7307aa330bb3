import type { LayerPlan } from '../layer/layer.ts';
import { layerSize } from '../layer/layer.ts';

/** One part of many of a publish: `index` of 0 to `count` - 1. */
export interface Shard {
  index: number;
  count: number;
}

/** As the user writes it: `3/8`, and `8/8` for the one with index 0. */
export function shardName({ index, count }: Shard): string {
  return `${index === 0 ? count : index}/${count}`;
}

/**
 * The layers of each shard, in the plan's order: the largest first to whoever has least so far, so that the same plan
 * is always divided the same.
 */
export function shareLayers(layers: LayerPlan[], count: number): LayerPlan[][] {
  const shares = Array.from({ length: count }, () => ({ bytes: 0, layers: new Set<LayerPlan>() }));
  const largestFirst = [...layers].sort((a, b) => layerSize(b) - layerSize(a) || (a.name < b.name ? -1 : 1));
  for (const layer of largestFirst) {
    const least = shares.reduce((a, b) => (b.bytes < a.bytes ? b : a));
    least.bytes += layerSize(layer);
    least.layers.add(layer);
  }
  return shares.map((share) => layers.filter((layer) => share.layers.has(layer)));
}
