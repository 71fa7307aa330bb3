import type { Plan } from '../formats/modelcar.ts';
import type { LayerPlan } from '../layer/layer.ts';
import type { StateIdentity } from '../state/state-schema.ts';
import type { PublishListener } from './events.ts';
import type { LinkRates } from './link.ts';
import type { Progress } from './progress/progress.ts';
import type { StateStore } from './progress/state-store.ts';
import type { KnownLayers } from './reuse/known-layers.ts';
import type { Shard } from './shards.ts';
import type { Target } from './target.ts';
import type { OpenModelFile } from './transfer.ts';
import type { WorkerCount } from './workers.ts';

/** Everything that a publish needs. */
export interface Publish {
  plan: Plan;
  target: Target;
  /** The image's tag, then those written after it. */
  tags: [string, ...string[]];
  workers: WorkerCount;
  /** Move a tag that points elsewhere; where it points here already, transfer everything again. */
  force: boolean;
  /** Ask for every blob of an image that is there already. */
  check: boolean;
  /** Whether one failed layer stops the others. */
  failFast: boolean;
  /** Bytes a second that are allowed. */
  caps: LinkRates;
  openFile: OpenModelFile;
  /** Whether large files are compared with what the hub recorded of them. */
  verifyContent: boolean;
  /** Whether the model's files may be read; asked when the first of them is about to be. */
  probe: () => Promise<void>;
  openProgress: () => Promise<Progress | undefined>;
  /** Finds layers in images that are published already. `taken`: whether there is one under the image's own tag. */
  findKnown: (layers: LayerPlan[], known: KnownLayers, taken: boolean, signal: AbortSignal) => Promise<void>;
  emit: PublishListener;
  signal?: AbortSignal | undefined;
  /** Told when the requests under way are to end cleanly, for whatever reason. */
  onStop?: () => void;
}

/** A part of a publish. */
export interface ShardJob extends Shard {
  records: ShardRecords;
  /** The layers that it brings. */
  share: LayerPlan[];
  /** Tag the image where the others are done. */
  finalizeLast: boolean;
}

/** Where the states of all shards are. */
export interface ShardRecords {
  store: StateStore;
  identity: StateIdentity;
  /** In how many parts the layers were divided, where that is known: needed where tags are not listed. */
  count?: number;
}
