import { access, readFile, rename } from 'node:fs/promises';
import { type PublishState, type StateIdentity, stateFault, stateVersion } from './state-schema.ts';

/** A copy of the state that was synced to the disk while the file itself was not. */
export function syncedCopy(path: string): string {
  return `${path}.synced`;
}

/** What is known at first. */
export function emptyState(identity: StateIdentity): PublishState {
  const { model, commit, target } = identity;
  return { version: stateVersion, model, commit, target, layers: Object.create(null) };
}

/** The state at `path`, or a new one. What is there and cannot be used is kept beside it. */
export async function readState(
  path: string,
  identity: StateIdentity,
  onNotice: (message: string) => void,
): Promise<PublishState> {
  const fresh = emptyState(identity);
  const text = await textOf(path);
  if (text === undefined) return fresh;
  const found = understandState(text, identity);
  if (!('fault' in found)) return found;
  // The machine itself may have ended in the middle of a write.
  const copy = found.kind === 'damaged' ? await textOf(syncedCopy(path)) : undefined;
  const synced = copy === undefined ? found : understandState(copy, identity);
  const kept = await keepBeside(path, found.kind);
  const begun = 'fault' in synced ? 'starting a new one' : 'going on with a copy that may be older';
  onNotice(`the state file ${path} ${found.fault}: ${begun}, the old one is kept as ${kept}`);
  return 'fault' in synced ? fresh : synced;
}

/** The state at `path`, if it is this publish's; nothing is touched. */
export async function peekState(path: string, identity: StateIdentity): Promise<PublishState | undefined> {
  const text = await textOf(path);
  const found = text === undefined ? undefined : understandState(text, identity);
  return found && 'fault' in found ? undefined : found;
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** A state of any publish, or what is wrong with its text. */
export function parseState(text: string): PublishState | { kind: string; fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'damaged', fault: 'is damaged (no JSON)' };
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > stateVersion) {
    return { kind: 'newer', fault: `was written by a newer boxcar (version ${version} of its format)` };
  }
  const fault = stateFault(value);
  if (fault) return { kind: 'damaged', fault: `is damaged (${fault})` };
  const state = value as PublishState;
  return { ...state, version: stateVersion, layers: Object.assign(Object.create(null), state.layers) };
}

/** The state of this publish, or why the text is not that. */
export function understandState(
  text: string,
  identity: StateIdentity,
): PublishState | { kind: string; fault: string } {
  const state = parseState(text);
  if ('fault' in state) return state;
  const other = (['model', 'commit', 'target'] as const).find((key) => state[key] !== identity[key]);
  if (!other) return state;
  return { kind: 'foreign', fault: `belongs to another publish (its ${other} is ${state[other]})` };
}

async function keepBeside(path: string, kind: string): Promise<string> {
  for (let n = 1; ; n++) {
    const kept = n === 1 ? `${path}.${kind}` : `${path}.${kind}-${n}`;
    const taken = await access(kept).then(
      () => true,
      () => false,
    );
    if (taken) continue;
    await rename(path, kept);
    return kept;
  }
}
