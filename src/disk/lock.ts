import { type FileHandle, open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

type Native = typeof import('fs-native-extensions')['default'];
let loading: Promise<Native | undefined> | undefined;

/** Native code with prebuilt binaries; a machine without one goes without locks, which is no reason to stop. */
function native(): Promise<Native | undefined> {
  loading ??= import('fs-native-extensions').then(
    (module) => module.default,
    () => undefined,
  );
  return loading;
}

/** A lock that dies with its process: held by the kernel on an open file, so that none is ever stale. */
export class Lock {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Takes the lock file at `path`.
   * @returns the lock, or the process id of who has it (0 when it cannot be told).
   */
  static async take(path: string): Promise<Lock | number> {
    const file = await open(path, 'a+', 0o600);
    try {
      if (!(await tryLock(file))) {
        const holder = await holderOf(path);
        await file.close();
        return holder;
      }
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    // On a full disk it is held all the same, and only who has it cannot be told.
    await file.truncate(0).catch(() => {});
    await file.write(`${process.pid}\n`).catch(() => {});
    return new Lock(file);
  }

  /** Waits for the lock of an existing file, whose content stays. */
  static async wait(path: string): Promise<Lock> {
    const file = await open(path, 'r+');
    try {
      await (await native())?.waitForLock(file.fd);
      return new Lock(file);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  }

  /** The file stays: removing it could take away the lock of one who has just opened it. */
  async release(): Promise<void> {
    await this.#file.close();
  }
}

/** Who holds a lock file: it is written right after the lock is taken, and until then it may name one who is dead. */
async function holderOf(path: string): Promise<number> {
  let holder = 0;
  for (let looks = 0; looks < 10; looks++) {
    await sleep(20);
    holder = Number.parseInt(await readFile(path, 'utf8'), 10) || 0;
    if (holder > 0 && isAlive(holder)) break;
  }
  return holder;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Locks a file that is open already, until it is closed. @returns false where another process has it. */
export async function tryLock(file: FileHandle): Promise<boolean> {
  return (await native())?.tryLock(file.fd) !== false;
}
