import { asBoxcarError, BoxcarError } from '../../errors.ts';
import { hasConfig, readModelcar } from '../../formats/published-modelcar.ts';
import { isBloated } from '../../http/json-document.ts';
import type { LayerPlan } from '../../layer/layer.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ImageReference } from '../../oci/reference.ts';
import { detail, type PublishListener, warning } from '../events.ts';
import type { ImageSource, Target } from '../target.ts';
import type { KnownLayers } from './known-layers.ts';

/** Images of earlier commits that are read in one repository. */
const mostEarlier = 4;
/** Images in one repository that could not be looked at, after which no more are. */
const mostFailures = 2;
/** Bytes of an image's config: digests and labels. */
const configLimit = 4 * 1024 * 1024;
/** How long all of it may take, in ms: after that it is sooner transferred than found. */
const searchMs = 60_000;

export interface ImageSearch {
  target: Target;
  /** What is looked for: the search ends when all are known. */
  layers: LayerPlan[];
  /** Tags that are looked at first: the image's own, then those that move along. */
  tags: string[];
  /** Whether there is an image under the image's own tag in the target. */
  taken: boolean;
  /** `--reuse-from`. */
  reuseFrom: ImageReference[];
  /** `--mount-from`: repositories of the same registry. */
  mountFrom: string[];
  /** The commits that led to this one, newest first. Asked for where there are tags that may be named after one. */
  history: (signal: AbortSignal) => Promise<string[]>;
  emit: PublishListener;
  signal: AbortSignal;
  /** Default: a minute. */
  withinMs?: number;
}

/**
 * Looks for layers in images that are published already: in the target's repository, then in others of the same registry
 * those that the user names, those under the publish's own tags, and those of earlier commits. A bounded number of
 * requests, and none of them must succeed: what is not found is transferred.
 */
export async function findPublishedImages(search: ImageSearch, known: KnownLayers): Promise<void> {
  const { reuseFrom, mountFrom, tags, taken } = search;
  const [own, ...further] = tags as [string, ...string[]];
  const look = new Look(search, known);
  const named = (path?: string) =>
    reuseFrom.filter(({ repository }) => repository === path).map(({ reference }) => reference);
  await look.in(undefined, named(), taken ? [own, ...further] : further);
  const others = new Set([...reuseFrom.flatMap(({ repository }) => repository ?? []), ...mountFrom]);
  for (const path of others) await look.in(path, named(path), mountFrom.includes(path) ? tags : undefined);
}

/** A repository that is looked at. */
interface Place {
  source: ImageSource;
  /** Where it is not the target's own. */
  path: string | undefined;
  /** Images that were read. */
  seen: Set<Digest>;
  /** Those that layers were found in, and those that could not be looked at. */
  used: number;
  failures: number;
}

class Look {
  readonly #search: ImageSearch;
  readonly #known: KnownLayers;
  readonly #withinMs: number;
  readonly #deadline: AbortSignal;
  readonly #signal: AbortSignal;
  #history: string[] | undefined;
  #late = false;

  constructor(search: ImageSearch, known: KnownLayers) {
    this.#search = search;
    this.#known = known;
    this.#withinMs = search.withinMs ?? searchMs;
    this.#deadline = AbortSignal.timeout(this.#withinMs);
    this.#signal = AbortSignal.any([search.signal, this.#deadline]);
  }

