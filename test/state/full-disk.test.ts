import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { replaceFile } from '../../src/disk/replace-file.ts';
import { tempDir } from '../support/temp-dir.ts';
import { full, openState } from './states.ts';

/** A disk of 64 KiB; `undefined` where this user may not have one. */
function smallDisk(t: TestContext): string | undefined {
  const folder = tempDir();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    t.skip('only root may mount a small disk');
    return undefined;
  }
  t.after(() => execFileSync('umount', ['--lazy', folder]));
  return folder;
}

/** Takes the room but for `pages` of 4 KiB. */
function fill(folder: string, pages: number): string {
  const path = join(folder, 'ballast');
  for (let size = 16; size > 0; size--) {
    try {
      writeFileSync(path, Buffer.alloc(size * 4096));
      writeFileSync(path, Buffer.alloc((size - pages) * 4096));
      return path;
    } catch {
      // Less, then.
    }
  }
  throw new Error('it was full already');
}

test('a full disk keeps the old content, whole', async (t) => {
  const folder = smallDisk(t);
  if (!folder) return;
  const path = join(folder, 'file');
  await replaceFile(path, 'old', 0o600);
  fill(folder, 1);
  // A part of it would find room.
  await assert.rejects(replaceFile(path, 'x'.repeat(20_000), 0o600), { code: 'ENOSPC' });
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder).sort(), ['ballast', 'file']);
});

test('a state is gone on with although the disk is full, and written when there is room again', async (t) => {
  const folder = smallDisk(t);
  if (!folder) return;
  const path = join(folder, 'state.json');
  writeFileSync(path, JSON.stringify(full));
  writeFileSync(`${path}.lock`, '');
  const ballast = fill(folder, 0);
  const { file, notices } = await openState(t, path);
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? '', /cannot be written \(ENOSPC.*going on without/);
  assert.equal(file?.layer('models/half')?.upload?.offset, 5_000_000, 'what it said serves all the same');
  file?.set('models/new', { contentId: `git:${'1'.repeat(40)}`, size: 7 });
  await file?.record();
  assert.equal(notices.length, 1, 'told once');
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), full);
  rmSync(ballast);
  await file?.record();
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).layers['models/new'].size, 7);
});
