import { BoxcarError } from '../errors.ts';
import type { LayerPlan } from '../layer/layer.ts';
import type { Digest } from '../oci/digest.ts';
import { type BringOptions, bringLayers, reusedLayer } from './bring-layers.ts';
import { commitImage, tagExisting } from './commit.ts';
import { completeImage, forgetShards, incomplete } from './complete.ts';
import { info, type LayerResult, type PublishResult, type ShardResult, warning } from './events.ts';
import type { Publish, ShardJob, ShardRecords } from './job.ts';
import type { Progress } from './progress/progress.ts';
import { finish, resultOf } from './result.ts';
import { KnownLayers } from './reuse/known-layers.ts';
import { isWhole, missingLayers, type PresentImage, untakenTag } from './reuse/present-image.ts';
import { type Settlement, settleLayers, sumOf } from './reuse/settlement.ts';
import { shardName } from './shards.ts';
import { Stopping } from './stopping.ts';
import { Stopwatch } from './stopwatch.ts';

/** Files that were only moved, told one by one. */
const mostTold = 10;

/** Brings a plan into a target and tags it; or a part of a plan, which whoever comes last tags. */
export function publish(job: Publish): Promise<PublishResult>;
export function publish(job: Publish, shard: ShardJob): Promise<PublishResult | ShardResult>;
export async function publish(job: Publish, shard?: ShardJob): Promise<PublishResult | ShardResult> {
  const watch = new Stopwatch();
  const stopping = new Stopping(job.signal, job.onStop);
  try {
    job.emit({ type: 'stage', stage: 'settling' });
    const there = await untakenTag(job, stopping.stop);
    if (
      there?.digests &&
      !job.force &&
      (!job.check || (await isWhole(job.plan, there, job.target, stopping.stop)))
    ) {
      // Whoever tagged it may have died before it could remove them.
      if (shard) await forgetShards(job, shard.records, stopping.stop);
      return await finishPresent(job, there, stopping.stop, watch);
    }
    const progress = await job.openProgress();
    try {
      const settlements = await settle(job, shard?.share ?? job.plan.layers, progress, there, stopping.stop);
      announce(job, settlements);
      if (settlements.some(({ action }) => action === 'resume' || action === 'transfer')) await job.probe();
      job.emit({ type: 'stage', stage: 'transferring' });
      const layers = await watch.bringing(() => bringLayers(settlements, { ...job, progress }, stopping));
      job.emit({ type: 'stage', stage: 'committing' });
      if (shard) return await finishShard(job, shard, layers, progress, stopping, watch);
      const result = await commit(job, layers, { ...job, progress }, stopping, watch);
      await progress?.finish();
      return finish(job, result.layers, result.digest, watch);
    } finally {
      await progress?.close();
    }
  } finally {
    stopping.done();
  }
}

/** Records what the shard has brought, and tags the image if it was the last and is to. */
async function finishShard(
  job: Publish,
  shard: ShardJob,
  layers: LayerResult[],
  progress: Progress | undefined,
  stopping: Stopping,
  watch: Stopwatch,
): Promise<PublishResult | ShardResult> {
  stopping.stop.throwIfAborted();
  await progress?.record();
  if (shard.finalizeLast) {
    const completed = await completeImage(job, shard.records, layers, stopping, watch);
    if (!('missing' in completed)) {
      progress?.forget();
      return completed;
    }
    // Another shard may have been the last, and have removed what it needed no more.
    const there = await untakenTag(job, stopping.stop);
    if (there?.digests) {
      await progress?.finish();
      return finishPresent(job, there, stopping.stop, watch, layers);
    }
  }
  const result = { shard: shardName(shard), ...resultOf(job, layers, watch) };
  job.emit({ type: 'shard-done', result });
  return result;
}

/** Tags an image whose layers shards have brought. @throws BoxcarError `layers-failed` where some are missing. */
export async function finalize(job: Publish, records: ShardRecords): Promise<PublishResult> {
  const watch = new Stopwatch();
  const stopping = new Stopping(job.signal, job.onStop);
  try {
    job.emit({ type: 'stage', stage: 'settling' });
    const there = await untakenTag(job, stopping.stop);
    if (there?.digests && !job.force) {
      await forgetShards(job, records, stopping.stop);
      return await finishPresent(job, there, stopping.stop, watch);
    }
    job.emit({ type: 'stage', stage: 'committing' });
    const completed = await completeImage(job, records, [], stopping, watch);
    if (!('missing' in completed)) return completed;
    throw incomplete(job, completed.missing, completed.shards);
  } finally {
    stopping.done();
  }
}

