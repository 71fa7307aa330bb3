import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type PublishResult, push } from '../../src/index.ts';
import type { PublishState } from '../../src/state/state-schema.ts';
import { long } from '../reliability/tally.ts';
import { type CommandLine, startCommandLine } from '../support/command-line.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { bigModel } from '../support/models.ts';
import { describeEachRegistry, type Registry, startRegistry } from '../support/registries.ts';
import { type RunningProgram, startBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const mb = 1_000_000;
const size = 24 * mb;
const model = bigModel({ files: 2, size, name: 'acme/resumed' });

/** Resolves when the state file says that half of each large layer has passed. */
async function halfway(program: RunningProgram, home: string): Promise<void> {
  await program.said(/layer-started/);
  const folder = join(home, '.local/state/boxcar');
  let running = true;
  void program.finished.finally(() => {
    running = false;
  });
  while (running) {
    const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.json'));
    const { layers } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as PublishState;
    const reached = Object.values(layers).map((layer) => layer.checkpoints?.at(-1)?.offset ?? 0);
    if (reached.filter((offset) => offset >= size / 2).length === 2) return;
    await delay(20);
  }
  assert.fail(`it ended before that:\n${program.stderr()}`);
}

describeEachRegistry('going on', (kind) => {
  let hub: Hub;
  let fast: Hub;
  let boxcar: CommandLine;
  let registry: Registry;
  let undisturbed: string;

  before(async () => {
    hub = await startHub({ models: [model], bytesPerSecond: 2 * mb });
    // However busy the machine is: no layer ends before the push is ended in its middle.
    hub.faults.push({
      match: { range: /^bytes=(1[89]|2\d)\d{6}-/ },
      times: Infinity,
      action: { kind: 'hold' },
    });
    fast = await startHub({ models: [model] });
    registry = await startRegistry({ kind });
    boxcar = startCommandLine();
    const env = { HF_ENDPOINT: fast.url, HOME: tempDir() };
    const result = await push({ model: model.name, target: `${registry.host}/undisturbed`, env });
    undisturbed = result.manifestDigest;
  });
  after(() => Promise.all([registry.stop(), hub.close(), fast.close(), boxcar.close()]));

  async function interrupted(repository: string, signal: NodeJS.Signals, extra: string[] = []) {
    const home = tempDir();
    const args = ['push', model.name, `${registry.host}/${repository}`, '--log-style', 'json', ...extra];
    const first = startBoxcar(args, { env: { HF_ENDPOINT: hub.url }, home });
    await halfway(first, home);
    const asked = performance.now();
    first.kill(signal);
    const ended = await first.finished;
    const tookMs = performance.now() - asked;
    const second = await boxcar.run([...args, '--json'], { env: { HF_ENDPOINT: fast.url }, home });
    assert.equal(second.code, 0, second.stderr);
    const result = JSON.parse(second.stdout) as PublishResult;
    assert.equal(result.manifestDigest, undisturbed);
    const shards = result.layers.filter((layer) => layer.size > mb);
    return { ended, tookMs, shards, result };
  }

  test('SIGTERM saves every byte: the next run sends only what is missing', async () => {
    const { ended, tookMs, shards } = await interrupted('terminated', 'SIGTERM');
    assert.deepEqual([ended.code, ended.signal], [143, null]);
    assert.match(ended.stderr, /to go on: boxcar push acme\/resumed/);
    assert.ok(tookMs < 5000, `it took ${tookMs} ms`);
    for (const { outcome, bytesSent, bytesRead } of shards) {
      assert.equal(outcome, 'resumed');
      assert.ok(bytesSent < 0.6 * size, `sent ${bytesSent}`);
      assert.ok(bytesRead < 0.7 * size, `read ${bytesRead}`);
    }
  });

  // test/reliability/kill does more of this, on both.
  if (!long && kind === 'distribution-2') return;

  test('SIGINT likewise, with chunks', async () => {
    const { ended, shards } = await interrupted('interrupted', 'SIGINT', [
      '--upload',
      'chunked',
      '--chunk-mib',
      '4',
    ]);
    assert.equal(ended.code, 130);
    for (const { bytesSent } of shards) assert.ok(bytesSent < 0.7 * size, `sent ${bytesSent}`);
  });

  test('kill -9 costs no byte where the registry keeps a cut upload, the layers in flight where not', async () => {
    const { ended, shards } = await interrupted('killed', 'SIGKILL');
    assert.equal(ended.signal, 'SIGKILL');
    for (const { outcome, bytesSent, bytesRead } of shards) {
      if (kind === 'distribution-2') {
        assert.equal(bytesSent, Math.ceil((size + 1024) / 512) * 512 + 1024);
        continue;
      }
      assert.equal(outcome, 'resumed');
      // Half was there: less than a tenth of the layer again, and read less than a fifth again.
      assert.ok(bytesSent < 0.6 * size, `sent ${bytesSent}`);
      assert.ok(bytesRead < 0.7 * size, `read ${bytesRead}`);
    }
  });
});
