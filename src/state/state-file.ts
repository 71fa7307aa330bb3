import { createHash } from 'node:crypto';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Lock } from '../disk/lock.ts';
import { replaceFile, replaceFileNow, sweepTemporary } from '../disk/replace-file.ts';
import { readState, syncedCopy } from './read-state.ts';
import type { LayerState, PublishState, StateIdentity } from './state-schema.ts';

/** Longest time between a change and its write, in ms: what a killed process loses. */
const writeEveryMs = 100;
/** A layer that has come so many bytes further is written sooner, as a killed process would read them again. */
const writeEveryBytes = 2 * 1024 * 1024;
/** A layer of fewer bytes is sent again sooner than the disk is waited for. */
const worthAWrite = 1024 * 1024;
/** Writes block the process: they take one part in so many of its time, at most. A slow disk gets fewer of them. */
const restFactor = 50;
/** How often a copy is made that survives the machine's end, too, in ms. */
const syncEveryMs = 1000;

/** The directory of all states (XDG Base Directory Specification). */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'boxcar');
}

/** Where the state of a publish is kept unless the user says otherwise. */
export function defaultStatePath(identity: StateIdentity, env: NodeJS.ProcessEnv): string {
  const key = createHash('sha256')
    .update(JSON.stringify(Object.values(identity)))
    .digest('hex')
    .slice(0, 12);
  const name = identity.model.replace(/[^\w.-]+/g, '--');
  return join(stateDirectory(env), `${name}-${identity.commit.slice(0, 12)}-${key}.json`);
}

/**
 * The state of one publish, in memory and, as far as the disk allows, in a file that survives the process. It is written
 * often and without waiting for the disk; a synced copy beside it follows, for the machine's end.
 */
export class StateFile {
  /** It is the user's own. */
  readonly trusted = true;
  readonly path: string;
  readonly #state: PublishState;
  readonly #lock: Lock;
  readonly #onFailure: (message: string) => void;
  /** Bytes of each layer that the file knows to be hashed. */
  readonly #written = new Map<string, number>();
  #dirty = true;
  #wroteAt = 0;
  /** Of the two newest writes: one slow one, the first of the process for example, says nothing. */
  #tookMs: [number, number] = [0, 0];
  #syncedAt = performance.now();
  #syncing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;
  #closed = false;

  private constructor(path: string, state: PublishState, lock: Lock, onFailure: (message: string) => void) {
    this.path = path;
    this.#state = state;
    this.#lock = lock;
    this.#onFailure = onFailure;
  }

  /**
   * Opens or begins the state at `path`, locked against other processes. A file that is not this publish's, damaged, or
   * of a newer boxcar is kept beside under another name.
   * @param onNotice told what was found amiss; a disk that fails, now or later, is told too, once.
   * @returns `undefined` when another process has it.
   * @throws the system's error when there can be no file at the path.
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
      for (const each of [path, syncedCopy(path)]) await sweepTemporary(each);
      const state = await readState(path, identity, onNotice);
      const file = new StateFile(path, state, lock, onNotice);
      // Shows at once whether the disk takes it, before there is progress to lose.
      file.#write();
      return file;
    } catch (error) {
      await lock.release().catch(() => {});
      throw error;
    }
  }

  layer(name: string): LayerState | undefined {
    return this.#state.layers[name];
  }

  /** Remembers; the file follows soon. */
  set(name: string, layer: LayerState): void {
    this.#state.layers[name] = layer;
    this.#dirty = true;
    const rest = restFactor * Math.min(...this.#tookMs);
    this.#timer ??= setTimeout(() => this.#write(), Math.max(writeEveryMs, rest));
    if (hashed(layer) - (this.#written.get(name) ?? 0) < writeEveryBytes) return;
    if (performance.now() - this.#wroteAt >= rest) this.#write();
  }

  /** Writes what is not yet written, where the layer is worth that. */
  flush(name: string): void {
    if ((this.#state.layers[name]?.size ?? 0) >= worthAWrite) this.#write();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#dirty) return;
    const start = performance.now();
    const text = `${JSON.stringify(this.#state)}\n`;
    try {
      replaceFileNow(this.path, text, 0o600);
      this.#dirty = false;
      for (const [name, layer] of Object.entries(this.#state.layers)) this.#written.set(name, hashed(layer));
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#wroteAt = performance.now();
    this.#tookMs = [this.#tookMs[1], this.#wroteAt - start];
    if (!this.#syncing && this.#wroteAt - this.#syncedAt >= syncEveryMs) this.#syncing = this.#sync(text);
  }

  async record(): Promise<void> {
    this.#write();
  }

  forget(): void {}

  /** It stays: the next run sees by it that nothing is left to do. */
  finish(): Promise<void> {
    return this.close();
  }

  /** Writes everything, for good. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#write();
    await this.#syncing;
    await replaceFile(this.path, `${JSON.stringify(this.#state)}\n`, 0o600).catch((error) =>
      this.#fail(error),
    );
    await rm(syncedCopy(this.path), { force: true }).catch(() => {});
    await this.#lock.release();
  }

  async #sync(text: string): Promise<void> {
    // What fails here fails in the file itself, too, and is told there.
    await replaceFile(syncedCopy(this.path), text, 0o600).catch(() => {});
    this.#syncedAt = performance.now();
    this.#syncing = undefined;
  }

  #fail(error: Error): void {
    if (!this.#failed)
      this.#onFailure(`the state file ${this.path} cannot be written (${error.message}): going on without`);
    this.#failed = true;
  }
}

function hashed({ checkpoints }: LayerState): number {
  return checkpoints?.at(-1)?.offset ?? 0;
}
