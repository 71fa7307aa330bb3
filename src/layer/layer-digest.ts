import { type ContentHash, contentHash } from '../digest/content-id.ts';
import { type Sha256, type Sha256Engine, type Sha256State, sha256Engine } from '../digest/sha256.ts';
import { BoxcarError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type LayerPlan, layerSize } from './layer.ts';

/** Bytes between two checkpoints: as much is read again, at most, when a transfer goes on from the one before. */
const checkpointEvery = 1024 * 1024;
/** The newest ones are all kept; of older ones every power of two: a registry may have kept less than it was sent. */
const newestKept = 16;

/** Both hashes of a layer as they stood at `offset` (of the layer; a multiple of 64 bytes). */
export interface Checkpoint {
  offset: number;
  /** Chain values of the layer's hash, 64 hex digits. */
  layer: string;
  /** Chain values of the file's hash; absent while `offset` is in the header. */
  content?: string;
}

/**
 * Hashes a layer's bytes as they pass, from the start or from a checkpoint: the layer's digest for the registry, and the
 * file's own to compare with what the hub recorded. Ends in a digest only if both sizes and the content are right.
 */
export class LayerDigest {
  checkpoints: Checkpoint[];
  readonly #plan: LayerPlan;
  readonly #verify: boolean;
  #offset = 0;
  #engine!: Sha256Engine;
  #layer!: Sha256;
  #content: ContentHash | undefined;

  /** @param verify whether a large file's own hash is computed and compared too; a small one's always is. */
  constructor(plan: LayerPlan, checkpoints: Checkpoint[] = [], verify = true) {
    this.#plan = plan;
    this.#verify = verify || plan.contentId.startsWith('git:');
    // Those that do not fit this layer are worth nothing: a state file may be of any origin.
    const fits = ({ offset, content }: Checkpoint) =>
      offset % 64 === 0 &&
      offset < plan.header.length + plan.fileSize &&
      (!this.#verify || (content !== undefined) === offset >= plan.header.length) &&
      !(content !== undefined && plan.contentId.startsWith('git:'));
    this.checkpoints = checkpoints.filter(fits).sort((a, b) => a.offset - b.offset);
  }

  /** Bytes of the layer hashed so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Goes back, or forward, to the newest checkpoint at or before `offset`; gives the offset to read from. */
  async seek(offset: number): Promise<number> {
    const { header, contentId, fileSize } = this.#plan;
    while ((this.checkpoints.at(-1)?.offset ?? 0) > offset) this.checkpoints.pop();
    const from = this.checkpoints.at(-1);
    this.#offset = from?.offset ?? 0;
    this.#engine = await sha256Engine();
    this.#layer = await this.#engine.create(from && { bytes: from.offset, chain: from.layer });
    const content = from?.content && { bytes: from.offset - header.length, chain: from.content };
    if (this.#verify) this.#content = await contentHash(contentId, fileSize, content || undefined);
    return this.#offset;
  }

  /** The bytes are not to be changed before the promise is fulfilled: they may be hashed on another thread. */
  async update(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const piece = rest.subarray(0, this.#nextMark() - this.#offset);
      await this.#hash(piece);
      this.#offset += piece.length;
      if (this.#offset % checkpointEvery === 0) this.#checkpoint();
      rest = rest.subarray(piece.length);
    }
  }

  /** Where the next checkpoint is, or the file begins or ends. */
  #nextMark(): number {
    const fileStart = this.#plan.header.length;
    const fileEnd = fileStart + this.#plan.fileSize;
    const mark = (Math.floor(this.#offset / checkpointEvery) + 1) * checkpointEvery;
    return Math.min(...[fileStart, fileEnd, mark].filter((offset) => offset > this.#offset));
  }

  /** Bytes that are all of the file, or none of them. */
  #hash(piece: Uint8Array): Promise<void> | undefined {
    const start = this.#plan.header.length;
    const content =
      this.#offset >= start && this.#offset < start + this.#plan.fileSize ? this.#content : undefined;
    if (content?.sha256) return this.#engine.update([this.#layer, content.sha256], piece);
    content?.update(piece);
    return this.#engine.update([this.#layer], piece);
  }

  /**
   * The layer's digest, once every byte has passed.
   * @throws BoxcarError `content-mismatch` when the file is not what the hub recorded.
   */
  digest(): Digest {
    const { path, contentId } = this.#plan;
    const size = layerSize(this.#plan);
    if (this.#offset !== size) throw mismatch(path, `${this.#offset} of ${size} bytes of its layer came`);
    const id = this.#verify ? this.#content?.id() : contentId;
    if (id !== contentId) throw mismatch(path, `its bytes have ${id}, the hub recorded ${contentId}`);
    return `sha256:${this.#layer.digest()}`;
  }

  #checkpoint(): void {
    const { header, fileSize } = this.#plan;
    if (this.#offset >= header.length + fileSize) return;
    const content: Sha256State | undefined = this.#offset < header.length ? undefined : this.#content?.save();
    // A git id cannot be saved: such a file is hashed from its start again.
    if (!content && this.#offset >= header.length && this.#verify) return;
    this.checkpoints.push({
      offset: this.#offset,
      layer: this.#layer.save().chain,
      ...(content ? { content: content.chain } : {}),
    });
    this.checkpoints = thin(this.checkpoints);
  }
}

/**
 * Keeps the newest few and, further back, one in each power of two of distance. A checkpoint is kept for its own number
 * and distance alone: one dropped is never missed later, when the distances have grown.
 */
function thin(checkpoints: Checkpoint[]): Checkpoint[] {
  const newest = checkpoints.at(-1)?.offset ?? 0;
  return checkpoints.filter(({ offset }) => {
    const distance = (newest - offset) / checkpointEvery;
    return distance < newestKept || (offset / checkpointEvery) % 2 ** Math.floor(Math.log2(distance)) === 0;
  });
}

function mismatch(path: string, what: string): BoxcarError {
  return new BoxcarError(`${path} is not what the hub lists: ${what}`, {
    code: 'content-mismatch',
    side: 'hub',
    hint: 'nothing was published with it; if it happens again, a proxy or cache between here and the hub alters files',
  });
}
