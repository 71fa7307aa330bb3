import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { Lock } from '../../disk/lock.ts';
import { BoxcarError } from '../../errors.ts';
import { emptyState, parseState, syncedCopy } from '../../state/read-state.ts';
import { stateDirectory } from '../../state/state-file.ts';
import type { PublishState } from '../../state/state-schema.ts';
import { readState, type StateStore } from './state-store.ts';
import { newestNumber, parseStateTag, type StateTag, stateTag, stateTagsOf } from './state-tags.ts';

/** A state as it was found: in a file of this machine, or beside an image in a registry. */
export interface StoredState {
  kind: 'file' | 'registry';
  /** The file's path, or `registry/repository:tag`. */
  name: string;
  /** Empty where it cannot be read. */
  state: PublishState;
  /** Why it cannot be read. */
  fault?: string;
  /** When it was written last, in ms since 1970. */
  writtenAt: number;
  /** The process that has the file open now; 0 where there is one and it cannot be told. */
  usedBy?: number;
}

/** The state in a file. @throws BoxcarError `usage` for a file that is none. */
export async function stateInFile(path: string): Promise<StoredState> {
  const found = await stateIfAny(path);
  if (!('fault' in found)) return found;
  throw new BoxcarError(`${path} ${found.fault}`, {
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
  return found.flatMap((state) => ('fault' in state ? [] : [state]));
}

/**
 * The states beside the images of a repository, or beside the one with that tag.
 * @throws BoxcarError where no tag is given and the registry does not list them.
 */
export async function statesInRegistry(
  store: StateStore,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<StoredState[]> {
  const asking = pLimit(8);
  const tags = await stateTags(store, tag, signal);
  const found = await Promise.all(tags.map((each) => asking(() => stateUnder(store, each.tag, signal))));
  return found.flatMap((stored) => stored ?? []);
}

async function stateTags(
  store: StateStore,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<StateTag[]> {
  const listed = await store.tags(signal);
  if (listed && tag !== undefined) return stateTagsOf(listed, tag);
  if (listed) return listed.flatMap((each) => parseStateTag(each) ?? []);
  if (tag === undefined)
    throw new BoxcarError(`the registry does not list the tags of ${store.name}`, {
      code: 'registry-failed',
      side: 'registry',
      hint: `name an image's tag: ${store.name}:TAG`,
    });
  const newest = await newestNumber(store, tag, undefined, signal);
  return Array.from({ length: newest }, (_, i) => ({
    tag: stateTag(tag, undefined, i + 1),
    of: tag,
    number: i + 1,
  }));
}

/** `undefined` for what is no state. */
async function stateUnder(
  store: StateStore,
  tag: string,
  signal: AbortSignal,
): Promise<StoredState | undefined> {
  const found = await readState(store, tag, signal);
  const about = { kind: 'registry', name: `${store.name}:${tag}` } as const;
  if (!found || found.writtenAt === undefined) return undefined;
  const { writtenAt } = found;
  if ('fault' in found) {
    const state = emptyState({ model: '', commit: '', target: store.name });
    return { ...about, state, writtenAt, fault: found.fault };
  }
  return { ...about, state: found.state, writtenAt };
}

/** Removes a file with what belongs to it. */
export async function removeStateFile(path: string): Promise<void> {
  for (const each of [path, syncedCopy(path), `${path}.lock`]) await rm(each, { force: true });
}

async function stateIfAny(path: string): Promise<StoredState | { fault: string }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const faults: Record<string, string> = { ENOENT: 'does not exist', EISDIR: 'is a directory' };
    return { fault: faults[code ?? ''] ?? `cannot be read (${code})` };
  }
  const state = parseState(text);
  if ('fault' in state) return { fault: state.fault };
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
