import { readFileSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import { layerCountWarning, type Plan, planModelcar } from '../formats/modelcar.ts';
import { selectFiles } from '../formats/selection.ts';
import { keepWeights, possibleSavings } from '../formats/weights.ts';
import { HttpClient } from '../http/client.ts';
import { createDispatcher } from '../http/dispatcher.ts';
import { FileReader } from '../hub/file-reader.ts';
import type { Hub } from '../hub/hub.ts';
import type { ModelFile, Snapshot } from '../hub/model-file.ts';
import { PrefetchBudget } from '../hub/prefetch.ts';
import { takeSnapshot } from '../hub/snapshot.ts';
import { findHubToken } from '../hub/token.ts';
import { Layout } from '../layout/layout.ts';
import { Authorizer } from '../registry/auth/authorizer.ts';
import { findCredentials } from '../registry/auth/credentials.ts';
import { registryOrigin } from '../registry/registry-origin.ts';
import { RegistryTarget } from '../registry/registry-target.ts';
import { Repository } from '../registry/repository.ts';
import { UploadManner } from '../registry/upload-manner.ts';
import { defaultStatePath, StateFile } from '../state/state-file.ts';
import type { PlannedLayer, PublishEvent, PublishResult } from './events.ts';
import { type CheckedOptions, checkOptions, type PushOptions } from './options.ts';
import { plannedLayers, publish } from './publish.ts';
import { stopped } from './stopping.ts';
import type { Target } from './target.ts';
import type { OpenModelFile } from './transfer.ts';

/** Bytes of files fetched ahead of their layers, all workers together. */
const prefetchBytes = 128 * 1024 * 1024;

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
    const snapshot = await takeSnapshot(hub, checked.model, checked.revision, checked.signal);
    const plan = await planSnapshot(checked, snapshot);
    const tags = tagsOf(checked, snapshot);
    announce(checked, plan, target, tags[0]);
    await target.connect(checked.signal ?? new AbortController().signal);
    const openFile = fileOpener(hub, snapshot);
    if (snapshot.gated) await probe(openFile, plan);
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
    const snapshot = await takeSnapshot(hub, checked.model, checked.revision, checked.signal);
    const plan = await planSnapshot(checked, snapshot);
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

async function openHub(checked: CheckedOptions, dispatcher: Dispatcher): Promise<Hub> {
  const { endpoint, env, stallMs, hfMaxRetries, backoffMs, emit } = checked;
  const found = await findHubToken(env);
  emit(detail(found ? `the hub's token is from ${found.source}` : 'no token for the hub'));
  const http = new HttpClient({
    side: 'hub',
    dispatcher,
    origin: new URL(endpoint).origin,
    stallMs,
    userAgent,
    ...(found ? { authorize: () => `Bearer ${found.token}` } : {}),
  });
  const patience = {
    limit: hfMaxRetries,
    ...(backoffMs === undefined ? {} : { baseMs: backoffMs }),
  };
  return { endpoint, http, hasToken: found !== undefined, patience };
}

async function openTarget(checked: CheckedOptions, dispatcher: Dispatcher): Promise<Target> {
  const { target, env, stallMs, ociMaxRetries, backoffMs, plainHttp, upload, chunkSize, emit, signal } =
    checked;
  if (target.kind === 'layout') return new Layout(target.directory);
  const { registry, repository } = target;
  const credentials = await findCredentials({ registry, repository, env, ...(signal ? { signal } : {}) });
  emit(detail(`credentials for ${registry}: ${credentials.source}`));
  const scheme = plainHttp ? 'http' : target.scheme;
  const origin = await registryOrigin({ registry, scheme, dispatcher, userAgent }, signal);
  const authorizer = new Authorizer({
    registry: new URL(origin),
    repository,
    credentials,
    dispatcher,
    stallMs,
    userAgent,
  });
  const http = new HttpClient({
    side: 'registry',
    dispatcher,
    origin,
    stallMs,
    userAgent,
    authorize: (_url, abort) => authorizer.authorize(abort),
  });
  const patience = { limit: ociMaxRetries, ...(backoffMs === undefined ? {} : { baseMs: backoffMs }) };
  return new RegistryTarget(
    new Repository(repository, http, authorizer, patience),
    new UploadManner(upload, chunkSize),
  );
}

async function planSnapshot(checked: CheckedOptions, snapshot: Snapshot): Promise<Plan> {
  const { include, exclude, weights, prefix, platform, emit } = checked;
  const filtered = selectFiles(snapshot.files, { include, exclude });
  const files = weights === 'all' ? filtered : keepWeights(filtered, weights);
  const [best] = weights === 'all' ? possibleSavings(files).sort((a, b) => b.bytes - a.bytes) : [];
  const plan = await planModelcar({ ...snapshot, files }, { prefix, platform });
  if (best)
    emit(
      info(`--weights ${best.format} would leave out ${(best.bytes / 1e9).toFixed(1)} GB of other weights`),
    );
  const warning = layerCountWarning(plan);
  if (warning) emit({ type: 'notice', level: 'warning', message: warning });
  return plan;
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
async function probe(openFile: OpenModelFile, { layers }: Plan): Promise<void> {
  const layer = layers.find(({ fileSize }) => fileSize > 0);
  if (!layer) return;
  const abort = new AbortController();
  for await (const _ of openFile(layer, { onRead() {}, onRetry() {} })(layer.fileSize - 1, abort.signal))
    break;
}

async function openStateFile(
  checked: CheckedOptions,
  { model, commit }: Snapshot,
  target: Target,
): Promise<StateFile | undefined> {
  const { stateFile, env, emit } = checked;
  if (stateFile === false) return undefined;
  const warn = (message: string) => emit({ type: 'notice', level: 'warning', message });
  const identity = { model, commit, target: target.name };
  const path = stateFile ?? defaultStatePath(identity, env);
  try {
    const file = await StateFile.open(path, identity, warn);
    if (file) emit(detail(`progress is kept in ${file.path}`));
    return file;
  } catch (error) {
    warn(`no progress is kept: ${(error as Error).message}`);
    return undefined;
  }
}

const version: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;
const userAgent = `boxcar/${version} node/${process.versions.node}`;

function detail(message: string): PublishEvent {
  return { type: 'notice', level: 'detail', message };
}

function info(message: string): PublishEvent {
  return { type: 'notice', level: 'info', message };
}