/** What is to become of the layers that this process brings. */
export async function settle(
  job: Pick<Publish, 'plan' | 'force' | 'findKnown' | 'tags'>,
  layers: LayerPlan[],
  progress: Pick<Progress, 'trusted' | 'layer'> | undefined,
  there: PresentImage | undefined,
  signal: AbortSignal,
): Promise<Settlement[]> {
  const {
    plan,
    force,
    findKnown,
    tags: [tag],
  } = job;
  const known = new KnownLayers();
  // Everything again: nothing is known.
  if (there?.digests && force) return settleLayers(layers, undefined, known);
  plan.layers.forEach((layer, i) => {
    const digest = there?.digests?.[i];
    if (digest) known.addLayer(layer, { digest, source: `:${tag}` });
  });
  const unknown = settleLayers(layers, progress, known).filter(({ candidates }) => candidates.length === 0);
  if (unknown.length > 0)
    await findKnown(
      unknown.map(({ layer }) => layer),
      known,
      there !== undefined,
      signal,
    );
  return settleLayers(layers, progress, known);
}

function announce({ emit, workers, target }: Publish, settlements: Settlement[]): void {
  const { first, most } = workers;
  emit({
    type: 'planned',
    ...sumOf(settlements),
    workers: most,
    ...(first < most ? { firstWorkers: first } : {}),
    upload: target.uploadWords,
  });
  const moved = settlements.filter(({ isElsewhere }) => isElsewhere);
  for (const { layer, why } of moved.slice(0, mostTold)) emit(info(`${layer.path}: ${why}`));
  if (moved.length > mostTold) emit(info(`${moved.length - mostTold} more files were only moved or copied`));
}

/** Tags what is there. A registry that has lost a blob in between gets it once more. */
export async function commit(
  job: Publish,
  layers: LayerResult[],
  options: BringOptions,
  stopping: Stopping,
  watch: Stopwatch,
): Promise<{ layers: LayerResult[]; digest: Digest }> {
  const { plan, target, tags, emit } = job;
  stopping.stop.throwIfAborted();
  // Another publish may have tagged its image meanwhile.
  const there = await untakenTag(job, stopping.stop);
  const write = (each: LayerResult[]) =>
    commitImage(
      target,
      plan,
      each.map(({ digest }) => digest),
      tags,
      emit,
      stopping.kill,
      there?.digest,
    );
  try {
    return { layers, digest: await write(layers) };
  } catch (error) {
    if (!lacksBlob(error)) throw error;
    emit(warning('the registry has lost a layer meanwhile: what is missing is transferred again'));
  }
  const digests = layers.map(({ digest }) => digest);
  const missing = await missingLayers(plan, digests, target, stopping.stop);
  const again = settleLayers(missing, undefined, new KnownLayers());
  const brought = await watch.bringing(() => bringLayers(again, options, stopping));
  const mended = new Map(brought.map((layer) => [layer.path, layer]));
  const whole = layers.map((layer) => mended.get(layer.path) ?? layer);
  return { layers: whole, digest: await write(whole) };
}

/** `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes"); some registries have words of their own. */
function lacksBlob(error: unknown): boolean {
  const words = error instanceof BoxcarError ? (error.request?.answer ?? '') : '';
  return /BLOB_UNKNOWN|blob unknown|unknown blob|LayersNotFound/i.test(words);
}

function incompleteImage(cause: BoxcarError): BoxcarError {
  const { message, code, side, request } = cause;
  return new BoxcarError(message, {
    code,
    side,
    cause,
    ...(request ? { request } : {}),
    hint: 'the image under the tag has lost layers: the same command with --check brings them back',
  });
}

/**
 * Nothing is to be done but for the further tags.
 * @param own what this process has brought all the same: told as that, and told before.
 */
async function finishPresent(
  job: Publish,
  there: PresentImage,
  signal: AbortSignal,
  watch: Stopwatch,
  own: LayerResult[] = [],
): Promise<PublishResult> {
  const {
    plan,
    target,
    tags: [tag, ...others],
    emit,
  } = job;
  const source = `:${tag}`;
  const candidates = plan.layers.map((layer, i) => ({
    layer,
    action: 'reuse' as const,
    why: `unchanged since ${source}`,
    toTransfer: 0,
    candidates: [{ digest: there.digests?.[i] as Digest, source }],
  }));
  if (own.length === 0) announce(job, candidates);
  const brought = new Map(own.map((layer) => [layer.path, layer]));
  const layers = plan.layers.map(
    (layer, i) => brought.get(layer.path) ?? reusedLayer(layer, there.digests?.[i] as Digest),
  );
  for (const result of layers) if (!brought.has(result.path)) emit({ type: 'layer-done', result, source });
  try {
    await tagExisting(target, there, others, emit, signal);
  } catch (error) {
    throw lacksBlob(error) ? incompleteImage(error as BoxcarError) : error;
  }
  return finish(job, layers, there.digest, watch);
}
