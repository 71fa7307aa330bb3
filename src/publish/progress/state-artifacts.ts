import { BoxcarError } from '../../errors.ts';
import { heldLayer, readStateArtifact, stateArtifact } from '../../formats/state-artifact.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { emptyBlob } from '../../oci/image.ts';
import type { StateIdentity } from '../../state/state-schema.ts';
import type { Shard } from '../shards.ts';
import type { StateStore } from './state-store.ts';
import { deleteState, isRefused, removeStates, stateTag } from './state-tags.ts';

/** Tags that somebody else has written meanwhile, and that are passed over. */
const mostTaken = 20;

/** The artifacts in which one publish's state is kept: one, or several where tags are immutable and cannot be deleted. */
export class StateArtifacts {
  readonly #store: StateStore;
  readonly #tag: string;
  readonly #shard: Shard | undefined;
  /** Layers that are in the repository: what is named and not there would be refused. */
  readonly #held = new Map<Digest, Descriptor>();
  readonly #tags = new Set<string>();
  #number: number;
  #seldom = false;

  /** @param number of the newest artifact that is there; 0 for none. */
  constructor(store: StateStore, tag: string, shard: Shard | undefined, number: number) {
    this.#store = store;
    this.#tag = tag;
    this.#shard = shard;
    this.#number = Math.max(1, number);
    for (let n = 1; n <= number; n++) this.#tags.add(stateTag(tag, shard, n));
  }

  /** Every write leaves a tag behind that nobody can remove. */
  get seldom(): boolean {
    return this.#seldom;
  }

  hold(digest: Digest, size: number): void {
    this.#held.set(digest, heldLayer(digest, size));
  }

  /** @throws BoxcarError where the registry does not take it. */
  async put(text: string, signal: AbortSignal): Promise<void> {
    let deleted = false;
    for (let taken = 0; ; ) {
      const name = stateTag(this.#tag, this.#shard, this.#number);
      try {
        await this.#putUnder(name, text, signal);
        this.#tags.add(name);
        if (this.#seldom) this.#number += 1;
        return;
      } catch (error) {
        if (lacksBlob(error) && (await this.#dropLost(signal))) continue;
        if (!isRefused(error) || taken === mostTaken) throw error;
        const there = await this.#store.manifest(name, signal);
        // It is not the tag that is the trouble, or it is nothing that may be taken away.
        if (!there || deleted || !readStateArtifact(there.bytes)) throw error;
        // Some registries delete what they do not move.
        deleted = !this.#seldom && (await deleteState(this.#store, name, there.digest, signal));
        if (deleted) continue;
        this.#seldom = true;
        this.#tags.add(name);
        this.#number += 1;
        taken += 1;
      }
    }
  }

  async #putUnder(name: string, text: string, signal: AbortSignal): Promise<void> {
    const held = [...this.#held.values()];
    const { config, manifest } = stateArtifact(text, held, name, Date.now());
    await this.#store.putBlob(config.bytes, signal);
    if (held.length === 0) await this.#store.putBlob(emptyBlob.bytes, signal);
    await this.#store.putManifest(name, manifest.bytes, manifest.descriptor.mediaType, signal);
  }

  /** A layer may have been collected since an earlier run. @returns whether there was one. */
  async #dropLost(signal: AbortSignal): Promise<boolean> {
    const before = this.#held.size;
    for (const digest of [...this.#held.keys()])
      if (!(await this.#store.hasBlob(digest, signal))) this.#held.delete(digest);
    return this.#held.size < before;
  }

  /** @returns the tags that stay. */
  remove(identity: StateIdentity, signal: AbortSignal): Promise<string[]> {
    return removeStates(this.#store, [...this.#tags], identity, signal);
  }
}

/** `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes"). */
function lacksBlob(error: unknown): boolean {
  return error instanceof BoxcarError && /BLOB_UNKNOWN/.test(error.request?.answer ?? '');
}
