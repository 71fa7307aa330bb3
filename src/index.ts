export type { ContentId } from './digest/content-id.ts';
export { BoxcarError, type ErrorCode, exitCodes, type RequestFacts, type Side } from './errors.ts';
export type { WeightFormat } from './formats/weights.ts';
export type { Digest } from './oci/digest.ts';
export type {
  LayerOutcome,
  LayerResult,
  PlannedLayer,
  PublishEvent,
  PublishListener,
  PublishResult,
  Totals,
} from './publish/events.ts';
export type { PushOptions } from './publish/options.ts';
export { type PushPlan, planPush, push } from './publish/push.ts';
export type { UploadChoice } from './registry/upload-manner.ts';
