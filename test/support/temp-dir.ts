import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './exit.ts';

/** What a test's context offers; a suite's `after` will do as well. */
interface Lifetime {
  after(cleanup: () => void): void;
}

/** A new empty directory, removed after the test it is given, or with the process. */
export function tempDir(test?: Lifetime, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'boxcar-test-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const callOff = atExit(remove);
  test?.after(() => {
    callOff();
    remove();
  });
  return folder;
}

const memory = '/dev/shm';
/** So many bytes of memory must be free for a directory in it. */
const plenty = 4 * 1024 ** 3;

/**
 * The same in memory, where there is plenty of it: a registry makes thousands of small files and folders, which takes a
 * disk as long as all else that most tests do. What the long run stores may be too much.
 */
export function quickTempDir(): string {
  const quick = process.env.BOXCAR_TEST_LONG !== '1' && process.availableMemory() > plenty;
  return tempDir(undefined, quick && roomIn(memory) > plenty ? memory : tmpdir());
}

function roomIn(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
