import { packing } from '../../formats/modelcar.ts';
import type { PublishedModelcar } from '../../formats/published-modelcar.ts';
import { type LayerPlan, layerSize } from '../../layer/layer.ts';
import type { Digest } from '../../oci/digest.ts';

/** A blob that is said to be a layer of the plan. */
export interface Candidate {
  digest: Digest;
  /** Where that is said, in words. */
  source: string;
  /** The repository of the same registry that it must be mounted from; absent where it is in the target's own. */
  from?: string;
  /** Whether only this machine can have said it. What a registry says is looked at again where that is cheap. */
  trusted?: boolean;
}

/** An image, and where it was found: `:a1b2c3d4e5f6`. */
interface Found {
  image: PublishedModelcar;
  source: string;
}

/**
 * Layers that are said to exist. A layer is the same where the bytes of its archive are: path in the image (prefix and
 * path), content id, packing and size. Nothing else makes one file's layer another's.
 */
export class KnownLayers {
  readonly #candidates = new Map<string, Candidate[]>();
  /** For saying why a layer is not among them: the first image with the path, with the content, and with both. */
  readonly #paths = new Map<string, Found>();
  readonly #contents = new Map<string, Found & { path: string }>();
  readonly #files = new Map<string, Found>();
  readonly #images: Found[] = [];

  /** @param from the repository, where it is not the target's. */
  addImage(image: PublishedModelcar, source: string, from?: string): void {
    const found = { image, source };
    this.#images.push(found);
    for (const { path, contentId, digest, size, packing } of image.layers) {
      const candidate = { digest, source, ...(from === undefined ? {} : { from }) };
      this.#add(keyOf(image.prefix + path, contentId, packing, size), candidate);
      if (!this.#paths.has(path)) this.#paths.set(path, found);
      if (!this.#contents.has(contentId)) this.#contents.set(contentId, { ...found, path });
      const file = JSON.stringify([path, contentId]);
      if (!this.#files.has(file)) this.#files.set(file, found);
    }
  }

  addLayer(layer: LayerPlan, candidate: Candidate): void {
    this.#add(keyOfPlan(layer), candidate);
  }

  /** Those of a layer, in the order in which they were found. */
  candidates(layer: LayerPlan): Candidate[] {
    return this.#candidates.get(keyOfPlan(layer)) ?? [];
  }

  /** Whether the file's content is published already, in a layer that cannot be this one. */
  isElsewhere({ contentId }: LayerPlan): boolean {
    return this.#contents.has(contentId);
  }

  /** Why a layer that is not known must be transferred. */
  whyNot({ path, name, contentId }: LayerPlan): string {
    const same = this.#files.get(JSON.stringify([path, contentId]));
    if (same && same.image.prefix + path !== name)
      return `in ${same.source} it is under ${same.image.prefix || 'the root'}: a layer of its own`;
    if (same) return `in ${same.source} it was packed by other rules`;
    const before = this.#paths.get(path);
    if (before) return `its content has changed since ${before.source}`;
    const moved = this.#contents.get(contentId);
    if (moved)
      return `the same content as ${moved.path} in ${moved.source}, under another path: a layer of its own`;
    const [newest] = this.#images;
    return newest ? `new since ${newest.source}` : 'not published before';
  }

  #add(key: string, candidate: Candidate): void {
    const known = this.#candidates.get(key);
    if (!known) this.#candidates.set(key, [candidate]);
    else if (known.every(({ digest, from }) => digest !== candidate.digest || from !== candidate.from))
      known.push(candidate);
  }
}

function keyOfPlan(layer: LayerPlan): string {
  return keyOf(layer.name, layer.contentId, packing, layerSize(layer));
}

function keyOf(name: string, contentId: string, packing: string, size: number): string {
  return JSON.stringify([name, contentId, packing, size]);
}
