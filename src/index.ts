export type { ContentId } from './digest/content-id.ts';
export { BoxcarError, type ErrorCode, exitCodes, type RequestFacts, type Side } from './errors.ts';
export type { WeightFormat } from './formats/weights.ts';
export type { FailureReason } from './http/failure-reason.ts';
export type { Digest } from './oci/digest.ts';
export type {
  LayerAction,
  LayerOutcome,
  LayerResult,
  PlannedLayer,
  PublishEvent,
  PublishListener,
  PublishResult,
  ShardResult,
  Stage,
  Totals,
} from './publish/events.ts';
export type { PushOptions, ShardOptions } from './publish/options.ts';
export type { Bottleneck, Phase, Phases } from './publish/phases.ts';
export type { RemovedState } from './publish/progress/remove-stored.ts';
export { listStates, removeStates, type StatesOptions } from './publish/progress/states.ts';
export type { StoredState } from './publish/progress/stored-state.ts';
export { finalizePush, type PushPlan, planPush, push, pushShard } from './publish/push.ts';
export type { UploadChoice } from './registry/upload-manner.ts';
