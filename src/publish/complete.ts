import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { BoxcarError } from '../errors.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import type { Digest } from '../oci/digest.ts';
import { reusedLayer } from './bring-layers.ts';
import { commitImage, tagExisting } from './commit.ts';
import { type LayerResult, type PublishResult, warning } from './events.ts';
import type { Publish, ShardRecords } from './job.ts';
import { type KeptState, readState, type StateFault, type StateStore } from './progress/state-store.ts';
import {
  isRefused,
  leftWords,
  newestNumber,
  removeStates,
  type StateTag,
  stateTag,
  stateTagsOf,
} from './progress/state-tags.ts';
import { finish } from './result.ts';
import { Confirmation } from './reuse/confirmation.ts';
import { type Candidate, KnownLayers } from './reuse/known-layers.ts';
import { presentImage, untakenTag } from './reuse/present-image.ts';
import { type Shard, shardName, shareLayers } from './shards.ts';
import type { Stopping } from './stopping.ts';
import type { Stopwatch } from './stopwatch.ts';
import { questionsAtOnce } from './target.ts';

/** Tries to tag the image where another process may be at it, */
const attempts = 4;
/** and how long is waited between them at first, in ms. */
const againMs = 250;

/** What the shards have recorded. */
interface Collected {
  known: KnownLayers;
  /** The tags of this commit's states, all to be removed in the end. */
  tags: string[];
  /** Layers of the plan that each has brought; without a shard: by a push that had no parts. */
  shards: { shard: Shard | undefined; layers: Set<LayerPlan> }[];
}

/**
 * Tags the image, if its shards have brought every layer.
 * @param own what this process has brought: told as that, not as reused.
 * @returns the layers that are missing, where some are.
 */
export async function completeImage(
  job: Publish,
  records: ShardRecords,
  own: LayerResult[],
  stopping: Stopping,
  watch: Stopwatch,
): Promise<PublishResult | { missing: LayerPlan[]; shards: Collected['shards'] }> {
  const { plan, target, emit } = job;
  const collected = await collect(job, records, stopping.stop);
  const brought = new Map(own.map((layer) => [layer.path, layer]));
  const confirmation = new Confirmation(target, emit, stopping.kill);
  const asking = pLimit(questionsAtOnce);
  const layers = await Promise.all(
    plan.layers.map((layer) =>
      asking(async () => {
        const mine = brought.get(layer.path);
        if (mine) return mine;
        const found = await confirmation.first(layer, collected.known.candidates(layer));
        return found && { ...reusedLayer(layer, found.digest), source: found.source };
      }),
    ),
  );
  stopping.stop.throwIfAborted();
  const missing = plan.layers.filter((_, i) => !layers[i]);
  if (missing.length > 0) return { missing, shards: collected.shards };
  // It has taken a while: another publish may have tagged its image meanwhile.
  await untakenTag(job, stopping.stop);
  const whole = layers as LayerResult[];
  const digests = whole.map(({ digest }) => digest);
  const digest = await commitTogether(job, digests, stopping);
  await forget(job, records, collected.tags, stopping.kill);
  return finish(job, whole, digest, watch);
}

/**
 * Commits what another shard may be committing at this moment: distribution refuses a manifest that is being written, and
 * others one under an immutable tag that has it already.
 */
async function commitTogether(
  { plan, target, tags, emit }: Publish,
  digests: Digest[],
  { stop, kill }: Stopping,
): Promise<Digest> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await commitImage(target, plan, digests, tags, emit, kill);
    } catch (error) {
      if (!isRefused(error) || stop.aborted || attempt === attempts) throw error;
      await sleep(againMs * attempt * (0.5 + Math.random()), undefined, { signal: stop });
      const [tag, ...others] = tags;
      const there = await presentImage(plan, target, tag, stop);
      if (!there?.digests) continue;
      emit({ type: 'tagged', tag, digest: there.digest, moved: false });
      await tagExisting(target, there, others, emit, kill);
      return there.digest;
    }
  }
}

/** Removes what the shards of an image have recorded that is there now. */
export async function forgetShards(job: Publish, records: ShardRecords, signal: AbortSignal): Promise<void> {
  const { tags } = await collect({ ...job, emit: () => {} }, records, signal);
  await forget(job, records, tags, signal);
}

/** The image is there: what cannot be removed now is no reason to fail. */
async function forget(
  { emit, target }: Publish,
  { store, identity }: ShardRecords,
  tags: string[],
  signal: AbortSignal,
): Promise<void> {
  try {
    const left = await removeStates(store, tags, identity, signal);
    if (left.length > 0) emit(warning(leftWords(target.name, left)));
  } catch (error) {
    emit(warning(`the states of the shards stay in ${store.name}: ${(error as Error).message}`));
  }
}

