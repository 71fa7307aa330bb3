import { failureReason } from '../http/failure-reason.ts';
import type { RetryNotice } from '../http/retry.ts';
import { type LayerPlan, layerSize, type OpenFile } from '../layer/layer.ts';
import type { LayerState } from '../state/state-schema.ts';
import type { LayerResult, PublishListener } from './events.ts';
import { LayerBody } from './layer-body.ts';
import { PhaseClock } from './phase-clock.ts';
import { secondsOf } from './phases.ts';
import type { Progress } from './progress/progress.ts';
import type { Target } from './target.ts';

/** Shortest time between two progress events of a layer, in ms. */
const progressEveryMs = 100;

/** How a file is read: told about every byte and every retry on the way. */
export type OpenModelFile = (
  layer: Pick<LayerPlan, 'path'>,
  meter: { onRead: (bytes: number) => void; onRetry: (notice: RetryNotice) => void },
) => OpenFile;

export interface TransferContext {
  target: Target;
  openFile: OpenModelFile;
  /** Whether large files are compared with what the hub recorded of them. */
  verifyContent: boolean;
  progress: Progress | undefined;
  /** So many more bytes have been handed to the target. */
  onSent: (bytes: number) => void;
  emit: PublishListener;
  stop: AbortSignal;
  kill: AbortSignal;
}

/** Moves one layer from the hub into the target, going on in its middle where an earlier run has left off. */
export async function transferLayer(plan: LayerPlan, context: TransferContext): Promise<LayerResult> {
  const { target, progress, onSent, emit, stop, kill } = context;
  const { path, name, contentId } = plan;
  const size = layerSize(plan);
  const known = progress?.layer(name);
  const saved = known?.contentId === contentId && known.size === size ? known : undefined;
  let bytesRead = 0;
  let bytesSent = 0;
  let retries = 0;
  let startedAt: number | undefined;
  let offset = 0;
  let lastProgress = 0;
  let told = { bytesRead, bytesSent };

  const clock = new PhaseClock((phases, until) => {
    const bytes = { bytesRead: bytesRead - told.bytesRead, bytesSent: bytesSent - told.bytesSent };
    told = { bytesRead, bytesSent };
    emit({ type: 'layer-phases', path, phases, until, ...bytes });
  });
  const onRetry = (side: 'hub' | 'registry') => (notice: RetryNotice) => {
    retries += 1;
    clock.tell();
    emit({ type: 'layer-retry', path, side, offset, reason: failureReason(notice.error), ...notice });
    if (side === 'registry') clock.wait(notice.delayMs);
  };
  const openFile = context.openFile(plan, {
    onRead: (bytes) => {
      bytesRead += bytes;
    },
    onRetry: onRetry('hub'),
  });
  const body = new LayerBody(plan, {
    openFile,
    checkpoints: saved?.checkpoints ?? [],
    verifyContent: context.verifyContent,
    onSkipped: () => remember(),
    onPhase: (phase) => clock.enter(phase),
  });
  const remembered: LayerState = { contentId, size, checkpoints: [] };
  const remember = () => {
    remembered.checkpoints = body.checkpoints;
    progress?.set(name, remembered);
  };

  let began = saved?.upload?.began;
  const beginning = (offset: number) => {
    if (offset === 0 || began === undefined) began = new Date().toISOString();
    return began;
  };

  const uploaded = target.upload(body, {
    saved: saved?.upload,
    stop,
    kill,
    onRetry: onRetry('registry'),
    onSaved: (upload) => {
      delete remembered.upload;
      if (upload) remembered.upload = { ...upload, began: beginning(upload.offset) };
      remember();
      // What a killed process would not find again: a session just begun, and that it is being closed.
      return upload && (upload.offset === 0 || upload.digest) ? progress?.flush(name) : undefined;
    },
    onOffset: (now) => {
      if (startedAt === undefined) {
        startedAt = now;
        clock.tell();
        emit({ type: 'layer-started', path, size, from: now });
      } else if (now > offset) {
        bytesSent += now - offset;
        onSent(now - offset);
      }
      offset = now;
      remember();
      if (performance.now() - lastProgress < progressEveryMs && now < size) return;
      lastProgress = performance.now();
      emit({ type: 'layer-progress', path, size, offset });
    },
  });
  const digest = await uploaded.finally(() => clock.stop());
  progress?.set(name, { contentId, size, digest });
  return {
    path,
    digest,
    size,
    outcome: startedAt === 0 ? 'transferred' : 'resumed',
    bytesSent,
    bytesRead,
    seconds: secondsOf(clock.spent),
    phases: clock.spent,
    retries,
  };
}
