import type { Dispatcher } from 'undici';
import type { Bandwidth } from '../http/bandwidth.ts';
import type { ByteSockets } from '../http/byte-sockets.ts';
import { HttpClient } from '../http/client.ts';
import type { PatienceOptions, RetryNotice } from '../http/retry.ts';
import type { Hub } from '../hub/hub.ts';
import { findHubToken } from '../hub/token.ts';
import { Layout } from '../layout/layout.ts';
import { Authorizer } from '../registry/auth/authorizer.ts';
import { findCredentials } from '../registry/auth/credentials.ts';
import { type ChosenDialect, dialectNamed, dialectOfHost } from '../registry/dialects.ts';
import { registryOrigin } from '../registry/registry-origin.ts';
import { RegistryTarget } from '../registry/registry-target.ts';
import { Repository } from '../registry/repository.ts';
import { peekState } from '../state/read-state.ts';
import { defaultStatePath, StateFile } from '../state/state-file.ts';
import type { StateIdentity } from '../state/state-schema.ts';
import { detail, type PublishListener, retried, warning } from './events.ts';
import type { CheckedOptions, CheckedTarget } from './options.ts';
import type { Progress } from './progress/progress.ts';
import { RegistryState } from './progress/registry-state.ts';
import { stateKeyOf } from './progress/state-key.ts';
import { stateTag } from './progress/state-tags.ts';
import type { Target } from './target.ts';
import { version } from './version.ts';

const userAgent = `boxcar/${version} node/${process.versions.node}`;

/**
 * The hub, with the token that is at hand.
 * @param down what is read of its files is held back by.
 */
export async function openHub(
  checked: CheckedOptions,
  dispatcher: Dispatcher,
  sockets?: ByteSockets,
  down?: Bandwidth,
): Promise<Hub> {
  const { endpoint, env, stallMs, hfMaxRetries, backoffMs, emit } = checked;
  const found = await findHubToken(env);
  emit(detail(found ? `the hub's token is from ${found.source}` : 'no token for the hub'));
  const http = new HttpClient({
    side: 'hub',
    dispatcher,
    sockets,
    origin: new URL(endpoint).origin,
    stallMs,
    down,
    userAgent,
    ...(found ? { authorize: () => `Bearer ${found.token}` } : {}),
  });
  const patience = patienceOf(hfMaxRetries, backoffMs, emit);
  return { endpoint, http, hasToken: found !== undefined, patience };
}

function patienceOf(limit: number, baseMs: number | undefined, emit: PublishListener): PatienceOptions {
  const onRetry = (notice: RetryNotice) => emit(retried(notice));
  return { limit, onRetry, ...(baseMs === undefined ? {} : { baseMs }) };
}

/**
 * The target, not yet spoken to but for how (https or http, on loopback).
 * @param up what is sent to a registry is held back by.
 */
export async function openTarget(
  checked: CheckedTarget,
  dispatcher: Dispatcher,
  up?: Bandwidth,
): Promise<Layout | RegistryTarget> {
  const { target, env, stallMs, ociMaxRetries, backoffMs, plainHttp, emit, signal } = checked;
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
    up,
    userAgent,
    authorize: (_url, abort) => authorizer.authorize(abort),
  });
  const patience = patienceOf(ociMaxRetries, backoffMs, emit);
  return new RegistryTarget(new Repository(repository, http, authorizer, patience), {
    choice: checked.upload,
    chunkSize: checked.chunkSize,
    dialect: knownDialect(checked),
    onDialect: ({ dialect, why }) => emit(detail(`the registry's dialect: ${dialect.name} (${why})`)),
  });
}

/** The dialect that the user names, or of a registry that is known by its host. */
export function knownDialect({
  dialect,
  target,
}: Pick<CheckedTarget, 'dialect' | 'target'>): ChosenDialect | undefined {
  if (dialect !== undefined) return dialectNamed(dialect);
  return target.kind === 'layout' ? undefined : dialectOfHost(target.registry);
}

/**
 * Where progress is kept; `undefined` where none can be, which is told and harms nothing.
 * @throws BoxcarError for a shard whose progress cannot be kept: nobody would know of what it brings.
 */
export async function openProgress(
  checked: CheckedOptions,
  identity: StateIdentity,
  target: Target,
  tag: string,
): Promise<Progress | undefined> {
  const { stateFile, env, emit, state, shard, signal } = checked;
  if (stateFile === false) return undefined;
  const warn = (message: string) => emit(warning(message));
  try {
    if (state === 'registry' && target instanceof RegistryTarget) {
      emit(detail(`progress is kept in ${target.name}:${stateTag(tag, shard)}`));
      const kept = await openRegistryState(checked, identity, target, tag);
      // Shows at once whether the registry takes it, before there is work to lose.
      if (shard) await kept.record();
      return kept;
    }
    const path = stateFile ?? defaultStatePath(identity, env);
    const file = await StateFile.open(path, identity, warn);
    if (file) emit(detail(`progress is kept in ${file.path}`));
    return file;
  } catch (error) {
    if (shard || signal?.aborted) throw error;
    warn(`no progress is kept: ${(error as Error).message}`);
    return undefined;
  }
}

function openRegistryState(
  { env, emit, shard, signal = new AbortController().signal }: CheckedOptions,
  identity: StateIdentity,
  store: RegistryTarget,
  tag: string,
): Promise<RegistryState> {
  const warn = (message: string) => emit(warning(message));
  return RegistryState.open({ store, tag, shard, identity, key: stateKeyOf(env), warn, signal });
}

/** What is known of a publish's progress, without touching it. */
export async function peekProgress(
  checked: CheckedOptions,
  identity: StateIdentity,
  target: Target,
  tag: string,
): Promise<Pick<Progress, 'trusted' | 'layer'> | undefined> {
  const { stateFile, env, state } = checked;
  if (stateFile === false) return undefined;
  if (state === 'registry' && target instanceof RegistryTarget) {
    const kept = await openRegistryState(checked, identity, target, tag);
    kept.forget();
    return kept;
  }
  const found = await peekState(stateFile ?? defaultStatePath(identity, env), identity);
  return found && { trusted: true, layer: (name) => found.layers[name] };
}
