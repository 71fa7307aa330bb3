import { type LayerPlan, layerSize } from '../../layer/layer.ts';
import type { LayerAction, PlannedLayer } from '../events.ts';
import type { Progress } from '../progress/progress.ts';
import type { Candidate, KnownLayers } from './known-layers.ts';

/** What is to become of a layer, and why. The first candidate that proves right makes an end of it. */
export interface Settlement {
  layer: LayerPlan;
  action: LayerAction;
  why: string;
  /** Bytes that are still to be sent. */
  toTransfer: number;
  candidates: Candidate[];
  /** The same content is published already, under another path: worth saying, as it is sent all the same. */
  isElsewhere?: true;
}

/** Decides for each layer by what is known; whether it is true is seen when it is done. */
export function settleLayers(
  layers: LayerPlan[],
  progress: Pick<Progress, 'trusted' | 'layer'> | undefined,
  known: KnownLayers,
): Settlement[] {
  return layers.map((layer) => settleLayer(layer, progress, known));
}

function settleLayer(
  layer: LayerPlan,
  progress: Pick<Progress, 'trusted' | 'layer'> | undefined,
  known: KnownLayers,
): Settlement {
  const size = layerSize(layer);
  const remembered = progress?.layer(layer.name);
  const saved =
    remembered?.contentId === layer.contentId && remembered.size === size ? remembered : undefined;
  const finished: Candidate | undefined = saved?.digest && {
    digest: saved.digest,
    source: 'an earlier run',
    trusted: progress?.trusted ?? false,
  };
  const candidates = [...(finished ? [finished] : []), ...known.candidates(layer)];
  const [first] = candidates;
  const settled = { layer, candidates };
  if (finished) return { ...settled, action: 'reuse', why: 'done by an earlier run', toTransfer: 0 };
  if (first?.from !== undefined)
    return { ...settled, action: 'mount', why: `the same layer in ${first.source}`, toTransfer: 0 };
  if (first) return { ...settled, action: 'reuse', why: `unchanged since ${first.source}`, toTransfer: 0 };
  const sent = Math.min(size, saved?.upload?.offset ?? 0);
  if (sent > 0)
    return { ...settled, action: 'resume', why: 'an earlier run has sent a part', toTransfer: size - sent };
  const elsewhere = known.isElsewhere(layer) ? { isElsewhere: true as const } : {};
  return { ...settled, ...elsewhere, action: 'transfer', why: known.whyNot(layer), toTransfer: size };
}

/** As it is told. */
export function plannedLayer({ layer, action, why, toTransfer }: Settlement): PlannedLayer {
  const { path, fileSize, contentId } = layer;
  return { path, action, why, toTransfer, fileSize, size: layerSize(layer), contentId };
}

/** Layers and bytes, as they are told before anything moves. */
export function sumOf(settlements: Settlement[]): {
  layers: PlannedLayer[];
  size: number;
  reused: number;
  mounted: number;
  toTransfer: number;
} {
  const count = (action: LayerAction) => settlements.filter((each) => each.action === action).length;
  return {
    layers: settlements.map(plannedLayer),
    size: settlements.reduce((sum, { layer }) => sum + layerSize(layer), 0),
    reused: count('reuse'),
    mounted: count('mount'),
    toTransfer: settlements.reduce((sum, each) => sum + each.toTransfer, 0),
  };
}
