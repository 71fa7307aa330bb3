import pLimit from 'p-limit';
import { heldLayer, stateArtifact } from '../formats/state-artifact.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { emptyBlob } from '../oci/image.ts';
import { emptyState } from '../state/read-state.ts';
import type { LayerState, PublishState, StateIdentity } from '../state/state-schema.ts';
import type { Progress } from './progress.ts';
import type { Shard } from './shards.ts';
import { isSealed, isSecretLocation, type StateKey } from './state-key.ts';
import { readState, type StateStore } from './state-store.ts';
import { isRefused, removeStates, stateTag, stateTagsOf } from './state-tags.ts';

/** Longest time between a change and its write, in ms, */
const writeEveryMs = 15_000;
/** and after a layer is finished: several that finish together are written together. */
const afterLayerMs = 1000;
/** Where every write leaves a tag behind that nobody can remove. */
const writeSeldomMs = 5 * 60_000;
/** A layer of fewer bytes is sent again sooner than its closing is written down first. */
const worthAWrite = 64 * 1024 * 1024;

export interface RegistryStateOptions {
  store: StateStore;
  /** The image's. */
  tag: string;
  shard?: Shard | undefined;
  identity: StateIdentity;
  key: StateKey | undefined;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/**
 * The state of a publish, beside its image in the registry: an artifact that holds the finished layers, so that they are
 * not collected, and in its config everything that another machine needs to go on in the middle of the others.
 */
export class RegistryState implements Progress {
  /** Whoever may write to the repository may have written it. */
  readonly trusted = false;
  readonly #options: RegistryStateOptions;
  readonly #state: PublishState;
  /** Layers that this process knows to be in the repository: what is named and not there would be refused. */
  readonly #held = new Map<string, Descriptor>();
  readonly #one = pLimit(1);
  /** Its tags that are in the registry. */
  readonly #tags: Set<string>;
  #number: number;
  #seldom = false;
  #dirty = false;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #ended = false;
  #failed: unknown;

  private constructor(options: RegistryStateOptions, state: PublishState, tags: string[], number: number) {
    this.#options = options;
    this.#state = state;
    this.#tags = new Set(tags);
    this.#number = number;
  }

  /** Reads what an earlier run, here or elsewhere, has left. */
  static async open(options: RegistryStateOptions): Promise<RegistryState> {
    const { store, tag, shard, identity, signal, warn } = options;
    const listed = await store.tags(signal);
    const own = stateTagsOf(listed ?? [stateTag(tag, shard)], tag).filter(
      (each) => each.shard?.index === shard?.index && each.shard?.count === shard?.count,
    );
    const tags = own.map((each) => each.tag);
    const [newest] = own;
    const state = emptyState(identity);
    if (!newest) return new RegistryState(options, state, [], 1);
    const found = await readState(store, newest.tag, signal);
    if (!found) return new RegistryState(options, state, [], 1);
    if ('fault' in found) warn(`${store.name}:${newest.tag} ${found.fault}: starting a new state`);
    else if (found.state.model !== identity.model || found.state.target !== identity.target)
      warn(
        `${store.name}:${newest.tag} belongs to another publish (${found.state.model}): starting a new state`,
      );
    else
      for (const [name, layer] of Object.entries(found.state.layers))
        state.layers[name] = opened(layer, name, options);
    return new RegistryState(options, state, tags, newest.number);
  }

  layer(name: string): LayerState | undefined {
    return this.#state.layers[name];
  }

  set(name: string, layer: LayerState): void {
    this.#state.layers[name] = layer;
    this.#dirty = true;
    if (layer.digest) this.#held.set(name, heldLayer(layer.digest, layer.size));
    this.#schedule(this.#seldom ? writeSeldomMs : layer.digest ? afterLayerMs : writeEveryMs);
  }

  flush(name: string): Promise<void> | void {
    const { upload, size = 0 } = this.#state.layers[name] ?? {};
    if (upload?.digest && size >= worthAWrite && !this.#seldom) return this.#write();
  }

  async record(): Promise<void> {
    await this.#write();
    if (this.#failed) throw this.#failed;
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    await this.#write();
    this.forget();
  }

  async finish(): Promise<void> {
    this.forget();
    const { store, identity, signal, warn } = this.#options;
    await this.#one(async () => {
      const left = await removeStates(store, [...this.#tags], identity, signal);
      if (left.length > 0)
        warn(
          `${store.name} neither deletes nor moves tags: ${left.join(', ')} stay, and hold nothing that is needed`,
        );
    });
  }

  forget(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  /** Writes after so many ms, or sooner where that is planned already. */
  #schedule(ms: number): void {
    const rest = this.#seldom ? this.#wroteAt + writeSeldomMs : 0;
    const at = Math.max(performance.now() + ms, rest);
    if (this.#ended || this.#failed || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#write(), at - performance.now());
  }

  #write(): Promise<void> {
    return this.#one(async () => {
      clearTimeout(this.#timer);
      this.#dueAt = Number.POSITIVE_INFINITY;
      if (!this.#dirty || this.#ended || this.#failed) return;
      this.#dirty = false;
      try {
        await this.#put();
      } catch (error) {
        if (this.#options.signal.aborted) return;
        this.#failed = error;
        const { store, warn } = this.#options;
        warn(`no more progress is kept in ${store.name}: ${(error as Error).message}`);
      }
      this.#wroteAt = performance.now();
    });
  }

  async #put(): Promise<void> {
    const { store, tag, shard, signal } = this.#options;
    const text = JSON.stringify({ ...this.#state, layers: this.#sealedLayers() });
    const held = [...this.#held.values()];
    for (;;) {
      const name = stateTag(tag, shard, this.#number);
      const { config, manifest } = stateArtifact(text, held, name, Date.now());
      await store.putBlob(config.bytes, signal);
      if (held.length === 0) await store.putBlob(emptyBlob.bytes, signal);
      const put = () => store.putManifest(name, manifest.bytes, manifest.descriptor.mediaType, signal);
      try {
        await put();
      } catch (error) {
        if (!isRefused(error) || !this.#tags.has(name)) throw error;
        // An immutable tag: some registries delete what they do not move.
        if (!(await store.deleteManifest(name, signal))) {
          this.#number += 1;
          this.#seldom = true;
          continue;
        }
        await put();
      }
      this.#tags.add(name);
      return;
    }
  }

  /** Everything but the secrets: a session URL that is one is sealed, or left out where there is no key. */
  #sealedLayers(): Record<string, LayerState> {
    const layers = Object.entries(this.#state.layers).map(([name, layer]) => [
      name,
      sealed(layer, name, this.#options),
    ]);
    return Object.fromEntries(layers);
  }
}

function sealed(layer: LayerState, name: string, { store, key, identity }: RegistryStateOptions): LayerState {
  const { upload, ...rest } = layer;
  if (!upload || !isSecretLocation(upload.location, store.origin)) return layer;
  if (!key) return rest;
  return {
    ...rest,
    upload: { ...upload, location: key.seal(upload.location, `${identity.target} ${name}`) },
  };
}

function opened(layer: LayerState, name: string, { key, identity }: RegistryStateOptions): LayerState {
  const { upload, ...rest } = layer;
  if (!upload || !isSealed(upload.location)) return layer;
  const location = key?.open(upload.location, `${identity.target} ${name}`);
  return location === undefined ? rest : { ...rest, upload: { ...upload, location } };
}
