import pLimit from 'p-limit';
import { BoxcarError } from '../../errors.ts';
import { type LayerPlan, layerSize } from '../../layer/layer.ts';
import { LayerDigest } from '../../layer/layer-digest.ts';
import type { Digest } from '../../oci/digest.ts';
import { type PublishListener, warning } from '../events.ts';
import type { ImageSource, Target } from '../target.ts';
import type { Candidate } from './known-layers.ts';

/** Layers up to so many bytes are read and looked into instead of being asked for: that costs no more requests. */
const readUpTo = 64 * 1024;
/** Refusals in a row after which the same is not asked for any more. */
const patience = 2;

/**
 * Makes sure that candidates are what they are said to be, and in the target's repository. What only others have said is
 * looked into where it is small; of a large layer its size is compared. More cannot be had without reading it.
 */
export class Confirmation {
  readonly #target: Target;
  readonly #source: ImageSource;
  readonly #emit: PublishListener;
  readonly #signal: AbortSignal;
  /** Refusals in a row, by the repository that was to be mounted from; none where it has mounted. */
  readonly #refusals = new Map<string, number>();
  /** A repository that has not mounted yet is tried with one layer at a time, so that a refusal is met by few. */
  readonly #trying = pLimit(1);
  #readFailures = 0;
  #told = new Set<string>();

  constructor(target: Target, emit: PublishListener, signal: AbortSignal) {
    this.#target = target;
    this.#source = target.lookup()?.source ?? target;
    this.#emit = emit;
    this.#signal = signal;
  }

  /** The first candidate that is right. */
  async first(layer: LayerPlan, candidates: Candidate[]): Promise<Candidate | undefined> {
    for (const candidate of candidates) if (await this.#isRight(layer, candidate)) return candidate;
    return undefined;
  }

  async #isRight(layer: LayerPlan, candidate: Candidate): Promise<boolean> {
    const { digest, source, from, trusted = false } = candidate;
    const size = layerSize(layer);
    if (from !== undefined && !(await this.#mounted(from, digest))) return false;
    if (trusted || size > readUpTo) return this.#has(digest, size);
    const bytes = await this.#read(digest);
    if (!bytes) return false;
    if (await isLayer(layer, digest, bytes)) return true;
    this.#emit(warning(`${layer.path} in ${source} is not what it is said to be: it is not reused`));
    return false;
  }

  /** A registry that does not say takes the layer once more. One that does not answer at all is an error. */
  async #has(digest: Digest, size: number): Promise<boolean> {
    try {
      return await this.#target.hasBlob(digest, this.#signal, size);
    } catch (error) {
      if (this.#signal.aborted || !(error instanceof BoxcarError) || error.transient) throw error;
      this.#tellOnce(`${error.message}: what it does not tell is transferred`, 'has');
      return false;
    }
  }

  async #mounted(from: string, digest: Digest): Promise<boolean> {
    if (this.#refusals.get(from) === 0) return this.#mount(from, digest);
    return this.#trying(() => this.#mount(from, digest));
  }

  async #mount(from: string, digest: Digest): Promise<boolean> {
    const refusals = this.#refusals.get(from) ?? 0;
    if (refusals >= patience) return false;
    const [mounted, why] = await this.#optional(() => this.#target.mountBlob(digest, from, this.#signal));
    this.#refusals.set(from, mounted ? 0 : refusals + 1);
    if (!mounted && refusals + 1 >= patience)
      this.#tellOnce(
        `the registry does not mount from ${from}${why}: the layers that are there are transferred`,
        from,
      );
    return mounted ?? false;
  }

  /** `undefined` for a blob that is not there, or that cannot be had. */
  async #read(digest: Digest): Promise<Buffer | undefined> {
    if (this.#readFailures >= patience) return undefined;
    const [bytes, why] = await this.#optional(() => this.#source.blob(digest, readUpTo, this.#signal));
    this.#readFailures = why === '' ? 0 : this.#readFailures + 1;
    if (why !== '')
      this.#tellOnce(
        `small layers of ${this.#target.name} cannot be looked into${why}: they are transferred`,
      );
    return bytes;
  }

  /** What cannot be had, and in words why. */
  async #optional<T>(work: () => Promise<T>): Promise<[value: T | undefined, why: string]> {
    try {
      return [await work(), ''];
    } catch (error) {
      if (this.#signal.aborted || !(error instanceof BoxcarError)) throw error;
      return [undefined, ` (${error.message})`];
    }
  }

  #tellOnce(message: string, about = message): void {
    if (this.#told.has(about)) return;
    this.#told.add(about);
    this.#emit(warning(message));
  }
}

/** Whether bytes are the very archive that the plan makes of the file the hub has recorded. */
async function isLayer(layer: LayerPlan, digest: Digest, bytes: Buffer): Promise<boolean> {
  const { header, fileSize } = layer;
  const trailer = bytes.subarray(header.length + fileSize);
  if (bytes.length !== layerSize(layer) || !bytes.subarray(0, header.length).equals(header)) return false;
  if (trailer.some((byte) => byte !== 0)) return false;
  const hash = new LayerDigest(layer);
  await hash.seek(0);
  await hash.update(bytes);
  try {
    return hash.digest() === digest;
  } catch {
    return false;
  }
}
