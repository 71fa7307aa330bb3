import pLimit from 'p-limit';
import { BoxcarError } from '../../errors.ts';
import { emptyState } from '../../state/read-state.ts';
import type { LayerState, PublishState, StateIdentity } from '../../state/state-schema.ts';
import type { Shard } from '../shards.ts';
import { type LocationKeeper, openLayer, sealLayer } from './kept-location.ts';
import type { Progress } from './progress.ts';
import { StateArtifacts } from './state-artifacts.ts';
import type { StateKey } from './state-key.ts';
import { readState, type StateStore } from './state-store.ts';
import { isRefused, leftWords, newestNumber, stateTag } from './state-tags.ts';

/** Longest time between a change and its write, in ms, */
const writeEveryMs = 15_000;
/** and after a layer is finished: several that finish together are written together. */
const afterLayerMs = 1000;
/** Where every write leaves a tag behind that nobody can remove. */
const writeSeldomMs = 5 * 60_000;
/** Writes take one part in so many of the time, at most: a state of many layers is long. */
const restFactor = 10;
/** A layer of fewer bytes is sent again sooner than its closing is written down first. */
const worthAWrite = 64 * 1024 * 1024;
/** How long after a stop the last write may still go on, in ms: the command promises 5 s in all. */
const afterStopMs = 4500;
/** How long it may take after a failure, which may well have been the registry's. */
const afterFailureMs = 10_000;

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
  readonly #artifacts: StateArtifacts;
  readonly #one = pLimit(1);
  /** Ends what is under way some time after a stop: until then the last write shall be possible. */
  readonly #end = new AbortController();
  readonly #onStop = () => this.#endAfter(afterStopMs);
  #endTimer: NodeJS.Timeout | undefined;
  #dirty = false;
  /** Whether an upload session was opened, or gone on with. */
  #begun = false;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #restsUntil = 0;
  #ended = false;
  #failed: unknown;
  /** The registry does not take states, now or later. */
  #refused = false;
  #toldFailure = false;
  #toldSecrets = false;

  private constructor(options: RegistryStateOptions, state: PublishState, artifacts: StateArtifacts) {
    this.#options = options;
    this.#state = state;
    this.#artifacts = artifacts;
    if (options.signal.aborted) this.#onStop();
    else options.signal.addEventListener('abort', this.#onStop, { once: true });
  }

  /**
   * Reads what an earlier run, here or elsewhere, has left.
   * @throws BoxcarError `tag-exists` where the tag is something else's.
   */
  static async open(options: RegistryStateOptions): Promise<RegistryState> {
    const { store, tag, shard, identity, signal, warn } = options;
    const number = await newestNumber(store, tag, shard, signal);
    const artifacts = new StateArtifacts(store, tag, shard, number);
    const state = emptyState(identity);
    const name = stateTag(tag, shard, Math.max(1, number));
    const found = number === 0 ? undefined : await readState(store, name, signal);
    if (found && 'fault' in found) {
      if (found.writtenAt === undefined) throw taken(`${store.name}:${name}`);
      warn(`${store.name}:${name} ${found.fault}: starting a new state`);
    } else if (found && isOf(found.state, identity)) {
      for (const { digest, size } of found.held) artifacts.hold(digest, size);
      let closed = 0;
      for (const [each, layer] of Object.entries(found.state.layers)) {
        const opened = openLayer(layer, each, options);
        if (layer.upload && !opened.upload) closed += 1;
        state.layers[each] = opened;
      }
      if (closed > 0) warn(notOpened(closed, options.key));
    } else if (found)
      warn(
        `${store.name}:${name} belongs to another publish (${found.state.model} to ${found.state.target}): starting a new state`,
      );
    return new RegistryState(options, state, artifacts);
  }

  layer(name: string): LayerState | undefined {
    const layer = this.#state.layers[name];
    if (!layer?.upload?.digest || layer.digest) return layer;
    // Said of a layer that was to be closed. It is looked at like any other that is said to be there.
    const { digest, ...upload } = layer.upload;
    return { ...layer, digest, upload };
  }

  set(name: string, layer: LayerState): void {
    this.#state.layers[name] = layer;
    this.#dirty = true;
    if (layer.digest) this.#artifacts.hold(layer.digest, layer.size);
    // The first sessions are written down soon: whoever is killed before that has sent everything for nothing.
    const soon = layer.digest !== undefined || (layer.upload !== undefined && !this.#begun);
    this.#begun ||= layer.upload !== undefined;
    this.#schedule(soon ? afterLayerMs : writeEveryMs);
  }

  flush(name: string): Promise<void> | void {
    const { upload, size = 0 } = this.#state.layers[name] ?? {};
    if (upload?.digest && size >= worthAWrite && !this.#artifacts.seldom) return this.#write();
  }

  async record(): Promise<void> {
    this.#dirty = true;
    await this.#write();
    if (this.#failed === undefined) return;
    this.forget();
    throw this.#failed;
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    if (!this.#end.signal.aborted && !this.#options.signal.aborted) this.#endAfter(afterFailureMs);
    await this.#write();
    this.forget();
  }

  /** The image is there: what cannot be removed now is no reason to fail. */
  async finish(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    const { store, identity, warn } = this.#options;
    try {
      const left = await this.#one(() => this.#artifacts.remove(identity, this.#end.signal));
      if (left.length > 0) warn(leftWords(store.name, left));
    } catch (error) {
      warn(`the state of this publish stays in ${store.name}: ${(error as Error).message}`);
    }
    this.forget();
  }

  forget(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#endTimer);
    this.#options.signal.removeEventListener('abort', this.#onStop);
  }

  #endAfter(ms: number): void {
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => this.#end.abort(new Error('there was no time left')), ms);
  }

  /** Writes after so many ms, or sooner where that is planned already. */
  #schedule(ms: number): void {
    const now = performance.now();
    const at = Math.max(now + (this.#artifacts.seldom ? writeSeldomMs : ms), this.#restsUntil);
    if (this.#ended || this.#refused || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#write(), at - now);
  }

  #write(): Promise<void> {
    return this.#one(async () => {
      clearTimeout(this.#timer);
      this.#dueAt = Number.POSITIVE_INFINITY;
      if (!this.#dirty || this.#ended || this.#refused) return;
      this.#dirty = false;
      const start = performance.now();
      try {
        const text = JSON.stringify({ ...this.#state, layers: this.#sealedLayers() });
        await this.#artifacts.put(text, this.#end.signal);
        this.#failed = undefined;
      } catch (error) {
        this.#failed = error;
        this.#dirty = true;
        this.#refused = isRefused(error);
        this.#tellFailure(error as Error);
      }
      const now = performance.now();
      const seldom = this.#failed !== undefined || this.#artifacts.seldom;
      this.#restsUntil = now + (seldom ? writeSeldomMs : restFactor * (now - start));
    });
  }

  #tellFailure({ message }: Error): void {
    const { store, warn } = this.#options;
    if (!this.#toldFailure) warn(`progress cannot be kept in ${store.name}: ${message}`);
    this.#toldFailure = true;
  }

  #sealedLayers(): Record<string, LayerState> {
    const { key, warn } = this.#options;
    const keeper: LocationKeeper = this.#options;
    const layers = Object.entries(this.#state.layers).map(([name, layer]): [string, LayerState] => {
      const sealed = sealLayer(layer, name, keeper);
      if (layer.upload && !sealed.upload && !key && !this.#toldSecrets) {
        this.#toldSecrets = true;
        warn(
          'upload URLs of this registry may be secrets and are not kept, so that a layer cannot be gone on with in its middle; with BOXCAR_STATE_KEY they are kept, encrypted',
        );
      }
      return [name, sealed];
    });
    return Object.fromEntries(layers);
  }
}

/** Of another commit it is as well: what has not changed since need not be sent again. */
function isOf({ model, target }: PublishState, identity: StateIdentity): boolean {
  return model === identity.model && target === identity.target;
}

function notOpened(count: number, key: StateKey | undefined): string {
  const why = key
    ? 'another BOXCAR_STATE_KEY has sealed them, or somebody has altered them'
    : 'BOXCAR_STATE_KEY is not set';
  return `${count === 1 ? 'an unfinished upload' : `${count} unfinished uploads`} of an earlier run cannot be gone on with: ${why}`;
}

function taken(name: string): BoxcarError {
  return new BoxcarError(`${name} is needed for the state of this publish, and is something else`, {
    code: 'tag-exists',
    side: 'registry',
    hint: 'choose another tag with --target-tag, or remove that one',
  });
}
