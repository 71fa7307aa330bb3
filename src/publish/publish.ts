import pLimit from 'p-limit';
import { asBoxcarError, BoxcarError } from '../errors.ts';
import type { Plan } from '../formats/modelcar.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import { mediaTypes } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { StateFile } from '../state/state-file.ts';
import { commitImage, tagExisting } from './commit.ts';
import type { PlannedLayer, PublishListener, PublishResult } from './events.ts';
import { digestsOfSameImage, finishedEarlier, revisionOf } from './reuse.ts';
import { Stopping } from './stopping.ts';
import type { Target } from './target.ts';
import { totalsOf } from './totals.ts';
import { type OpenModelFile, type Transferred, transferLayer } from './transfer.ts';

export interface Publish {
  plan: Plan;
  target: Target;
  /** The image's tag, then those written after it. */
  tags: [string, ...string[]];
  workers: number;
  /** Move a tag that points elsewhere, and transfer what is there already. */
  force: boolean;
  /** Whether one failed layer stops the others. */
  failFast: boolean;
  openFile: OpenModelFile;
  openState: () => Promise<StateFile | undefined>;
  emit: PublishListener;
  signal?: AbortSignal | undefined;
}

/** Brings a plan into a target and tags it. */
export async function publish(job: Publish): Promise<PublishResult> {
  const started = performance.now();
  const stopping = new Stopping(job.signal);
  try {
    const present = await sameImageThere(job, stopping.stop);
    if (present) return finish(job, present.layers, present.digest, started);
    const state = await job.openState();
    try {
      const layers = await settleLayers(job, state, stopping);
      const digests = layers.map(({ digest }) => digest);
      stopping.stop.throwIfAborted();
      // Another publish may have tagged its image meanwhile.
      await manifestThere(job, stopping.stop);
      const digest = await commitImage(job.target, job.plan, digests, job.tags, job.emit, stopping.kill);
      return finish(job, layers, digest, started);
    } finally {
      await state?.close();
    }
  } finally {
    stopping.done();
  }
}

/** Looks at the tag before any byte moves: the same image there is a publish done, another one is refused. */
async function sameImageThere(
  job: Publish,
  signal: AbortSignal,
): Promise<{ layers: Transferred[]; digest: Digest } | undefined> {
  const {
    plan,
    target,
    tags: [tag, ...others],
    workers,
    emit,
  } = job;
  const there = await manifestThere(job, signal);
  const reused = there ? plan.layers.length : 0;
  emit({
    type: 'planned',
    layers: plannedLayers(plan),
    size: plan.size,
    reused,
    toTransfer: there ? 0 : plan.size,
    workers,
    upload: target.uploadWords,
  });
  if (!there) return undefined;
  const layers = plan.layers.map((layer, i) => reusedLayer(layer, there.digests[i] as Digest));
  for (const result of layers) emit({ type: 'layer-done', result, source: `:${tag}` });
  await tagExisting(target, { ...there, mediaType: mediaTypes.manifest }, others, emit, signal);
  return { layers, digest: there.digest };
}

/** The manifest that has the tag already, and its layers' digests. @throws BoxcarError `tag-exists` when it is another one, which is not moved unasked. */
async function manifestThere(
  { plan, target, tags: [tag], force }: Publish,
  signal: AbortSignal,
): Promise<{ digest: Digest; bytes: Buffer; digests: Digest[] } | undefined> {
  const there = force ? undefined : await target.manifest(tag, signal);
  if (!there) return undefined;
  const digests = digestsOfSameImage(plan, there.bytes);
  if (!digests) throw tagTaken(target.imageRef(tag), there.bytes);
  return { ...there, digests };
}

/** Every layer, in the plan's order, brought into the target: as many at a time as there are workers, large ones first. */
async function settleLayers(
  job: Publish,
  state: StateFile | undefined,
  stopping: Stopping,
): Promise<Transferred[]> {
  const { plan, workers, failFast, emit } = job;
  const results = new Map<LayerPlan, Transferred>();
  const failures: { path: string; error: BoxcarError }[] = [];
  const limit = pLimit(workers);
  const settle = async (layer: LayerPlan) => {
    if (stopping.stop.aborted) return;
    try {
      results.set(layer, await settleLayer(layer, job, state, stopping));
    } catch (thrown) {
      if (thrown === stopping.stop.reason) return;
      const error = asBoxcarError(thrown);
      failures.push({ path: layer.path, error });
      emit({ type: 'layer-failed', path: layer.path, size: layerSize(layer), error });
      if (failFast) stopping.now(error);
    }
  };
  const bySize = [...plan.layers].sort((a, b) => layerSize(b) - layerSize(a));
  await Promise.all(bySize.map((layer) => limit(settle, layer)));
  const [first] = failures;
  if (first && failFast) throw first.error;
  stopping.stop.throwIfAborted();
  if (first) throw layersFailed(failures, plan.layers.length);
  return plan.layers.map((layer) => results.get(layer) as Transferred);
}

/** One layer: done by an earlier run, or transferred. */
async function settleLayer(
  layer: LayerPlan,
  { target, force, openFile, emit }: Publish,
  state: StateFile | undefined,
  { stop, kill }: Stopping,
): Promise<Transferred> {
  const digest = force ? undefined : await finishedEarlier(layer, state, target, kill);
  const result = digest
    ? reusedLayer(layer, digest)
    : await transferLayer(layer, { target, openFile, state, emit, stop, kill });
  const { waitedMs: _, ...told } = result;
  emit({ type: 'layer-done', result: told, ...(digest ? { source: 'an earlier run' } : {}) });
  return result;
}

/** The plan's layers, as they are told. */
export function plannedLayers(plan: Plan): PlannedLayer[] {
  return plan.layers.map((layer) => {
    const { path, fileSize, contentId } = layer;
    return { path, fileSize, size: layerSize(layer), contentId };
  });
}

function reusedLayer(layer: LayerPlan, digest: Digest): Transferred {
  const nothing = { bytesSent: 0, bytesRead: 0, seconds: 0, retries: 0, waitedMs: 0 };
  return { path: layer.path, digest, size: layerSize(layer), outcome: 'reused', ...nothing };
}

function finish(job: Publish, layers: Transferred[], digest: Digest, started: number): PublishResult {
  const { plan, target, tags, emit } = job;
  const result: PublishResult = {
    model: plan.snapshot.model,
    commit: plan.snapshot.commit,
    imageRef: target.imageRef(tags[0]),
    imageRefDigest: target.imageRefDigest(digest),
    manifestDigest: digest,
    tags,
    layers: layers.map(({ waitedMs: _, ...layer }) => layer),
    totals: totalsOf(layers, (performance.now() - started) / 1000),
  };
  emit({ type: 'done', result });
  return result;
}

function tagTaken(imageRef: string, manifest: Buffer): BoxcarError {
  const revision = revisionOf(manifest);
  return new BoxcarError(`the tag exists and points elsewhere: ${imageRef}`, {
    code: 'tag-exists',
    side: 'registry',
    hint: `${revision ? `it is an image of commit ${revision}; ` : ''}choose another tag with --target-tag, or move this one with --force`,
  });
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
