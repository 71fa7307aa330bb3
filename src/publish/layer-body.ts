import { type LayerPlan, layerSize, type OpenFile, openLayer } from '../layer/layer.ts';
import { type Checkpoint, LayerDigest } from '../layer/layer-digest.ts';
import type { Digest } from '../oci/digest.ts';
import type { BodyPhase } from './phases.ts';

export interface LayerBodyOptions {
  openFile: OpenFile;
  /** Where an earlier run has left off. */
  checkpoints: Checkpoint[];
  /** Whether a large file is compared with what the hub recorded of it. */
  verifyContent: boolean;
  /** Told of every piece that is read again for its hash: there may be new checkpoints. */
  onSkipped: () => void;
  /** Told what is waited for from now on: `registry` is whoever takes the pieces. */
  onPhase: (phase: BodyPhase) => void;
}

/** A layer as an upload wants it: opened anywhere, hashed from the newest checkpoint before that. */
export class LayerBody {
  readonly size: number;
  readonly #plan: LayerPlan;
  readonly #options: LayerBodyOptions;
  #digest: LayerDigest;

  constructor(plan: LayerPlan, options: LayerBodyOptions) {
    this.size = layerSize(plan);
    this.#plan = plan;
    this.#options = options;
    this.#digest = new LayerDigest(plan, options.checkpoints, options.verifyContent);
  }

  get checkpoints(): Checkpoint[] {
    return this.#digest.checkpoints;
  }

  /** Bytes before `from` are read again from a checkpoint on, for their hash only. */
  async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    // Its own hash: a source opened earlier may still be waiting for a piece.
    const { openFile, verifyContent, onSkipped, onPhase } = this.#options;
    const digest = new LayerDigest(this.#plan, this.#digest.checkpoints, verifyContent);
    this.#digest = digest;
    const enter = (phase: BodyPhase) => {
      if (this.#digest === digest) onPhase(phase);
    };
    enter('digest');
    const start = await digest.seek(from);
    const source = openLayer(this.#plan, start, openFile, signal);
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
        } else onSkipped();
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