/** `layers-failed`, and which shards are not done. */
export function incomplete(
  { plan: { layers }, tags: [tag] }: Publish,
  missing: LayerPlan[],
  shards: Collected['shards'],
): BoxcarError {
  const told = undone(layers, shards).join(', ');
  return new BoxcarError(
    `${missing.length} of ${layers.length} layers are not in the registry yet, the first is ${missing[0]?.path}`,
    {
      code: 'layers-failed',
      side: 'registry',
      hint: told
        ? `${told}; run the shards that are not done, then finalize again`
        : `no shard has recorded anything of this commit under ${stateTag(tag)}-*: were they pushed with the same model, revision, target and tag?`,
    },
  );
}

/** Shards that are named one by one; of more the rest is counted. */
const mostTold = 10;

/** What is to be said of each shard that has not brought its share. */
function undone(layers: LayerPlan[], shards: Collected['shards']): string[] {
  const counts = new Set(shards.flatMap(({ shard }) => shard?.count ?? []));
  const lines = [...counts].flatMap((count) =>
    shareLayers(layers, count).flatMap((share, index) => {
      const name = `shard ${shardName({ index, count })}`;
      const found = shards.find(({ shard }) => shard?.index === index && shard.count === count);
      const brought = share.filter((layer) => found?.layers.has(layer)).length;
      if (brought === share.length) return [];
      return found ? `${name} has brought ${brought} of ${share.length}` : `${name} has recorded nothing`;
    }),
  );
  const more = lines.length - mostTold;
  if (lines.length === 0 && counts.size > 0) return ['what the shards have recorded is not there any more'];
  return more > 0 ? [...lines.slice(0, mostTold), `and ${more} more`] : lines;
}

async function collect(
  { plan, target, tags: [tag], emit }: Publish,
  { store, identity, count }: ShardRecords,
  signal: AbortSignal,
): Promise<Collected> {
  const collected: Collected = { known: new KnownLayers(), tags: [], shards: [] };
  const own = await stateTagsFor(store, tag, count, signal);
  if (!own)
    throw new BoxcarError(`the registry does not list the tags of ${store.name}`, {
      code: 'registry-failed',
      side: 'registry',
      hint: 'say with --shard 1/N in how many parts the model was pushed',
    });
  const asking = pLimit(8);
  const states = await Promise.all(own.map((each) => asking(() => readState(store, each.tag, signal))));
  const seen = new Set<string>();
  own.forEach((each, i) => {
    const found = states[i];
    const name = nameOf(each.shard);
    // The newest of each comes first.
    const isNewest = !seen.has(name);
    seen.add(name);
    if (!found) return;
    if ('fault' in found || found.state.model !== identity.model || found.state.commit !== identity.commit) {
      if (isNewest) emit(warning(`${target.name}:${each.tag} ${whyNot(found)}: it is left out`));
      return;
    }
    collected.tags.push(each.tag);
    if (!isNewest) return;
    const layers = new Set<LayerPlan>();
    for (const layer of plan.layers) {
      const recorded = found.state.layers[layer.name];
      if (!recorded?.digest || recorded.contentId !== layer.contentId || recorded.size !== layerSize(layer))
        continue;
      layers.add(layer);
      collected.known.addLayer(layer, { digest: recorded.digest, source: name } satisfies Candidate);
    }
    collected.shards.push({ shard: each.shard, layers });
  });
  return collected;
}

function whyNot(found: KeptState | StateFault): string {
  if ('fault' in found) return found.fault;
  return `belongs to commit ${found.state.commit.slice(0, 12)} of ${found.state.model}`;
}

/** The tags of all states of an image, the newest of each first; where they are not listed, of as many shards as this one says. */
async function stateTagsFor(
  store: StateStore,
  tag: string,
  count: number | undefined,
  signal: AbortSignal,
): Promise<StateTag[] | undefined> {
  const listed = await store.tags(signal);
  if (listed) return stateTagsOf(listed, tag);
  if (count === undefined) return undefined;
  const asking = pLimit(8);
  const shards = Array.from({ length: count }, (_, index) => ({ index, count }));
  const found = await Promise.all(
    shards.map((each) =>
      asking(async () => {
        const newest = await newestNumber(store, tag, each, signal);
        return Array.from({ length: newest }, (_, i) => stateTag(tag, each, newest - i));
      }),
    ),
  );
  return stateTagsOf(found.flat(), tag);
}

function nameOf(shard: Shard | undefined): string {
  return shard ? `shard ${shardName(shard)}` : 'an earlier run';
}
