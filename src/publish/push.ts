import { asBoxcarError, BoxcarError } from '../errors.ts';
import type { Plan } from '../formats/modelcar.ts';
import { createByteSockets, createDispatcher } from '../http/dispatcher.ts';
import { listHistory } from '../hub/history.ts';
import type { Hub } from '../hub/hub.ts';
import type { Snapshot } from '../hub/model-file.ts';
import type { LayerPlan } from '../layer/layer.ts';
import type { Layout } from '../layout/layout.ts';
import { RegistryTarget } from '../registry/registry-target.ts';
import type { StateIdentity } from '../state/state-schema.ts';
import { info, type PlannedLayer, type PublishResult, type ShardResult, warning } from './events.ts';
import type { Publish, ShardJob, ShardRecords } from './job.ts';
import { Link } from './link.ts';
import { fileOpener, probe } from './model-source.ts';
import { type CheckedOptions, checkOptions, type PushOptions, type ShardOptions } from './options.ts';
import { openHub, openProgress, openTarget, peekProgress } from './parties.ts';
import { planSnapshot } from './plan-snapshot.ts';
import { checkLimits } from './policy.ts';
import { finalize, publish, settle } from './publish.ts';
import { KnownLayers } from './reuse/known-layers.ts';
import { presentImage, tagTaken } from './reuse/present-image.ts';
import { findPublishedImages } from './reuse/published-images.ts';
import { type Settlement, settleLayers, sumOf } from './reuse/settlement.ts';
import { shareLayers } from './shards.ts';
import { stopped } from './stopping.ts';

/** Commits in which earlier images are looked for: one request to the hub. */
const searchedHistory = 1000;
/** Attempts at it: the push can do without. */
const attemptsAtHistory = 2;
/** A plan is made without the target where that does not answer: it is asked so often, */
const plannersPatience = 2;
/** and waited for so long, in ms. */
const plannersStallMs = 10_000;

/** What a push would do. */
export interface PushPlan {
  model: string;
  commit: string;
  /** `registry/repository:tag`, or `oci:DIRECTORY:tag`. */
  imageRef: string;
  tags: string[];
  layers: PlannedLayer[];
  /** Bytes of all layers. */
  size: number;
  /** Layers that are there, and in other repositories of the registry. */
  reused: number;
  mounted: number;
  /** Bytes that are still to be sent. */
  toTransfer: number;
  workers: number;
  /** How they are sent, in words. */
  upload: string;
}

/**
 * Streams a model from the hub into a registry or an image layout directory, and tags it.
 * @throws BoxcarError; its `code` says what kind of failure, its `hint` what to do.
 */
export function push(options: PushOptions): Promise<PublishResult> {
  return prepared(options, async (prepared) => publish(await jobOf(prepared)));
}

/**
 * The same for a part of the layers, while other machines bring the rest. The image is tagged by {@link finalizePush}, or
 * with `finalizeLast` by the last of them.
 * @throws BoxcarError as `push` does.
 */
export function pushShard(options: ShardOptions): Promise<PublishResult | ShardResult> {
  return prepared(options, async (prepared) => publish(await jobOf(prepared), shardOf(prepared)));
}

/**
 * Checks that the shards of a push have brought every layer, and tags the image. Where the registry does not list its
 * tags, any `shard` of theirs says how many there are.
 * @throws BoxcarError as `push` does.
 */
export function finalizePush(options: PushOptions | ShardOptions): Promise<PublishResult> {
  return prepared(options, async (prepared) => finalize(await jobOf(prepared), recordsOf(prepared)));
}

/** Resolves, asks what is there, plans, and touches nothing. @throws BoxcarError as `push` does. */
export function planPush(options: PushOptions | ShardOptions): Promise<PushPlan> {
  const impatient = ({ ociMaxRetries, stallMs, ...checked }: CheckedOptions) => ({
    ...checked,
    ociMaxRetries: Math.min(ociMaxRetries, plannersPatience),
    stallMs: Math.min(stallMs, plannersStallMs),
  });
  const work = async (prepared: Prepared) => {
    const { checked, target, plan, tags } = prepared;
    const { model, commit } = plan.snapshot;
    const about = { model, commit, imageRef: target.imageRef(tags[0]), tags, workers: checked.workers.most };
    const settlements = await foreseen(prepared);
    return { ...about, ...sumOf(settlements), upload: target.uploadWords };
  };
  return prepared(options, work, impatient);
}

/** Everything that a command needs before it begins. */
interface Prepared {
  checked: CheckedOptions;
  hub: Hub;
  target: Layout | RegistryTarget;
  link: Link;
  snapshot: Snapshot & { gated: boolean };
  plan: Plan;
  tags: [string, ...string[]];
}

