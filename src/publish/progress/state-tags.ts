import { createHash } from 'node:crypto';
import { BoxcarError } from '../../errors.ts';
import { readStateArtifact, stateArtifact } from '../../formats/state-artifact.ts';
import type { Digest } from '../../oci/digest.ts';
import { emptyBlob } from '../../oci/image.ts';
import { emptyState } from '../../state/read-state.ts';
import type { StateIdentity } from '../../state/state-schema.ts';
import type { Shard } from '../shards.ts';
import type { StateStore } from './state-store.ts';

/** Longest tag (distribution-spec, "Pulling manifests"). */
const longest = 128;

/**
 * The tag of a publish's state: `<tag>.partial`, of a shard `<tag>.partial-2-8`. Where tags can be neither moved nor
 * deleted the later ones have a number: `<tag>.partial.2`. A tag too long for that is cut, and told from others by its hash.
 */
export function stateTag(tag: string, shard?: Shard, number = 1): string {
  const suffix = `.partial${shard ? `-${shard.index}-${shard.count}` : ''}${number > 1 ? `.${number}` : ''}`;
  if (tag.length + suffix.length <= longest) return tag + suffix;
  const hashed = `-${createHash('sha256').update(tag).digest('hex').slice(0, 12)}${suffix}`;
  return tag.slice(0, longest - hashed.length) + hashed;
}

/** What a state's tag says. */
export interface StateTag {
  tag: string;
  /** The image's, or how it starts where it is long. */
  of: string;
  shard?: Shard;
  number: number;
}

export function parseStateTag(tag: string): StateTag | undefined {
  const match = /^(.+)\.partial(?:-(\d{1,4})-(\d{1,4}))?(?:\.(\d{1,6}))?$/.exec(tag);
  if (!match) return undefined;
  const [, of = '', index, count, number] = match;
  const shard = count === undefined ? {} : { shard: { index: Number(index), count: Number(count) } };
  return { tag, of, ...shard, number: Number(number ?? 1) };
}

/** Of tags, those of the states of an image's tag; the newest of each first. */
export function stateTagsOf(tags: string[], image: string): StateTag[] {
  const found = tags.flatMap((tag) => parseStateTag(tag) ?? []);
  const own = found.filter(({ tag, shard, number }) => tag === stateTag(image, shard, number));
  return own.sort((a, b) => b.number - a.number);
}

/** The newest number of a state's tags, which count from 1; 0 where there is none. Lists of tags are long, or refused. */
export async function newestNumber(
  store: StateStore,
  tag: string,
  shard: Shard | undefined,
  signal: AbortSignal,
): Promise<number> {
  const exists = async (number: number) =>
    (await store.manifest(stateTag(tag, shard, number), signal)) !== undefined;
  let absent = 1;
  while (absent < 1_000_000 && (await exists(absent))) absent *= 2;
  let there = Math.floor(absent / 2);
  while (absent - there > 1) {
    const middle = Math.floor((absent + there) / 2);
    if (await exists(middle)) there = middle;
    else absent = middle;
  }
  return there;
}

/**
 * Removes states: by digest, else by tag, else each is replaced by an empty one. What else has such a tag stays.
 * @returns the tags that stay as they are, where tags are immutable and nothing can be deleted.
 */
export async function removeStates(
  store: StateStore,
  tags: string[],
  identity: StateIdentity,
  signal: AbortSignal,
): Promise<string[]> {
  const left: string[] = [];
  for (const tag of tags) if (!(await removeState(store, tag, identity, signal))) left.push(tag);
  return left;
}

async function removeState(
  store: StateStore,
  tag: string,
  identity: StateIdentity,
  signal: AbortSignal,
): Promise<boolean> {
  const there = await store.manifest(tag, signal);
  const artifact = there && readStateArtifact(there.bytes);
  if (!artifact) return true;
  const { config, manifest } = stateArtifact(JSON.stringify(emptyState(identity)), [], tag, Date.now(), {
    isOver: true,
  });
  if (await deleteState(store, tag, there.digest, signal)) return true;
  if (artifact.isOver) return true;
  try {
    for (const { bytes } of [config, emptyBlob]) await store.putBlob(bytes, signal);
    await store.putManifest(tag, manifest.bytes, manifest.descriptor.mediaType, signal);
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
}

/**
 * By the digest, which is nobody else's: the artifact names its own tag and time. Without its tag alone it would stay for
 * ever on distribution 3; Google takes digests only that have no tag any more.
 * @returns whether it is gone.
 */
export async function deleteState(
  store: StateStore,
  tag: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  await store.deleteManifest(digest, signal);
  if (!(await store.manifest(tag, signal))) return true;
  if (!(await store.deleteManifest(tag, signal))) return false;
  await store.deleteManifest(digest, signal);
  return true;
}

/** Told of tags that stay. */
export function leftWords(name: string, left: string[]): string {
  return `${name} neither deletes nor moves tags: ${left.join(', ')} stay, and hold nothing that is needed`;
}

/** A PUT that the registry has understood and does not want: the tag is immutable, for example. */
export function isRefused(error: unknown): boolean {
  const { method, status = 0 } = (error instanceof BoxcarError && error.request) || { method: '' };
  return method === 'PUT' && status >= 400 && status < 500 && ![401, 408, 429].includes(status);
}
