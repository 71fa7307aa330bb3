import type { BoxcarError, Side } from '../errors.ts';
import { type FailureReason, failureReason } from '../http/failure-reason.ts';
import type { RetryNotice } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { Bottleneck, Phases } from './phases.ts';

/** How a layer came to be in the registry. `resumed`: only its missing end was sent in this run. */
export type LayerOutcome = 'reused' | 'mounted' | 'resumed' | 'transferred';

/** What one layer cost in this run. Bytes are bytes of the layer (sent) and of the file (read); retries count both sides. */
export interface LayerResult {
  path: string;
  digest: Digest;
  /** Size of the layer in bytes. */
  size: number;
  outcome: LayerOutcome;
  bytesSent: number;
  bytesRead: number;
  seconds: number;
  /** What the seconds were spent on. */
  phases: Phases;
  retries: number;
}

export interface Totals {
  layers: number;
  /** Sum of the layers' sizes in bytes. */
  size: number;
  /** Layers by outcome. */
  reused: number;
  mounted: number;
  resumed: number;
  transferred: number;
  /**
   * Bytes of the layers by how they came there: in layers that were there, in mounted ones, sent by earlier runs into
   * layers that this one finished, sent by this run.
   */
  bytes: Record<LayerOutcome, number>;
  /** What the bytes that were not sent would have taken, at {@link savedAtBytesPerSecond}. */
  secondsSaved: number;
  /** Bytes per second of this run, or 100 MB/s where it sent too little to tell. */
  savedAtBytesPerSecond: number;
  bytesSent: number;
  bytesRead: number;
  seconds: number;
  retries: number;
  /** Sum of the layers' phases, in seconds. */
  phases: Phases;
  /** Share of that time spent waiting for the hub, 0 to 1. */
  waitingForHub: number;
  /** CPU seconds of the process while layers were brought. */
  cpuSeconds: number;
  /** Share of that time, 0 to 1, in which the process had no more computing to get: its main thread or every core was busy. */
  cpuBusy: number;
  /** What held the transfers up most; absent where too little was sent to tell. */
  bottleneck?: Bottleneck;
}

/** The object that `--json` prints and `push()` resolves to. */
export interface PublishResult {
  model: string;
  /** 40 hex digits. */
  commit: string;
  /** `registry/repository:tag`, or `oci:DIRECTORY:tag`. */
  imageRef: string;
  imageRefDigest: string;
  manifestDigest: Digest;
  tags: string[];
  layers: LayerResult[];
  totals: Totals;
}

/** What one machine of several has brought, which left manifest and tags to the last of them or to `boxcar finalize`. */
export type ShardResult = {
  /** `3/8` */
  shard: string;
} & Omit<PublishResult, 'imageRefDigest' | 'manifestDigest'>;

/** What becomes of a layer, as far as it can be told beforehand. */
export type LayerAction = 'reuse' | 'mount' | 'resume' | 'transfer';

/** One planned layer, as `boxcar plan` tells it. */
export interface PlannedLayer {
  path: string;
  action: LayerAction;
  /** The reason, for people: `unchanged since :a1b2c3d4e5f6`, `the content has changed since :a1b2c3d4e5f6`. */
  why: string;
  /** Bytes of the layer that are still to be sent. */
  toTransfer: number;
  /** Size of the file in bytes. */
  fileSize: number;
  /** Size of the layer in bytes. */
  size: number;
  /** `sha256:<hex>` of an LFS file, `git:<hex>` (object id) of any other. */
  contentId: string;
}

/**
 * Everything that happens in a publish, in order. `layer-*` events of different layers interleave;
 * for one layer: `layer-started`, any number of `layer-progress` and `layer-retry`, then `layer-done` or `layer-failed`.
 * `layer-phases` come all the time, and may come before the layer has started. A layer that needs no transfer has
 * `layer-done` alone.
 */
export type PublishEvent =
  /**
   * What is done now: `listing` the model's files, `settling` what becomes of each layer, `transferring` the layers (those
   * that are there are looked at), `committing` the image.
   */
  | { type: 'stage'; stage: Stage }
  | { type: 'resolved'; model: string; commit: string; target: string; tag: string }
  | {
      type: 'planned';
      layers: PlannedLayer[];
      /** Bytes of all layers. */
      size: number;
      /** Layers known to be in the target, by the state or by images that are there. */
      reused: number;
      /** Layers known to be in other repositories of the registry. */
      mounted: number;
      /** Bytes that are still to be sent. */
      toTransfer: number;
      /** Layers in flight, at most; and at first, where these are fewer. */
      workers: number;
      firstWorkers?: number;
      /** How bytes go out, in words: `one stream a layer`, `chunks of 16 MiB`. */
      upload: string;
    }
  /** Something worth saying that is not a failure. `detail` is for `--verbose`. */
  | {
      type: 'notice';
      level: 'detail' | 'info' | 'warning';
      message: string;
      /** Set where a request that is no layer's is tried again. */
      retry?: { side: Side; reason: FailureReason; delayMs: number };
    }
  | {
      type: 'layer-started';
      path: string;
      size: number /** Byte of the layer it goes on from. */;
      from: number;
    }
  | {
      type: 'layer-progress';
      path: string;
      size: number /** Bytes of the layer handed to the registry. */;
      offset: number;
    }
  | {
      type: 'layer-retry';
      path: string;
      side: 'hub' | 'registry';
      /** Attempts in a row without progress, this one included. */
      attempt: number;
      of: number;
      delayMs: number;
      offset: number;
      reason: FailureReason;
      error: BoxcarError;
    }
  | {
      type: 'layer-phases';
      path: string;
      /** What the time since the one before, or since the transfer began, was spent on. Told about four times a second. */
      phases: Phases;
      /** The end of that time, in ms of `performance.now()`. */
      until: number;
      /** Bytes of the file read and bytes of the layer sent in it. */
      bytesRead: number;
      bytesSent: number;
    }
  | {
      type: 'layer-done';
      result: LayerResult /** For a reused layer: where it was found. */;
      source?: string;
    }
  | { type: 'layer-failed'; path: string; size: number; error: BoxcarError }
  | {
      type: 'tagged';
      tag: string;
      digest: Digest /** False when the tag already pointed there. */;
      moved: boolean;
    }
  | { type: 'done'; result: PublishResult }
  /** In place of `done`, where the image is not written yet. */
  | { type: 'shard-done'; result: ShardResult };

/** A part of a publish. */
export type Stage = 'listing' | 'settling' | 'transferring' | 'committing';

export type PublishListener = (event: PublishEvent) => void;

/** A notice for `--verbose`. */
export function detail(message: string): PublishEvent {
  return { type: 'notice', level: 'detail', message };
}

export function info(message: string): PublishEvent {
  return { type: 'notice', level: 'info', message };
}

export function warning(message: string): PublishEvent {
  return { type: 'notice', level: 'warning', message };
}

/** A retry that is no layer's: of the listing, of a token, of a manifest. A layer has `layer-retry`. */
export function retried({ error, attempt, of, delayMs }: RetryNotice): PublishEvent {
  const { request } = error;
  const status = request?.status === undefined ? '' : ` answered ${request.status}`;
  const where = request ? ` (${request.method} ${request.url}${status})` : '';
  const message = `${error.message}${where}: retry ${attempt} of ${of} in ${(delayMs / 1000).toFixed(1)} s`;
  const retry = { side: error.side, reason: failureReason(error), delayMs };
  return { type: 'notice', level: 'warning', message, retry };
}
