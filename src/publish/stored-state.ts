import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Lock } from '../disk/lock.ts';
import { BoxcarError } from '../errors.ts';
import { parseState, syncedCopy } from '../state/read-state.ts';
import { stateDirectory } from '../state/state-file.ts';
import type { PublishState } from '../state/state-schema.ts';
import { isSealed } from './state-key.ts';
import { readState, type StateStore } from './state-store.ts';
import { parseStateTag, removeStates, stateTag } from './state-tags.ts';
import type { Target } from './target.ts';

/** A state as it was found: in a file of this machine, or beside an image in a registry. */
export interface StoredState {
  kind: 'file' | 'registry';
  /** The file's path, or `registry/repository:tag`. */
  name: string;
  state: PublishState;
  /** When it was written last, in ms since 1970. */
  writtenAt: number;
  /** The process that has the file open now; 0 where there is one and it cannot be told. */
  usedBy?: number;
}

/** The state in a file. @throws BoxcarError `usage` for a file that is none. */
export async function stateInFile(path: string): Promise<StoredState> {
  const found = await stateIfAny(path);
  if (found && !('fault' in found)) return found;
  throw new BoxcarError(`${path} ${found ? found.fault : 'does not exist'}`, {
    code: 'usage',
    side: 'local',
    hint: 'give a state file of boxcar, or a target: registry/repository[:tag]',
  });
}

/** The states in the user's state directory. */
export async function statesOnDisk(env: NodeJS.ProcessEnv): Promise<StoredState[]> {
  const directory = stateDirectory(env);
  const names = await readdir(directory).catch(() => []);
  const paths = names.filter((name) => name.endsWith('.json')).map((name) => join(directory, name));
  const found = await Promise.all(paths.map(stateIfAny));
  return found.flatMap((state) => (state && !('fault' in state) ? [state] : []));
}

/** The states beside the images of a repository, or beside the one with that tag. */
export async function statesInRegistry(
  store: StateStore,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<StoredState[]> {
  const listed = await store.tags(signal);
  const tags = (listed ?? (tag === undefined ? [] : [stateTag(tag)])).flatMap(
    (each) => parseStateTag(each) ?? [],
  );
  const own = tags.filter((each) => tag === undefined || each.tag === stateTag(tag, each.shard, each.number));
  const states: StoredState[] = [];
  for (const each of own) {
    const found = await readState(store, each.tag, signal);
    if (!found || 'fault' in found) continue;
    const { state, writtenAt } = found;
    // What could not be deleted was emptied.
    if (Object.keys(state.layers).length === 0) continue;
    states.push({ kind: 'registry', name: `${store.name}:${each.tag}`, state, writtenAt });
  }
  return states;
}

/** What became of a state that was to be removed. */
export interface RemovedState {
  name: string;
  /** Upload sessions that were cancelled. */
  cancelled: number;
  /** Why it is still there. */
  kept?: string;
}

/**
 * Cancels the upload sessions of a state and removes it.
 * @param target the one that the state is of.
 */
export async function removeStored(
  stored: StoredState,
  target: Target & Partial<StateStore>,
  signal: AbortSignal,
): Promise<RemovedState> {
  const { kind, name, state } = stored;
  const lock = kind === 'file' ? await Lock.take(`${name}.lock`) : undefined;
  if (typeof lock === 'number') return { name, cancelled: 0, kept: inUse(lock) };
  try {
    const cancelled = await cancelUploads(state, target, signal);
    if (kind === 'registry') {
      const tag = name.slice(name.lastIndexOf(':') + 1);
      const left = await removeStates(target as StateStore, [tag], state, signal);
      return {
        name,
        cancelled,
        ...(left.length > 0 ? { kept: 'the registry neither deletes nor moves tags' } : {}),
      };
    }
    for (const path of [name, syncedCopy(name), `${name}.lock`]) await rm(path, { force: true });
    return { name, cancelled };
  } finally {
    await lock?.release();
  }
}

async function cancelUploads(state: PublishState, target: Target, signal: AbortSignal): Promise<number> {
  let cancelled = 0;
  for (const { upload } of Object.values(state.layers)) {
    if (!upload || isSealed(upload.location)) continue;
    await target.cancelUpload(upload.location, signal);
    cancelled += 1;
  }
  return cancelled;
}

function inUse(pid: number): string {
  return `${pid ? `process ${pid}` : 'another process'} is using it: stop that first`;
}

async function stateIfAny(path: string): Promise<StoredState | { fault: string } | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const state = parseState(text);
  if ('fault' in state) return state;
  const { mtimeMs } = await stat(path);
  const usedBy = await holder(path);
  return { kind: 'file', name: path, state, writtenAt: mtimeMs, ...(usedBy === undefined ? {} : { usedBy }) };
}

async function holder(path: string): Promise<number | undefined> {
  const lockFile = `${path}.lock`;
  if (!existsSync(lockFile)) return undefined;
  const lock = await Lock.take(lockFile).catch(() => undefined);
  if (typeof lock === 'number') return lock;
  await lock?.release();
  return undefined;
}
