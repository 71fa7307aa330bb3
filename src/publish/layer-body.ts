import { type LayerPlan, layerSize, type OpenFile, openLayer } from '../layer/layer.ts';
import { type Checkpoint, LayerDigest } from '../layer/layer-digest.ts';
import type { Digest } from '../oci/digest.ts';

/** A layer as an upload wants it: opened anywhere, hashed from the newest checkpoint before that. */
export class LayerBody {
  readonly size: number;
  /** Time spent waiting for the file's bytes, in ms. */
  waitedMs = 0;
  readonly #plan: LayerPlan;
  readonly #openFile: OpenFile;
  readonly #onSkipped: () => void;
  #digest: LayerDigest;

  /** @param onSkipped told of every piece that is read again for its hash: there may be new checkpoints. */
  constructor(
    plan: LayerPlan,
    checkpoints: Checkpoint[],
    openFile: OpenFile,
    onSkipped: () => void = () => {},
  ) {
    this.size = layerSize(plan);
    this.#plan = plan;
    this.#openFile = openFile;
    this.#onSkipped = onSkipped;
    this.#digest = new LayerDigest(plan, checkpoints);
  }

  get checkpoints(): Checkpoint[] {
    return this.#digest.checkpoints;
  }

  /** Bytes before `from` are read again from a checkpoint on, for their hash only. */
  async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    // Its own hash: a source opened earlier may still be waiting for a piece.
    const digest = new LayerDigest(this.#plan, this.#digest.checkpoints);
    this.#digest = digest;
    const start = await digest.seek(from);
    const source = openLayer(this.#plan, start, this.#openFile, signal);
    try {
      for (;;) {
        const asked = performance.now();
        const { value: piece, done } = await source.next();
        this.waitedMs += performance.now() - asked;
        if (done) return;
        const before = digest.offset;
        await digest.update(piece);
        if (digest.offset > from) yield before >= from ? piece : piece.subarray(from - before);
        else this.#onSkipped();
      }
    } finally {
      void source.return(undefined).catch(() => {});
    }
  }

  digest(): Digest {
    return this.#digest.digest();
  }
}
