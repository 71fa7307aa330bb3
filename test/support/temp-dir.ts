import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './exit.ts';

/** What a test's context offers; a suite's `after` will do as well. */
interface Lifetime {
  after(cleanup: () => void): void;
}

/** A new empty directory, removed after the test it is given, or with the process. */
export function tempDir(test?: Lifetime): string {
  const folder = mkdtempSync(join(tmpdir(), 'boxcar-test-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const callOff = atExit(remove);
  test?.after(() => {
    callOff();
    remove();
  });
  return folder;
}
