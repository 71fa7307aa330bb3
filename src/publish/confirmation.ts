import { BoxcarError } from '../errors.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import { LayerDigest } from '../layer/layer-digest.ts';
import { type PublishListener, warning } from './events.ts';
import type { Candidate } from './known-layers.ts';
import type { Target } from './target.ts';

/** Layers up to so many bytes are read and looked into instead of being asked for: that costs no more requests. */
const readUpTo = 64 * 1024;
/** Mounts that a repository refuses in a row before it is not asked any more. */
const patienceWithMounts = 2;

/**
 * Makes sure that candidates are what they are said to be, and in the target's repository. What only others have said is
 * looked into where it is small; of a large layer its size is compared. More cannot be had without reading it.
 */
export class Confirmation {
  readonly #target: Target;
  readonly #emit: PublishListener;
  readonly #signal: AbortSignal;
  /** Refusals in a row, by the repository that was to be mounted from. */
  readonly #refusals = new Map<string, number>();

  constructor(target: Target, emit: PublishListener, signal: AbortSignal) {
    this.#target = target;
    this.#emit = emit;
    this.#signal = signal;
  }

  /** The first candidate that is right. */
  async first(layer: LayerPlan, candidates: Candidate[]): Promise<Candidate | undefined> {
    for (const candidate of candidates) if (await this.#isRight(layer, candidate)) return candidate;
    return undefined;
  }

  async #isRight(layer: LayerPlan, { digest, source, from, trusted = false }: Candidate): Promise<boolean> {
    const size = layerSize(layer);
    const looked = !trusted && size <= readUpTo;
    if (from !== undefined && !(await this.#mounts(from, digest))) return false;
    if (!looked) return from !== undefined || this.#target.hasBlob(digest, this.#signal, size);
    const bytes = await this.#read(digest);
    if (!bytes) return false;
    if (await isLayer(layer, digest, bytes)) return true;
    this.#emit(warning(`${layer.path} in ${source} is not what it is said to be: it is not reused`));
    return false;
  }

  async #mounts(from: string, digest: Candidate['digest']): Promise<boolean> {
    const refusals = this.#refusals.get(from) ?? 0;
    if (refusals >= patienceWithMounts) return false;
    const mounted = await this.#target.mountBlob(digest, from, this.#signal);
    this.#refusals.set(from, mounted ? 0 : refusals + 1);
    if (!mounted && refusals + 1 === patienceWithMounts)
      this.#emit(warning(`the registry does not mount from ${from}: its layers are transferred`));
    return mounted;
  }

  /** `undefined` for a blob that is not there, or longer than it may be. */
  async #read(digest: Candidate['digest']): Promise<Buffer | undefined> {
    try {
      return await this.#target.blob(digest, readUpTo, this.#signal);
    } catch (error) {
      if (this.#signal.aborted || !(error instanceof BoxcarError) || error.code === 'unauthorized')
        throw error;
      return undefined;
    }
  }
}

/** Whether bytes are the very archive that the plan makes of the file the hub has recorded. */
async function isLayer(layer: LayerPlan, digest: Candidate['digest'], bytes: Buffer): Promise<boolean> {
  const { header, fileSize } = layer;
  const trailer = bytes.subarray(header.length + fileSize);
  if (bytes.length !== layerSize(layer) || !bytes.subarray(0, header.length).equals(header)) return false;
  if (trailer.some((byte) => byte !== 0)) return false;
  const hash = new LayerDigest(layer);
  await hash.seek(0);
  hash.update(bytes);
  try {
    return hash.digest() === digest;
  } catch {
    return false;
  }
}
