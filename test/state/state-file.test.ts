import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { replaceFile } from '../../src/disk/replace-file.ts';
import { defaultStatePath, StateFile } from '../../src/state/state-file.ts';
import type { LayerState } from '../../src/state/state-schema.ts';
import { tempDir } from '../support/temp-dir.ts';
import { full, identity, layers, openState } from './states.ts';

const layer = (size: number): LayerState => ({ contentId: `git:${'1'.repeat(40)}`, size });

test('what is set is there in the next process', async (t) => {
  const { path, file } = await openState(t, join(tempDir(t), 'deep', 'er', 'state.json'));
  for (const [name, state] of Object.entries(layers)) file?.set(name, state);
  await file?.close();
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), full);
  const again = await openState(t, path);
  assert.deepEqual(again.notices, []);
  for (const [name, state] of Object.entries(layers)) assert.deepEqual(again.file?.layer(name), state);
  assert.equal(again.file?.layer('models/other'), undefined);
});

test('a new file is there at once, for its owner alone', async (t) => {
  const { path } = await openState(t, join(tempDir(t), 'new', 'state.json'));
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { ...full, layers: {} });
  for (const each of [path, `${path}.lock`]) assert.equal(statSync(each).mode & 0o777, 0o600, each);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
});

test('a file that was open to others is so no longer', async (t) => {
  const path = join(tempDir(t), 'state.json');
  writeFileSync(path, JSON.stringify(full), { mode: 0o644 });
  await openState(t, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('names that JavaScript knows are names of layers', async (t) => {
  const { path, file } = await openState(t);
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  for (const name of names) assert.equal(file?.layer(name), undefined, name);
  for (const [i, name] of names.entries()) file?.set(name, layer(i));
  await file?.close();
  const again = await openState(t, path);
  assert.deepEqual(again.notices, []);
  assert.deepEqual(
    names.map((name) => again.file?.layer(name)?.size),
    [0, 1, 2, 3],
  );
  assert.equal(again.file?.layer('valueOf'), undefined);
});

test('a state of version 1 is gone on with, and written as version 2', async (t) => {
  const path = join(tempDir(t), 'state.json');
  writeFileSync(path, JSON.stringify({ ...full, version: 1 }));
  const { file, notices } = await openState(t, path);
  assert.deepEqual(notices, []);
  assert.equal(file?.layer('models/half')?.upload?.offset, 5_000_000);
  await file?.close();
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), full);
});

describe('a file that is not this publish’s is kept beside', () => {
  const other = { ...full, model: 'acme/other' };
  const cases: [kind: string, text: string, why: RegExp][] = [
    ['damaged', '', /is damaged \(no JSON\)/],
    ['damaged', JSON.stringify(full).slice(0, -9), /is damaged \(no JSON\)/],
    ['damaged', 'null', /is damaged/],
    ['damaged', '[]', /is damaged/],
    ['damaged', JSON.stringify({ ...full, layers: { x: {} } }), /is damaged \(\/layers\/x/],
    ['damaged', JSON.stringify({ ...full, version: 0 }), /is damaged/],
    ['newer', JSON.stringify({ version: 3, anything: true }), /by a newer boxcar \(version 3/],
    ['foreign', JSON.stringify(other), /another publish \(its model is acme\/other\)/],
    ['foreign', JSON.stringify({ ...full, commit: 'd'.repeat(40) }), /its commit is d{40}/],
    ['foreign', JSON.stringify({ ...full, target: 'oci:/x' }), /its target is oci:\/x/],
  ];
  for (const [kind, text, why] of cases) {
    test(`${kind}: ${text.slice(0, 50)}`, async (t) => {
      const path = join(tempDir(t), 'state.json');
      writeFileSync(path, text);
      const { file, notices } = await openState(t, path);
      assert.equal(notices.length, 1);
      assert.match(notices[0] ?? '', why);
      assert.ok(notices[0]?.includes(`${path}.${kind}`), notices[0]);
      assert.equal(readFileSync(`${path}.${kind}`, 'utf8'), text);
      assert.equal(file?.layer('models/done'), undefined);
      assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { ...full, layers: {} });
    });
  }

  test('and so are those after it', async (t) => {
    const path = join(tempDir(t), 'state.json');
    for (const text of ['one', 'two', 'three']) {
      writeFileSync(path, text);
      await (await openState(t, path)).file?.close();
    }
    const kept = ['damaged', 'damaged-2', 'damaged-3'].map((end) => readFileSync(`${path}.${end}`, 'utf8'));
    assert.deepEqual(kept, ['one', 'two', 'three']);
  });
});

describe('writing', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const sizeIn = (path: string): number | undefined => JSON.parse(readFileSync(path, 'utf8')).layers.x?.size;

  test('is rare: a thousand changes are one write, when their time has come', async (t) => {
    const { path, file } = await openState(t);
    // As long as several writes would take.
    const aWhile = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) await replaceFile(`${path}.other`, 'x'.repeat(1000), 0o600);
    };
    const writtenAt = (): bigint => statSync(path, { bigint: true }).mtimeNs;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    for (let i = 1; i <= 1000; i++) file?.set('x', layer(i));
    await aWhile();
    assert.equal(sizeIn(path), undefined, 'not yet');
    t.mock.timers.tick(60_000);
    while (sizeIn(path) === undefined) await turn();
    assert.equal(sizeIn(path), 1000);
    const before = writtenAt();
    t.mock.timers.tick(60_000);
    await aWhile();
    assert.equal(writtenAt(), before, 'nothing new, nothing written');
    file?.set('x', layer(7));
    t.mock.timers.tick(60_000);
    while (sizeIn(path) === 1000) await turn();
    assert.equal(sizeIn(path), 7);
  });

  test('record does it now', async (t) => {
    const { path, file } = await openState(t);
    file?.set('x', layer(1));
    await file?.record();
    assert.equal(sizeIn(path), 1);
    file?.set('x', layer(2));
    await file?.record();
    assert.equal(sizeIn(path), 2);
  });

  test('no half-written file is ever seen, and none is left behind', async (t) => {
    const { path, file } = await openState(t);
    const many = Array.from({ length: 2000 }, (_, i) => [`models/${i}`, layer(i)] as const);
    for (const [name, state] of many) file?.set(name, state);
    await file?.record();
    const reader = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const { readFileSync } = require('node:fs');
       const told = new Set();
       let stop = false;
       parentPort.on('message', () => { stop = true; });
       (function look() {
         told.add(JSON.parse(readFileSync(workerData, 'utf8')).layers.x?.size);
         parentPort.postMessage(told.size);
         if (stop) parentPort.close();
         else setImmediate(look);
       })();`,
      { eval: true, workerData: path },
    );
    let seen = 0;
    reader.on('message', (states) => {
      seen = states;
    });
    const ended = once(reader, 'exit');
    for (let i = 0; seen < 20; i++) {
      file?.set('x', layer(i));
      await file?.record();
      await turn();
    }
    reader.postMessage('stop');
    assert.deepEqual(await ended, [0]);
    await file?.close();
    assert.deepEqual(readdirSync(dirname(path)).sort(), [basename(path), `${basename(path)}.lock`]);
  });

  test('a layer that has come two MiB further is written at once', async (t) => {
    const { path, file } = await openState(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const hashed = (offset: number): LayerState => ({
      ...layer(9),
      checkpoints: [{ offset, layer: 'ab'.repeat(32) }],
    });
    const offsetIn = () => JSON.parse(readFileSync(path, 'utf8')).layers.x?.checkpoints[0].offset;
    const mib = 1024 * 1024;
    file?.set('x', hashed(mib));
    assert.equal(offsetIn(), undefined);
    file?.set('x', hashed(2 * mib));
    assert.equal(offsetIn(), 2 * mib);
    file?.set('x', hashed(3 * mib));
    assert.equal(offsetIn(), 2 * mib);
  });
});

describe('what a process that was killed has left', () => {
  test('temporary files are removed, others stay', async (t) => {
    const { path, file } = await openState(t);
    await file?.close();
    const temporary = `${path}.${randomUUID()}.tmp`;
    const others = [`${path}.tmp`, `${path}.notes`, join(dirname(path), `x.${randomUUID()}.tmp`)];
    for (const each of [temporary, ...others]) writeFileSync(each, '{');
    assert.deepEqual((await openState(t, path)).notices, []);
    assert.ok(!existsSync(temporary));
    for (const each of others) assert.ok(existsSync(each), each);
  });

  test('a file that the machine tore: the synced copy serves', async (t) => {
    const { path, file } = await openState(t);
    await file?.close();
    for (const torn of ['', JSON.stringify(full).slice(0, 50)]) {
      writeFileSync(path, torn);
      writeFileSync(`${path}.synced`, JSON.stringify(full));
      const again = await openState(t, path);
      assert.match(again.notices.join(), /going on with a copy that may be older/);
      assert.deepEqual(again.file?.layer('models/done'), layers['models/done']);
      await again.file?.close();
      assert.ok(!existsSync(`${path}.synced`));
    }
  });

  test('a file that was deleted is gone, copy or not', async (t) => {
    const { path, file } = await openState(t);
    await file?.close();
    rmSync(path);
    writeFileSync(`${path}.synced`, JSON.stringify(full));
    assert.equal((await openState(t, path)).file?.layer('models/done'), undefined);
  });
});

test('the default place is the user’s, one file for each publish', () => {
  const path = defaultStatePath(identity, { XDG_STATE_HOME: '/state', HOME: '/home/me' });
  assert.match(path, /^\/state\/boxcar\/acme--llm-c0ffee000000-[0-9a-f]{12}\.json$/);
  assert.equal(defaultStatePath(identity, { XDG_STATE_HOME: '/state' }), path);
  const home = defaultStatePath(identity, { HOME: '/home/me' });
  assert.ok(home.startsWith('/home/me/.local/state/boxcar/'), home);
  const others = (['model', 'commit', 'target'] as const).map((key) =>
    defaultStatePath({ ...identity, [key]: `${identity[key]}x` }, { XDG_STATE_HOME: '/state' }),
  );
  assert.equal(new Set([path, ...others]).size, 4);
});

test('a path that cannot be written is told at once', async (t) => {
  const folder = tempDir(t);
  writeFileSync(join(folder, 'file'), '');
  const open = (path: string) => StateFile.open(path, identity, () => {});
  await assert.rejects(open(join(folder, 'file', 'state.json')), { code: /ENOTDIR|EEXIST/ });
  await assert.rejects(open(folder), { code: /EISDIR/ });
});
