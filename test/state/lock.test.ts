import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Lock } from '../../src/disk/lock.ts';
import { tempDir } from '../support/temp-dir.ts';
import { openState } from './states.ts';

const holder = fileURLToPath(new URL('holder.ts', import.meta.url));

/** A process that tries to hold the state file, and the first line it says. */
async function hold(
  t: TestContext,
  path: string,
  ...more: string[]
): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [holder, path, ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [said] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  return { child, said: String(said).trim() };
}

test('a live process keeps its state file', async (t) => {
  const path = join(tempDir(t), 'state.json');
  const { child, said } = await hold(t, path);
  assert.equal(said, 'held');
  const before = readFileSync(path, 'utf8');
  const { file, notices } = await openState(t, path);
  assert.equal(file, undefined);
  assert.deepEqual(notices, [`process ${child.pid} is using the state file ${path}: going on without it`]);
  assert.equal(readFileSync(path, 'utf8'), before);
});

test('a dead one does not', async (t) => {
  const path = join(tempDir(t), 'state.json');
  const { child } = await hold(t, path);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { file, notices } = await openState(t, path);
  assert.deepEqual(notices, []);
  assert.equal(file?.layer('models/x')?.size, 1);
});

test('one that has closed it does not', async (t) => {
  const { path, file } = await openState(t);
  assert.equal((await openState(t, path)).file, undefined, 'not twice in one process either');
  await file?.close();
  assert.ok((await openState(t, path)).file);
});

test('what a lock file says of a process that is gone is not believed', async (t) => {
  const path = join(tempDir(t), 'state.json');
  writeFileSync(`${path}.lock`, `${process.ppid}\n`);
  assert.ok((await openState(t, path)).file);
  assert.equal(readFileSync(`${path}.lock`, 'utf8'), `${process.pid}\n`);
});

test('a directory that may not be written to is told', async (t) => {
  const folder = tempDir(t);
  // Root may write everywhere: then somebody else tries.
  const somebody = process.getuid?.() === 0 ? ['65534'] : [];
  chmodSync(folder, 0o555);
  const { said } = await hold(t, join(folder, 'state.json'), ...somebody);
  chmodSync(folder, 0o755);
  assert.equal(said, 'EACCES');
});

test('waiting for a lock ends when it is free', async (t) => {
  const path = join(tempDir(t), 'file');
  writeFileSync(path, 'content');
  const first = await Lock.wait(path);
  let second: Lock | undefined;
  const waiting = Lock.wait(path).then((lock) => {
    second = lock;
  });
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(second, undefined);
  await first.release();
  await waiting;
  await (second as Lock | undefined)?.release();
  assert.equal(readFileSync(path, 'utf8'), 'content');
});

test('a holder that has not yet written its number is waited for', async (t) => {
  const path = join(tempDir(t), 'lock');
  const held = await Lock.take(path);
  assert.ok(held instanceof Lock);
  t.after(() => held.release());
  for (const before of ['', '4194304\n']) {
    writeFileSync(path, before);
    const taking = Lock.take(path);
    setTimeout(() => writeFileSync(path, `${process.pid}\n`), 50);
    assert.equal(await taking, process.pid);
  }
});
