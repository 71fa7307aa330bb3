import pLimit from 'p-limit';
import { BoxcarError } from '../errors.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import type { StateIdentity } from '../state/state-schema.ts';
import { reusedLayer } from './bring-layers.ts';
import { commitImage } from './commit.ts';
import { Confirmation } from './confirmation.ts';
import { type PublishResult, warning } from './events.ts';
import { type Candidate, KnownLayers } from './known-layers.ts';
import type { Publish } from './publish.ts';
import { finish } from './result.ts';
import { type Shard, shardName } from './shards.ts';
import { readState, type StateStore } from './state-store.ts';
import { removeStates, stateTag, stateTagsOf } from './state-tags.ts';
import type { Stopping } from './stopping.ts';
import type { Transferred } from './transfer.ts';

/** Where the states of all shards are. */
export interface ShardRecords {
  store: StateStore;
  identity: StateIdentity;
}

/** What the shards have recorded. */
interface Collected {
  known: KnownLayers;
  /** Their tags, all to be removed in the end. */
  tags: string[];
  /** Layers of the plan that each has brought. */
  shards: { name: string; layers: number }[];
}

/**
 * Tags the image, if its shards have brought every layer.
 * @param own what this process has brought: told as that, not as reused.
 * @returns the layers that are missing, where some are.
 */
export async function completeImage(
  job: Publish,
  records: ShardRecords,
  own: Transferred[],
  stopping: Stopping,
  started: number,
): Promise<PublishResult | { missing: LayerPlan[]; shards: Collected['shards'] }> {
  const { plan, target, tags, emit } = job;
  const collected = await collect(job, records, stopping.stop);
  const brought = new Map(own.map((layer) => [layer.path, layer]));
  const confirmation = new Confirmation(target, emit, stopping.kill);
  const asking = pLimit(16);
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
  const whole = layers as Transferred[];
  const digests = whole.map(({ digest }) => digest);
  const digest = await commitImage(target, plan, digests, tags, emit, stopping.kill);
  const left = await removeStates(records.store, collected.tags, records.identity, stopping.kill);
  if (left.length > 0)
    emit(
      warning(
        `${target.name} neither deletes nor moves tags: ${left.join(', ')} stay, and hold nothing that is needed`,
      ),
    );
  return finish(job, whole, digest, started);
}

/** @throws BoxcarError `layers-failed`: which shards are not done. */
export function incomplete(
  missing: LayerPlan[],
  shards: Collected['shards'],
  tag: string,
  total: number,
): BoxcarError {
  const told = shards.map(({ name, layers }) => `${name} has brought ${layers}`).join(', ');
  return new BoxcarError(
    `${missing.length} of ${total} layers are not in the registry yet, the first is ${missing[0]?.path}`,
    {
      code: 'layers-failed',
      side: 'registry',
      hint: told
        ? `recorded so far: ${told}; run the shards that are missing, then finalize again`
        : `no shard has recorded anything under ${stateTag(tag)}-*: were they pushed with the same model, revision, target and tag?`,
    },
  );
}

async function collect(
  { plan, target, tags: [tag], shard, emit }: Publish,
  { store, identity }: ShardRecords,
  signal: AbortSignal,
): Promise<Collected> {
  const listed = await store.tags(signal);
  const known = new KnownLayers();
  const shards: Collected['shards'] = [];
  const own = stateTagsOf(listed ?? (shard ? allTags(tag, shard.count) : []), tag);
  const newest = own.filter(
    (each, i) => own.findIndex((other) => nameOf(other.shard) === nameOf(each.shard)) === i,
  );
  for (const each of newest) {
    const found = await readState(store, each.tag, signal);
    if (!found) continue;
    if ('fault' in found || found.state.model !== identity.model || found.state.commit !== identity.commit) {
      const why =
        'fault' in found
          ? found.fault
          : `belongs to commit ${found.state.commit.slice(0, 12)} of ${found.state.model}`;
      emit(warning(`${target.name}:${each.tag} ${why}: it is left out`));
      continue;
    }
    let layers = 0;
    for (const layer of plan.layers) {
      const recorded = found.state.layers[layer.name];
      if (!recorded?.digest || recorded.contentId !== layer.contentId || recorded.size !== layerSize(layer))
        continue;
      layers += 1;
      known.addLayer(layer, { digest: recorded.digest, source: nameOf(each.shard) } satisfies Candidate);
    }
    shards.push({ name: nameOf(each.shard), layers });
  }
  return { known, tags: own.map((each) => each.tag), shards };
}

function allTags(tag: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => stateTag(tag, { index, count }));
}

function nameOf(shard: Shard | undefined): string {
  return shard ? `shard ${shardName(shard)}` : 'an earlier run';
}
