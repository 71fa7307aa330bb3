import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startHub } from '../../support/hub.ts';
import { listen } from '../../support/listen.ts';
import { oneCommit, safetensors, tinyModel } from '../../support/models.ts';
import { registryProgram } from '../../support/programs.ts';
import { startRegistry } from '../../support/registries.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { long, tally } from '../tally.ts';
import type { Held, ManyPushes } from './many-pushes.ts';
import { needsProc } from './watched.ts';

const rounds = long ? 11 : 2;
const skip: string | false =
  needsProc.skip || (registryProgram('distribution-3') ? false : 'no distribution 3 on this machine');

/** A hub whose models are each broken in their way, and a registry behind a proxy that is so for some repositories. */
async function world(t: TestContext): Promise<ManyPushes> {
  const file = { 'model.safetensors': safetensors(300_000, 1), 'config.json': '{}' };
  const models = ['acme/broken', 'acme/flipped', 'acme/other'].map((name) => oneCommit(name, file));
  const cut = oneCommit('acme/cut', { 'model.safetensors': { size: 7_000_000, seed: 1, lfs: true } });
  const hub = await startHub({ models: [tinyModel(), cut, ...models] });
  const always = { times: Number.POSITIVE_INFINITY };
  hub.faults.push(
    { ...always, match: { path: /acme\/broken\/.*safetensors/ }, action: { kind: 'status', status: 500 } },
    { ...always, match: { path: /acme\/flipped\/.*safetensors/ }, action: { kind: 'flip', at: 1000 } },
    // Each answer brings a little: 100 retries for one file.
    { ...always, match: { origin: 'cdn', path: /acme\/cut\// }, action: { kind: 'cut', after: 70_000 } },
  );
  const registry = await startRegistry({ kind: 'distribution-3' });
  const proxy = await startFaultProxy(registry.url);
  proxy.faults.push(
    { ...always, match: { method: 'POST', path: /\/refusing\// }, action: { kind: 'status', status: 500 } },
    { ...always, match: { method: 'PATCH', path: /\/cutting\// }, action: { kind: 'cut', after: 0 } },
    {
      ...always,
      match: { method: 'PATCH', path: /\/stalling\// },
      action: { kind: 'stall', after: 500_000 },
    },
  );
  const gone = await listen(() => {});
  await gone.close();
  t.after(() => Promise.all([hub.close(), proxy.close(), registry.stop()]));
  const nowhere = `127.0.0.1:${gone.port}`;
  return { hub: hub.url, registry: proxy.host, nowhere, folder: tempDir(t), rounds };
}

test('nothing is left of pushes, however they end', { skip, timeout: 300_000 }, async (t) => {
  const job = await world(t);
  const script = join(import.meta.dirname, 'many-pushes.ts');
  const child = spawn(process.execPath, ['--expose-gc', '--trace-warnings', script, JSON.stringify(job)], {
    cwd: job.folder,
    env: { PATH: process.env.PATH, HOME: job.folder, XDG_STATE_HOME: join(job.folder, 'state') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  let warned = '';
  let lastWord = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    lastWord = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    warned += text;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  const linger = performance.now() - lastWord;
  assert.equal(code, 0, warned);
  assert.doesNotMatch(warned, /Warning/);
  // Its timers are of 10 s and more; a process that nothing keeps ends in a moment.
  assert.ok(linger < 5000, `it went on for ${linger} ms after the last push`);

  const held = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Held);
  const early = held[long ? 1 : 0];
  const last = held.at(-1);
  assert.ok(early && last && held.length === rounds);
  t.diagnostic(`after ${early.pushes} pushes: ${JSON.stringify(early)}`);
  t.diagnostic(`after ${last.pushes} pushes: ${JSON.stringify(last)}`);
  assert.ok(last.heap - early.heap < 3, `${last.heap} MiB of heap after ${early.heap}`);
  assert.ok(last.buffers - early.buffers < 2, `${last.buffers} MiB of buffers after ${early.buffers}`);
  assert.ok(
    last.descriptors <= early.descriptors,
    `${last.descriptors} descriptors after ${early.descriptors}`,
  );
  for (const { resources, signalListeners, processListeners, temporary } of held) {
    assert.deepEqual(resources, []);
    assert.equal(signalListeners, 0);
    assert.equal(processListeners, early.processListeners);
    assert.deepEqual(temporary, []);
  }
  tally('soak-pushes', {
    what: `${last.pushes} pushes in one process, in ${last.pushes / rounds} ways to end well, to fail and to be stopped`,
    result: `${Math.max(0, last.heap - early.heap).toFixed(1)} MiB more heap, no descriptor, timer, listener or temporary file left`,
  });
});
