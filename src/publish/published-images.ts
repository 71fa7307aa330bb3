import { asBoxcarError } from '../errors.ts';
import { hasConfig, readModelcar } from '../formats/published-modelcar.ts';
import type { LayerPlan } from '../layer/layer.ts';
import type { ImageReference } from '../oci/reference.ts';
import { detail, type PublishListener, warning } from './events.ts';
import type { KnownLayers } from './known-layers.ts';
import type { ImageSource, Target } from './target.ts';

/** Images of earlier commits that are read in one repository. */
const mostEarlier = 4;
/** Bytes of an image's config: digests and labels. */
const configLimit = 4 * 1024 * 1024;

export interface ImageSearch {
  target: Target;
  /** What is looked for: the search ends when all are known. */
  layers: LayerPlan[];
  /** Tags that are looked at first: the image's own, and those that move along. */
  tags: string[];
  /** `--reuse-from`. */
  reuseFrom: ImageReference[];
  /** `--mount-from`: repositories of the same registry. */
  mountFrom: string[];
  /** The commits that led to this one, newest first. Asked for where there are tags that may be named after one. */
  history: () => Promise<string[]>;
  emit: PublishListener;
  signal: AbortSignal;
}

/**
 * Looks for layers in images that are published already: those named by the user, those under the publish's own tags,
 * and those of earlier commits, in the target's repository and in others of the same registry. A bounded number of
 * requests, and none of them must succeed: what is not found is transferred.
 */
export async function findPublishedImages(search: ImageSearch, known: KnownLayers): Promise<void> {
  const { target, reuseFrom, mountFrom, tags } = search;
  const look = new Look(search, known);
  for (const { repository, reference } of reuseFrom) {
    await look.in(repository, (source) => look.at(source, reference, repository, { asked: true }));
  }
  await look.softly(`earlier images in ${target.name}`, () => look.around(target, tags));
  for (const repository of mountFrom) await look.in(repository, (s) => look.around(s, tags, repository));
}

class Look {
  readonly #search: ImageSearch;
  readonly #known: KnownLayers;
  #history: Promise<string[]> | undefined;

  constructor(search: ImageSearch, known: KnownLayers) {
    this.#search = search;
    this.#known = known;
  }

  /** Another repository of the registry, which may be none of the account's business; or the target's own. */
  async in(repository: string | undefined, work: (source: ImageSource) => Promise<void>): Promise<void> {
    const { target } = this.#search;
    if (repository === undefined) {
      await this.softly(`images in ${target.name}`, () => work(target));
      return;
    }
    const neighbour = target.neighbour?.(repository);
    if (!neighbour) return;
    const done = await this.softly(`images in ${neighbour.source.name}`, () => work(neighbour.source));
    if (!done) neighbour.forget();
  }

  /** The images under `first`, then those of earlier commits, as far as the repository has such tags. */
  async around(source: ImageSource, first: string[], from?: string): Promise<void> {
    const listed = await source.tags(this.#search.signal);
    const there = listed && new Set(listed);
    for (const tag of first) if (there?.has(tag) ?? true) await this.at(source, tag, from);
    const others = listed?.filter((tag) => !first.includes(tag) && /^[0-9a-f]{7,40}$/.test(tag)) ?? [];
    if (others.length === 0 || this.#complete) return;
    for (const tag of (await this.#newestFirst(others)).slice(0, mostEarlier))
      await this.at(source, tag, from);
  }

  /** One image, if there is any of its layers that is not known yet. */
  async at(source: ImageSource, reference: string, from?: string, { asked = false } = {}): Promise<void> {
    const { signal, emit, target } = this.#search;
    if (this.#complete) return;
    const name = `${source === target ? '' : source.name}${reference.includes(':') ? '@' : ':'}${reference}`;
    const say = (message: string) => emit((asked ? warning : detail)(message));
    const manifest = await source.manifest(reference, signal);
    if (!manifest) return say(`there is no image ${name}: nothing is reused from it`);
    const image = readModelcar(manifest.bytes);
    const config = image && (await source.blob(image.config.digest, configLimit, signal));
    if (!image || !config || !hasConfig(image, config))
      return say(`${name} is not as boxcar publishes images: nothing is reused from it`);
    this.#known.addImage(image, name, source === target ? undefined : from);
  }

  /** @returns whether it went well: a search that fails costs bytes, not the publish. */
  async softly(what: string, work: () => Promise<void>): Promise<boolean> {
    const { signal, emit } = this.#search;
    try {
      await work();
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const { message } = asBoxcarError(error);
      emit(warning(`${what} cannot be looked at, nothing more is reused from there: ${message}`));
      return false;
    }
  }

  get #complete(): boolean {
    return this.#search.layers.every((layer) => this.#known.has(layer));
  }

  /** The tags that are named after commits that led to this one, the newest commit first. */
  async #newestFirst(tags: string[]): Promise<string[]> {
    this.#history ??= this.#search.history();
    const history = await this.#history;
    const found = tags.flatMap((tag) => {
      const age = history.findIndex((commit) => commit.startsWith(tag));
      return age < 0 ? [] : [{ tag, age }];
    });
    return found.sort((a, b) => a.age - b.age).map(({ tag }) => tag);
  }
}
