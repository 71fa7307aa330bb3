import pLimit from 'p-limit';
import { asBoxcarError, BoxcarError } from '../errors.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import type { Digest } from '../oci/digest.ts';
import type { LayerResult, PublishListener } from './events.ts';
import { noPhases } from './phases.ts';
import type { Progress } from './progress/progress.ts';
import { Confirmation } from './reuse/confirmation.ts';
import type { Settlement } from './reuse/settlement.ts';
import type { Stopping } from './stopping.ts';
import { questionsAtOnce, type Target } from './target.ts';
import { type OpenModelFile, transferLayer } from './transfer.ts';
import { type WorkerCount, Workers } from './workers.ts';

export interface BringOptions {
  target: Target;
  workers: WorkerCount;
  /** Whether one failed layer stops the others. */
  failFast: boolean;
  openFile: OpenModelFile;
  verifyContent: boolean;
  progress: Progress | undefined;
  emit: PublishListener;
}

/**
 * Every layer, in the order given, in the target: what is said to be there is confirmed, the rest transferred, large ones
 * first.
 * @throws BoxcarError of the first layer that failed; `layers-failed` where the others went on.
 */
export async function bringLayers(
  settlements: Settlement[],
  options: BringOptions,
  stopping: Stopping,
): Promise<LayerResult[]> {
  const { target, workers, failFast, emit } = options;
  const results = new Map<LayerPlan, LayerResult>();
  const failures: { path: string; error: BoxcarError }[] = [];
  const confirmation = new Confirmation(target, emit, stopping.kill);
  const asking = pLimit(questionsAtOnce);
  const atWork = new Workers(workers);
  const bring = async (settlement: Settlement) => {
    const { layer } = settlement;
    try {
      const there = await asking(() => confirm(settlement, confirmation, options, stopping));
      const result = there ?? (await atWork.run(layer, () => transfer(layer, options, atWork, stopping)));
      if (result) results.set(layer, result);
    } catch (thrown) {
      if (thrown === stopping.stop.reason) return;
      const error = asBoxcarError(thrown);
      failures.push({ path: layer.path, error });
      emit({ type: 'layer-failed', path: layer.path, size: layerSize(layer), error });
      if (failFast) stopping.now(error);
    }
  };
  const bySize = [...settlements].sort((a, b) => layerSize(b.layer) - layerSize(a.layer));
  await Promise.all(bySize.map(bring));
  const [first] = failures;
  if (first && failFast) throw first.error;
  stopping.stop.throwIfAborted();
  if (first) throw layersFailed(failures, settlements.length);
  return settlements.map(({ layer }) => results.get(layer) as LayerResult);
}

/** The layer as a candidate has brought it; `undefined` where none is right. */
async function confirm(
  { layer, candidates }: Settlement,
  confirmation: Confirmation,
  { progress, emit }: BringOptions,
  { stop }: Stopping,
): Promise<LayerResult | undefined> {
  if (stop.aborted) return undefined;
  const found = await confirmation.first(layer, candidates);
  if (!found) return undefined;
  const { digest, source, from } = found;
  progress?.set(layer.name, { contentId: layer.contentId, size: layerSize(layer), digest });
  const outcome = from === undefined ? 'reused' : 'mounted';
  const result = { ...reusedLayer(layer, digest), outcome } as const;
  emit({ type: 'layer-done', result, source });
  return result;
}

async function transfer(
  layer: LayerPlan,
  { target, openFile, verifyContent, progress, emit }: BringOptions,
  workers: Workers,
  { stop, kill }: Stopping,
): Promise<LayerResult | undefined> {
  if (stop.aborted) return undefined;
  const onSent = (bytes: number) => workers.sent(bytes);
  const context = { target, openFile, verifyContent, progress, onSent, emit, stop, kill };
  const result = await transferLayer(layer, context);
  emit({ type: 'layer-done', result });
  return result;
}

/** A layer that has cost nothing. */
export function reusedLayer(layer: LayerPlan, digest: Digest): LayerResult {
  const nothing = { bytesSent: 0, bytesRead: 0, seconds: 0, phases: noPhases(), retries: 0 };
  return { path: layer.path, digest, size: layerSize(layer), outcome: 'reused', ...nothing };
}

function layersFailed(failures: { path: string; error: BoxcarError }[], layers: number): BoxcarError {
  const [first] = failures;
  return new BoxcarError(
    `${failures.length} of ${layers} layers failed, first ${first?.path}: ${first?.error.message}`,
    {
      code: 'layers-failed',
      side: first?.error.side ?? 'local',
      hint: 'nothing was tagged; the other layers are saved: run the same command to go on',
      cause: first?.error,
      ...(first?.error.request ? { request: first.error.request } : {}),
    },
  );
}