/** @param towards how the target is spoken to, where that is not as the options say. */
async function prepared<T>(
  options: PushOptions | ShardOptions,
  work: (prepared: Prepared) => Promise<T>,
  towards = (checked: CheckedOptions) => checked,
): Promise<T> {
  const checked = checkOptions(options);
  checked.emit({ type: 'stage', stage: 'listing' });
  const dispatcher = createDispatcher(checked.env);
  const sockets = createByteSockets(checked.env, dispatcher);
  const link = new Link(checked.bandwidth, checked.target);
  try {
    const hub = await openHub(checked, dispatcher, sockets, link.down);
    const target = await openTarget(towards(checked), dispatcher, link.up);
    const { snapshot, plan } = await planSnapshot(checked, hub);
    return await work({ checked, hub, target, link, snapshot, plan, tags: tagsOf(checked, snapshot) });
  } catch (error) {
    throw checked.signal?.aborted && error === checked.signal.reason ? stopped() : error;
  } finally {
    link.lift();
    sockets?.destroy();
    await dispatcher.destroy();
  }
}

/** The job, once the target has shown that it is there and can hold what is planned. */
async function jobOf(prepared: Prepared): Promise<Publish> {
  const { checked, hub, target, link, plan, snapshot, tags } = prepared;
  const { workers, verifyContent, force, check, failFast, emit, signal } = checked;
  const openFile = fileOpener(hub, snapshot, workers.most);
  announce(prepared);
  await target.connect(signal ?? new AbortController().signal);
  checkLimits(plan, target.limits, target.name);
  return {
    plan,
    target,
    tags,
    workers,
    verifyContent,
    force,
    check,
    failFast,
    caps: link.rates,
    openFile,
    probe: async () => (snapshot.gated ? probe(openFile, plan, signal) : undefined),
    openProgress: () => openProgress(checked, identityOf(prepared), target, tags[0]),
    findKnown: knownFinder(prepared),
    emit,
    signal,
    onStop: () => link.lift(),
  };
}

function shardOf(prepared: Prepared): ShardJob {
  const { shard = { index: 0, count: 1 }, finalizeLast } = prepared.checked;
  return { ...shard, records: recordsOf(prepared), share: shareOf(prepared), finalizeLast };
}

/** The layers that are to be brought: all, or a shard's. */
function shareOf({ checked: { shard }, plan }: Prepared): LayerPlan[] {
  return shard ? (shareLayers(plan.layers, shard.count)[shard.index] ?? []) : plan.layers;
}

function knownFinder({ checked, hub, target, snapshot, tags }: Prepared): Publish['findKnown'] {
  const { reuseFrom, mountFrom, emit } = checked;
  const { model, commit } = snapshot;
  const { onRetry: _, limit, ...patience } = hub.patience;
  const impatient = { ...hub, patience: { ...patience, limit: Math.min(limit, attemptsAtHistory) } };
  return (layers, known, taken, signal) =>
    findPublishedImages(
      {
        target,
        layers,
        tags,
        taken,
        reuseFrom,
        mountFrom,
        history: (until) => listHistory(impatient, model, commit, searchedHistory, until),
        emit,
        signal,
      },
      known,
    );
}

/** What would become of each layer, as far as the target can be asked. */
async function foreseen(prepared: Prepared): Promise<Settlement[]> {
  const { checked, target, plan, tags } = prepared;
  const { emit, force, signal = new AbortController().signal } = checked;
  const layers = shareOf(prepared);
  try {
    if (target instanceof RegistryTarget) await target.connect(signal);
    const there = await presentImage(plan, target, tags[0], signal);
    if (there && !there.digests && !force)
      emit(warning(tagTaken(target.imageRef(tags[0]), there.bytes).message));
    const progress = await peekProgress(checked, identityOf(prepared), target, tags[0]);
    return await settle(
      { plan, force, tags, findKnown: knownFinder(prepared) },
      layers,
      progress,
      there,
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    const { message } = asBoxcarError(error);
    emit(warning(`the target cannot be asked what is there: ${message}; planned as if nothing were`));
    return settleLayers(layers, undefined, new KnownLayers());
  }
}

function identityOf({ snapshot, target }: Prepared): StateIdentity {
  return { model: snapshot.model, commit: snapshot.commit, target: target.name };
}

function recordsOf(prepared: Prepared): ShardRecords {
  const { target, checked } = prepared;
  const count = checked.shard?.count;
  if (target instanceof RegistryTarget)
    return { store: target, identity: identityOf(prepared), ...(count === undefined ? {} : { count }) };
  throw new BoxcarError('shards need a registry, the target is a directory', {
    code: 'usage',
    side: 'local',
  });
}

function tagsOf(checked: CheckedOptions, { commit }: Snapshot): [string, ...string[]] {
  const tag = checked.tag ?? commit.slice(0, 12);
  return [tag, ...checked.alsoTags.filter((other) => other !== tag)];
}

function announce({ checked, snapshot, target, link, tags: [tag] }: Prepared): void {
  const { model, commit } = snapshot;
  checked.emit({ type: 'resolved', model, commit, target: target.name, tag });
  if (link.words) checked.emit(info(link.words));
  if (!checked.verifyContent)
    checked.emit(
      info('large files are not compared with what the hub recorded of them (--no-verify-content)'),
    );
}
