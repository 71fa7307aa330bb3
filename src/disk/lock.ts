import { type FileHandle, open } from 'node:fs/promises';

/** Native code with prebuilt binaries; a machine without one goes without locks, which is no reason to stop. */
const native = import('fs-native-extensions').then(
  (module) => module.default,
  () => undefined,
);

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
        const holder = Number.parseInt(await file.readFile('utf8'), 10);
        await file.close();
        return Number.isInteger(holder) ? holder : 0;
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
      await (await native)?.waitForLock(file.fd);
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

/** Locks a file that is open already, until it is closed. @returns false where another process has it. */
export async function tryLock(file: FileHandle): Promise<boolean> {
  return (await native)?.tryLock(file.fd) !== false;
}
