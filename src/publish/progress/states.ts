import { existsSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import { createDispatcher } from '../../http/dispatcher.ts';
import { Layout } from '../../layout/layout.ts';
import type { RegistryTarget } from '../../registry/registry-target.ts';
import { checkTarget, type PushOptions } from '../options.ts';
import { openTarget } from '../parties.ts';
import { type RemovedState, removeStored } from './remove-stored.ts';
import { stateKeyOf } from './state-key.ts';
import { type StoredState, stateInFile, statesInRegistry, statesOnDisk } from './stored-state.ts';

/** Which states are meant. */
export interface StatesOptions
  extends Pick<
    PushOptions,
    'dialect' | 'plainHttp' | 'stallMs' | 'ociMaxRetries' | 'env' | 'signal' | 'onEvent'
  > {
  /** A state file, or a target: `registry/repository[:tag]` or `oci:DIRECTORY`. Default: all files of this user. */
  what?: string | undefined;
  /** Only states that were written so long ago or longer, in ms. */
  olderThanMs?: number | undefined;
}

/** The states that `what` names. @throws BoxcarError. */
export function listStates(options: StatesOptions): Promise<StoredState[]> {
  return withTargets(options, (targets) => find(options, targets));
}

/**
 * Cancels their upload sessions and removes them; a state that a process is using stays.
 * @returns what became of each. @throws BoxcarError where they cannot be found.
 */
export function removeStates(options: StatesOptions): Promise<RemovedState[]> {
  const { what, env = process.env, signal = new AbortController().signal } = options;
  const key = stateKeyOf(env);
  return withTargets(options, async (targets) => {
    const removed: RemovedState[] = [];
    for (const stored of await find(options, targets)) {
      // Where it was found, not what it says: anybody may have written it.
      const beside = stored.kind === 'registry' ? await targets(what ?? '') : undefined;
      const store = beside instanceof Layout ? undefined : beside;
      removed.push(await removeStored(stored, { open: targets, store, key, signal }));
    }
    return removed;
  });
}

/** A target by its name, opened once. */
type Targets = (name: string) => Promise<Layout | RegistryTarget>;

async function find(
  { what, olderThanMs, env = process.env, signal = new AbortController().signal }: StatesOptions,
  targets: Targets,
): Promise<StoredState[]> {
  const now = Date.now();
  // Without an age all are meant: also one whose writer's clock is ahead.
  const old = (states: StoredState[]) =>
    olderThanMs === undefined ? states : states.filter(({ writtenAt }) => now - writtenAt >= olderThanMs);
  if (what === undefined) return old(await statesOnDisk(env));
  if (what.endsWith('.json') || existsSync(what)) return old([await stateInFile(what)]);
  const { target: reference } = checkTarget({ target: what });
  const target = await targets(what);
  const files = (await statesOnDisk(env)).filter(({ state }) => state.target === target.name);
  if (target instanceof Layout) return old(files);
  // Says soon where there is nobody.
  await target.connect(signal);
  const beside = await statesInRegistry(target, reference.tag, signal);
  return old([...files, ...beside]);
}

async function withTargets<T>(options: StatesOptions, work: (targets: Targets) => Promise<T>): Promise<T> {
  const dispatcher: Dispatcher = createDispatcher(options.env ?? process.env);
  const open = new Map<string, ReturnType<Targets>>();
  const targets: Targets = (name) => {
    const known = open.get(name) ?? openTarget(checkTarget({ ...options, target: name }), dispatcher);
    open.set(name, known);
    return known;
  };
  try {
    return await work(targets);
  } finally {
    await dispatcher.destroy();
  }
}
