import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { Lock } from '../disk/lock.ts';
import { type LayerState, type PublishState, type StateIdentity, stateFault } from './state-schema.ts';

/** Times between two writes, in ms: a slow disk gets more than the shortest, a killed process loses at most the longest. */
const writeEveryMs = { shortest: 100, longest: 1000 };

/** Where the state of a publish is kept unless the user says otherwise (XDG Base Directory Specification). */
export function defaultStatePath(identity: StateIdentity, env: NodeJS.ProcessEnv): string {
  const base = env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state');
  const key = createHash('sha256')
    .update(JSON.stringify(Object.values(identity)))
    .digest('hex')
    .slice(0, 12);
  const name = identity.model.replace(/[^\w.-]+/g, '--');
  return join(base, 'boxcar', `${name}-${identity.commit.slice(0, 12)}-${key}.json`);
}

/** The state of one publish, in memory and, as far as the disk allows, in a file that survives the process. */
export class StateFile {
  readonly path: string;
  readonly #state: PublishState;
  readonly #lock: Lock;
  readonly #onFailure: (message: string) => void;
  #dirty = false;
  #lastWriteMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, state: PublishState, lock: Lock, onFailure: (message: string) => void) {
    this.path = path;
    this.#state = state;
    this.#lock = lock;
    this.#onFailure = onFailure;
  }

  /**
   * Opens or begins the state at `path`, locked against other processes. A file that is not this publish's, damaged, or
   * of a newer boxcar is kept beside under another name.
   * @param onNotice told what was found amiss; a disk that fails later is told too, once.
   * @returns `undefined` when another process has it.
   * @throws the system's error when the path cannot be written.
   */
  static async open(
    path: string,
    identity: StateIdentity,
    onNotice: (message: string) => void,
  ): Promise<StateFile | undefined> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await access(dirname(path), constants.W_OK);
    const lock = await Lock.take(`${path}.lock`);
    if (!(lock instanceof Lock)) {
      const holder = lock ? `process ${lock}` : 'another process';
      onNotice(`${holder} is using the state file ${path}: going on without it`);
      return undefined;
    }
    try {
      const state = await read(path, identity, onNotice);
      const file = new StateFile(path, state, lock, onNotice);
      // Shows at once whether the disk takes it, before there is progress to lose.
      await file.#write();
      return file;
    } catch (error) {
      await lock.release().catch(() => {});
      throw error;
    }
  }

  layer(name: string): LayerState | undefined {
    return this.#state.layers[name];
  }

  /** Remembers; the file follows soon ({@link writeEveryMs}). */
  set(name: string, layer: LayerState): void {
    this.#state.layers[name] = layer;
    this.#dirty = true;
    const { shortest, longest } = writeEveryMs;
    const pause = Math.min(longest, Math.max(shortest, 5 * this.#lastWriteMs));
    this.#timer ??= setTimeout(() => this.#writeSoon(), pause);
  }

  /** Writes what is not yet written. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#writeSoon();
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#lock.release();
  }

  #writeSoon(): void {
    this.#writing = this.#writing.then(async () => {
      this.#timer = undefined;
      if (this.#dirty) await this.#write().catch((error: Error) => this.#fail(error));
    });
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    const start = performance.now();
    await writeFileAtomic(this.path, `${JSON.stringify(this.#state)}\n`, { mode: 0o600, fsync: true });
    this.#lastWriteMs = performance.now() - start;
  }

  #failed = false;
  #fail(error: Error): void {
    if (!this.#failed)
      this.#onFailure(`the state file ${this.path} cannot be written (${error.message}): going on without`);
    this.#failed = true;
  }
}

async function read(
  path: string,
  identity: StateIdentity,
  onNotice: (message: string) => void,
): Promise<PublishState> {
  const fresh: PublishState = { version: 1, ...identity, layers: Object.create(null) };
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return fresh;
  const found = understand(text, identity);
  if (!('fault' in found)) return { ...found, layers: Object.assign(Object.create(null), found.layers) };
  const kept = await keepBeside(path, found.kind);
  onNotice(`the state file ${path} ${found.fault}: starting a new one, the old one is kept as ${kept}`);
  return fresh;
}

function understand(text: string, identity: StateIdentity): PublishState | { kind: string; fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'damaged', fault: 'is damaged (no JSON)' };
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > 1) {
    return { kind: 'newer', fault: `was written by a newer boxcar (version ${version} of its format)` };
  }
  const fault = stateFault(value);
  if (fault) return { kind: 'damaged', fault: `is damaged (${fault})` };
  const state = value as PublishState;
  const other = (['model', 'commit', 'target'] as const).find((key) => state[key] !== identity[key]);
  return other
    ? { kind: 'foreign', fault: `belongs to another publish (its ${other} is ${state[other]})` }
    : state;
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
