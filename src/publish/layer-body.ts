import { type LayerPlan, layerSize, type OpenFile, openLayer } from '../layer/layer.ts';
import { type Checkpoint, LayerDigest } from '../layer/layer-digest.ts';
import type { Digest } from '../oci/digest.ts';
import type { BodyPhase } from './phases.ts';

/** A layer as an upload wants it: opened anywhere, hashed from the newest checkpoint before that. */
export class LayerBody {
  readonly size: number;
  readonly #plan: LayerPlan;
  readonly #openFile: OpenFile;
  readonly #onSkipped: () => void;
  readonly #onPhase: (phase: BodyPhase) => void;
  #digest: LayerDigest;

  /**
   * @param onSkipped told of every piece that is read again for its hash: there may be new checkpoints.
   * @param onPhase told what is waited for from now on: `registry` is whoever takes the pieces.
   */
  constructor(
    plan: LayerPlan,
    checkpoints: Checkpoint[],
    openFile: OpenFile,
    onSkipped: () => void = () => {},
    onPhase: (phase: BodyPhase) => void = () => {},
  ) {
    this.size = layerSize(plan);
    this.#plan = plan;
    this.#openFile = openFile;
    this.#onSkipped = onSkipped;
    this.#onPhase = onPhase;
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
    const enter = (phase: BodyPhase) => {
      if (this.#digest === digest) this.#onPhase(phase);
    };
    enter('digest');
    const start = await digest.seek(from);
    const source = openLayer(this.#plan, start, this.#openFile, signal);
    try {
      for (;;) {
        enter('hub');
        const { value: piece, done } = await source.next();
        if (done) return;
        enter('digest');
        const before = digest.offset;
        await digest.update(piece);
        if (digest.offset > from) {
          enter('registry');
          yield before >= from ? piece : piece.subarray(from - before);
        } else this.#onSkipped();
      }
    } finally {
      enter('registry');
      void source.return(undefined).catch(() => {});
    }
  }

  digest(): Digest {
    return this.#digest.digest();
  }
}
