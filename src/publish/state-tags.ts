import { BoxcarError } from '../errors.ts';
import { stateArtifact } from '../formats/state-artifact.ts';
import { emptyBlob } from '../oci/image.ts';
import { emptyState } from '../state/read-state.ts';
import type { StateIdentity } from '../state/state-schema.ts';
import type { Shard } from './shards.ts';
import type { StateStore } from './state-store.ts';

/** Longest tag (distribution-spec, "Pulling manifests"). */
const longest = 128;

/**
 * The tag of a publish's state: `<tag>.partial`, of a shard `<tag>.partial-2-8`. Where tags can be neither moved nor
 * deleted the later ones have a number: `<tag>.partial.2`.
 */
export function stateTag(tag: string, shard?: Shard, number = 1): string {
  const suffix = `.partial${shard ? `-${shard.index}-${shard.count}` : ''}${number > 1 ? `.${number}` : ''}`;
  return tag.slice(0, longest - suffix.length) + suffix;
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

/**
 * Removes states: by tag, else by digest, else it is replaced by an empty one.
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
  if (await store.deleteManifest(tag, signal)) return true;
  const there = await store.manifest(tag, signal);
  if (!there) return true;
  // Its digest is nobody else's: the artifact names its own tag and time.
  if (await store.deleteManifest(there.digest, signal)) return true;
  const { config, manifest } = stateArtifact(JSON.stringify(emptyState(identity)), [], tag, Date.now());
  try {
    for (const { bytes } of [config, emptyBlob]) await store.putBlob(bytes, signal);
    await store.putManifest(tag, manifest.bytes, manifest.descriptor.mediaType, signal);
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
}

/** A PUT that the registry has understood and does not want: the tag is immutable, for example. */
export function isRefused(error: unknown): boolean {
  const { method, status = 0 } = (error instanceof BoxcarError && error.request) || { method: '' };
  return method === 'PUT' && status >= 400 && status < 500 && status !== 401;
}