  /**
   * The images that are named, and those around them: under the first tags, then of earlier commits.
   * @param path of a repository that may be none of the account's business; `undefined` for the target's own.
   */
  async in(path: string | undefined, named: string[], first: string[] | undefined): Promise<void> {
    if (this.#late || (path !== undefined && this.#complete)) return;
    const found = this.#search.target.lookup(path);
    if (!found) return;
    const place: Place = { source: found.source, path, seen: new Set(), used: 0, failures: 0 };
    try {
      for (const reference of named) await this.#at(place, reference, warning);
      for (const tag of first ?? []) await this.#at(place, tag);
      if (first) for (const tag of await this.#earlier(place, first)) await this.#at(place, tag);
      // Whoever has nothing for us needs not be named to the token server again.
      if (place.used === 0) found.forget();
    } catch (error) {
      found.forget();
      this.#tell(`images in ${found.source.name} cannot be looked at, nothing is reused from there`, error);
    }
  }

  /** The tags of earlier commits, the newest commit first. */
  async #earlier({ source }: Place, first: string[]): Promise<string[]> {
    if (this.#complete) return [];
    const { emit } = this.#search;
    const listed = await source.tags(this.#signal);
    if (!listed) {
      emit(warning(`the registry does not list the tags of ${source.name}: --reuse-from can name an image`));
      return [];
    }
    const tags = listed.filter((tag) => !first.includes(tag) && /^[0-9a-f]{7,40}$/.test(tag));
    if (tags.length === 0) return [];
    const history = await this.#commits();
    const ages = tags.map((tag) => ({ tag, age: history.findIndex((commit) => commit.startsWith(tag)) }));
    const found = ages.filter(({ age }) => age >= 0).sort((a, b) => a.age - b.age);
    return found.slice(0, mostEarlier).map(({ tag }) => tag);
  }

  /** One image, where there is any layer that is not known yet. One that is broken says nothing of the others. */
  async #at(place: Place, reference: string, say = detail): Promise<void> {
    const { source, path } = place;
    if (this.#complete || place.failures >= mostFailures) return;
    const separator = reference.includes(':') ? '@' : ':';
    const name = `${path === undefined ? '' : source.name}${separator}${reference}`;
    try {
      const why = await this.#read(place, reference, name);
      if (why) this.#search.emit(say(`${why}: nothing is reused from it`));
    } catch (error) {
      const refused = error instanceof BoxcarError && error.code === 'unauthorized';
      if (refused || this.#signal.aborted) throw error;
      place.failures += 1;
      this.#tell(`the image ${name} cannot be looked at, nothing is reused from it`, error);
    }
  }

  /** @returns why there is nothing in it. */
  async #read(place: Place, reference: string, name: string): Promise<string | undefined> {
    const { source, path, seen } = place;
    const manifest = await source.manifest(reference, this.#signal);
    if (!manifest) return `there is no image ${name}`;
    if (seen.has(manifest.digest)) return undefined;
    seen.add(manifest.digest);
    const other = `${name} is not as boxcar publishes images`;
    if (reference.includes(':') && reference !== manifest.digest) return other;
    const image = readModelcar(manifest.bytes);
    if (!image || image.config.size > configLimit) return other;
    const config = await source.blob(image.config.digest, configLimit, this.#signal);
    if (!config || isBloated(config) || !hasConfig(image, config)) return other;
    this.#known.addImage(image, name, path);
    place.used += 1;
    return undefined;
  }

  /** Without them tags say nothing. */
  async #commits(): Promise<string[]> {
    if (this.#history) return this.#history;
    this.#history = [];
    try {
      this.#history = await this.#search.history(this.#signal);
    } catch (error) {
      this.#tell("the model's earlier commits cannot be listed, no images of theirs are looked for", error);
    }
    return this.#history;
  }

  /** A search that fails costs bytes, not the publish. */
  #tell(what: string, error: unknown): void {
    const { signal, emit } = this.#search;
    signal.throwIfAborted();
    if (!this.#deadline.aborted) emit(warning(`${what}: ${asBoxcarError(error).message}`));
    else if (!this.#late) {
      this.#late = true;
      const seconds = Math.round(this.#withinMs / 1000);
      emit(warning(`earlier images were not found within ${seconds} s: what is not known is transferred`));
    }
  }

  get #complete(): boolean {
    return this.#search.layers.every((layer) => this.#known.candidates(layer).length > 0);
  }
}
