import { BoxcarError } from '../errors.ts';
import { layerCountWarning, type Plan, planModelcar } from '../formats/modelcar.ts';
import { selectFiles } from '../formats/selection.ts';
import { keepWeights, possibleSavings } from '../formats/weights.ts';
import { createDispatcher } from '../http/dispatcher.ts';
import { FileReader } from '../hub/file-reader.ts';
import type { Hub } from '../hub/hub.ts';
import type { ModelFile, Snapshot } from '../hub/model-file.ts';
import { PrefetchBudget } from '../hub/prefetch.ts';
import { takeSnapshot } from '../hub/snapshot.ts';
import { limitsOf, standard } from '../registry/dialects.ts';
import { info, type PlannedLayer, type PublishResult, warning } from './events.ts';
import { type CheckedOptions, checkOptions, type PushOptions } from './options.ts';
import { knownDialect, openHub, openStateFile, openTarget } from './parties.ts';
import { checkLimits, denyUnsafe } from './policy.ts';
import { plannedLayers, publish } from './publish.ts';
import { stopped } from './stopping.ts';
import type { Target } from './target.ts';
import type { OpenModelFile } from './transfer.ts';

/** Bytes of files fetched ahead of their layers, all workers together. */
const prefetchBytes = 64 * 1024 * 1024;

/** What a push would do. */
export interface PushPlan {
  model: string;
  commit: string;
  /** `registry/repository:tag`, or `oci:DIRECTORY:tag`. */
  imageRef: string;
  tags: string[];
  layers: PlannedLayer[];
  /** Bytes of all layers. */
  size: number;
}

/**
 * Streams a model from the hub into a registry or an image layout directory, and tags it.
 * @throws BoxcarError; its `code` says what kind of failure, its `hint` what to do.
 */
export async function push(options: PushOptions): Promise<PublishResult> {
  const checked = checkOptions(options);
  const dispatcher = createDispatcher(checked.env);
  try {
    const hub = await openHub(checked, dispatcher);
    const target = await openTarget(checked, dispatcher);
    const { snapshot, plan } = await planSnapshot(checked, hub);
    const tags = tagsOf(checked, snapshot);
    announce(checked, plan, target, tags[0]);
    await target.connect(checked.signal ?? new AbortController().signal);
    checkLimits(plan, target.limits, target.name);
    const openFile = fileOpener(hub, snapshot);
    if (snapshot.gated) await probe(openFile, plan, checked.signal);
    const { workers, force, failFast, emit, signal } = checked;
    const openState = () => openStateFile(checked, snapshot, target);
    return await publish({ plan, target, tags, workers, force, failFast, openFile, openState, emit, signal });
  } catch (error) {
    throw checked.signal?.aborted && error === checked.signal.reason ? stopped() : error;
  } finally {
    await dispatcher.destroy();
  }
}

/** Resolves and plans, and touches nothing. @throws BoxcarError as `push` does. */
export async function planPush(options: PushOptions): Promise<PushPlan> {
  const checked = checkOptions(options);
  const dispatcher = createDispatcher(checked.env);
  try {
    const hub = await openHub(checked, dispatcher);
    const { snapshot, plan } = await planSnapshot(checked, hub);
    const tags = tagsOf(checked, snapshot);
    const name =
      checked.target.kind === 'layout'
        ? `oci:${checked.target.directory}`
        : `${checked.target.registry}/${checked.target.repository}`;
    const layers = plannedLayers(plan);
    const imageRef = `${name}:${tags[0]}`;
    return { model: snapshot.model, commit: snapshot.commit, imageRef, tags, layers, size: plan.size };
  } finally {
    await dispatcher.destroy();
  }
}

async function planSnapshot(
  checked: CheckedOptions,
  hub: Hub,
): Promise<{ snapshot: Snapshot & { gated: boolean }; plan: Plan }> {
  const { model, revision, include, exclude, weights, prefix, platform, denyUnsafe: scans, emit } = checked;
  const snapshot = await takeSnapshot(hub, model, revision, { scans, signal: checked.signal });
  const filtered = selectFiles(snapshot.files, { include, exclude });
  const files = weights === 'all' ? filtered : keepWeights(filtered, weights);
  const [best] = weights === 'all' ? possibleSavings(files).sort((a, b) => b.bytes - a.bytes) : [];
  if (scans) {
    const open = fileOpener(hub, snapshot);
    const head = ({ path }: ModelFile) => firstPiece(open, path, 0, checked.signal);
    await denyUnsafe(files, head, (message) => emit(warning(message)));
  }
  const plan = await planModelcar({ ...snapshot, files }, { prefix, platform });
  if (best)
    emit(
      info(`--weights ${best.format} would leave out ${(best.bytes / 1e9).toFixed(1)} GB of other weights`),
    );
  const many = layerCountWarning(plan);
  if (many) emit(warning(many));
  const { target } = checked;
  const { dialect = standard } = knownDialect(checked) ?? {};
  if (target.kind !== 'layout') checkLimits(plan, limitsOf(dialect), target.registry);
  return { snapshot, plan };
}

function tagsOf(checked: CheckedOptions, { commit }: Snapshot): [string, ...string[]] {
  const tag = checked.tag ?? commit.slice(0, 12);
  return [tag, ...checked.alsoTags.filter((other) => other !== tag)];
}

function announce({ emit }: CheckedOptions, { snapshot }: Plan, target: Target, tag: string): void {
  const { model, commit } = snapshot;
  emit({ type: 'resolved', model, commit, target: target.name, tag });
}

function fileOpener(hub: Hub, snapshot: Snapshot): OpenModelFile {
  const budget = new PrefetchBudget(prefetchBytes);
  const files = new Map<string, ModelFile>(snapshot.files.map((file) => [file.path, file]));
  return ({ path }, { onRead, onRetry }) => {
    const file = files.get(path) as ModelFile;
    const reader = new FileReader(hub, snapshot, file, budget, {
      patience: { ...hub.patience, onRetry },
      onRead,
    });
    return (from, signal) => reader.open(from, signal);
  };
}

/** Of a gated model everyone may read the listing: one byte of a file shows whether the files may be read. */
async function probe(
  openFile: OpenModelFile,
  { layers }: Plan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const layer = layers.find(({ fileSize }) => fileSize > 0);
  if (!layer) return;
  await firstPiece(openFile, layer.path, layer.fileSize - 1, signal).catch((error: unknown) => {
    // They may be read; whether they are right is seen when they are.
    if (!(error instanceof BoxcarError && error.code === 'content-mismatch')) throw error;
  });
}

async function firstPiece(
  openFile: OpenModelFile,
  path: string,
  from: number,
  signal = new AbortController().signal,
): Promise<Uint8Array> {
  for await (const piece of openFile({ path }, { onRead() {}, onRetry() {} })(from, signal))
    return Buffer.from(piece.subarray(0, 16));
  return Buffer.alloc(0);
}
