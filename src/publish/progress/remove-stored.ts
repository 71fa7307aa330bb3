import pLimit from 'p-limit';
import { Lock } from '../../disk/lock.ts';
import type { Target } from '../target.ts';
import { openLocation } from './kept-location.ts';
import type { StateKey } from './state-key.ts';
import type { StateStore } from './state-store.ts';
import { removeStates } from './state-tags.ts';
import { removeStateFile, type StoredState } from './stored-state.ts';

/** What became of a state that was to be removed. */
export interface RemovedState {
  name: string;
  /** Upload sessions that are gone now, */
  cancelled: number;
  /** and those that could not be cancelled: the registry drops them in time. */
  uncancelled: number;
  /** Why it is still there. */
  kept?: string;
}

export interface RemoveOptions {
  /** Opens the target of a state in a file. */
  open: (target: string) => Promise<Target>;
  /** The repository in which a registry's state was found, whatever that says of itself. */
  store: (Target & StateStore) | undefined;
  key: StateKey | undefined;
  signal: AbortSignal;
}

/** Cancels the upload sessions of a state and removes it; what fails is told. @throws when stopped. */
export async function removeStored(stored: StoredState, options: RemoveOptions): Promise<RemovedState> {
  const { name } = stored;
  const nothing = { name, cancelled: 0, uncancelled: 0 };
  try {
    return await (options.store && stored.kind === 'registry'
      ? removeArtifact(stored, options.store, options)
      : removeFile(stored, options));
  } catch (error) {
    if (options.signal.aborted) throw error;
    return { ...nothing, kept: (error as Error).message };
  }
}

async function removeFile({ name, state }: StoredState, options: RemoveOptions): Promise<RemovedState> {
  const lock = await Lock.take(`${name}.lock`);
  if (typeof lock === 'number') return { name, cancelled: 0, uncancelled: 0, kept: inUse(lock) };
  try {
    const locations = Object.values(state.layers).flatMap(({ upload }) => upload?.location ?? []);
    // Nobody is spoken to where there is nothing to say.
    const target = locations.length > 0 ? await options.open(state.target).catch(() => undefined) : undefined;
    options.signal.throwIfAborted();
    const sessions = await cancel(locations, target, options.signal);
    await removeStateFile(name);
    return { name, ...sessions };
  } finally {
    await lock.release();
  }
}

async function removeArtifact(
  { name, state }: StoredState,
  store: Target & StateStore,
  { key, signal }: RemoveOptions,
): Promise<RemovedState> {
  const identity = { ...state, target: store.name };
  const uploads = Object.entries(state.layers).flatMap(([layer, { upload }]) =>
    upload ? [openLocation(upload.location, layer, { store, identity, key })] : [],
  );
  const locations = uploads.filter((location) => location !== undefined);
  const { cancelled } = await cancel(locations, store, signal);
  const tag = name.slice(name.lastIndexOf(':') + 1);
  const left = await removeStates(store, [tag], identity, signal);
  const sessions = { name, cancelled, uncancelled: uploads.length - cancelled };
  return left.length > 0 ? { ...sessions, kept: 'the registry neither deletes nor moves tags' } : sessions;
}

async function cancel(
  locations: string[],
  target: Target | undefined,
  signal: AbortSignal,
): Promise<{ cancelled: number; uncancelled: number }> {
  const asking = pLimit(8);
  const gone = await Promise.all(
    locations.map((location) => asking(async () => (await target?.cancelUpload(location, signal)) ?? false)),
  );
  const cancelled = gone.filter((each) => each).length;
  return { cancelled, uncancelled: locations.length - cancelled };
}

function inUse(pid: number): string {
  return `${pid ? `process ${pid}` : 'another process'} is using it: stop that first`;
}
