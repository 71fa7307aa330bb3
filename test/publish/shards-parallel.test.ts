import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LayerResult, PublishResult } from '../../src/index.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { headOf, oneCommit } from '../support/models.ts';
import { describeEachRegistry, kindsInShort, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { type FinishedProgram, runBoxcar, startBoxcar } from '../support/run.ts';

const mb = 1_000_000;
const sizes = [6, 5, 4, 3, 2, 1].map((size) => size * mb);
const files = sizes.map((size, i) => [`m-${i}.safetensors`, { size, seed: i + 1, lfs: true }] as const);
const model = oneCommit('acme/shared', {
  'config.json': '{}',
  'README.md': '# x',
  ...Object.fromEntries(files),
});
const tag = headOf(model).slice(0, 12);

function layersOf(programs: FinishedProgram[]): LayerResult[] {
  return programs.flatMap(({ stdout }) => (JSON.parse(stdout) as PublishResult).layers);
}

describeEachRegistry('shards in parallel', (kind) => {
  let hub: Hub;
  let slow: Hub;
  let registry: Registry;
  let undisturbed: PublishResult;

  before(async () => {
    hub = await startHub({ models: [model] });
    slow = await startHub({ models: [model], bytesPerSecond: 0.5 * mb });
    registry = await startRegistry({ kind });
    const { stdout } = await runBoxcar(['push', model.name, `${registry.host}/undisturbed`, '--json'], {
      env: { HF_ENDPOINT: hub.url },
    });
    undisturbed = JSON.parse(stdout) as PublishResult;
  });
  after(() => Promise.all([hub.close(), slow.close(), registry.stop()]));

  const args = (repository: string, shard: string, ...extra: string[]) => [
    'push',
    model.name,
    `${registry.host}/${repository}`,
    '--shard',
    shard,
    '--json',
    ...extra,
  ];
  const env = () => ({ HF_ENDPOINT: hub.url });

  /** Nothing but the image is left, and each layer was sent once in all. */
  async function assertPublished(repository: string, programs: FinishedProgram[]): Promise<void> {
    assert.equal(
      (await inspectRegistry(registry).manifest(repository, tag))?.digest,
      undisturbed.manifestDigest,
    );
    // Of a tag that was deleted by its digest the folder stays.
    for (const each of inspectRegistry(registry).tags(repository))
      if (each !== tag)
        assert.equal(await inspectRegistry(registry).manifest(repository, each), undefined, each);
    const sent = layersOf(programs).filter(({ bytesSent }) => bytesSent > 0);
    assert.deepEqual(
      sent.map(({ path, bytesSent }) => [path, bytesSent]).sort(),
      undisturbed.layers.map(({ path, size }) => [path, size]).sort(),
    );
  }

  for (const count of kindsInShort.includes(kind) ? [3, 8] : [3])
    test(`${count} processes: each layer is sent once, and whoever is last tags the image`, async () => {
      const repository = `together-${count}`;
      const shards = Array.from({ length: count }, (_, i) => `${i}/${count}`);
      const programs = await Promise.all(
        shards.map((shard) => runBoxcar(args(repository, shard, '--finalize-last'), { env: env() })),
      );
      for (const { code, stderr } of programs) assert.equal(code, 0, stderr);
      await assertPublished(repository, programs);
      const finalized = programs.filter(({ stdout }) => JSON.parse(stdout).manifestDigest !== undefined);
      assert.ok(finalized.length >= 1);
    });

  const onOne = { skip: kindsInShort.includes(kind) ? false : 'on the newest registry alone' };
  test('a shard that is killed goes on, and what the others have done is not repeated', onOne, async () => {
    const others = ['1/3', '2/3'].map((shard) =>
      runBoxcar(args('killed', shard, '--finalize-last'), { env: env() }),
    );
    const victim = startBoxcar(
      args('killed', '3/3', '--finalize-last', '--workers', '1', '--log-style', 'json'),
      {
        env: { HF_ENDPOINT: slow.url },
      },
    );
    const read = () => [...slow.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
    while (read() < 0.5 * mb) await delay(20);
    victim.kill('SIGKILL');
    assert.equal((await victim.finished).signal, 'SIGKILL');
    const done = await Promise.all(others);
    for (const { code, stderr } of done) assert.equal(code, 0, stderr);
    assert.equal(await inspectRegistry(registry).manifest('killed', tag), undefined);
    const missing = await runBoxcar(['finalize', model.name, `${registry.host}/killed`], { env: env() });
    assert.equal(missing.code, 7, missing.stderr);
    assert.match(missing.stderr, /shard 3\/3 has brought 0 of \d/);
    assert.doesNotMatch(missing.stderr, /shard [12]\/3/);
    const again = await runBoxcar(args('killed', '3/3', '--finalize-last'), { env: env() });
    assert.equal(again.code, 0, again.stderr);
    await assertPublished('killed', [...done, again]);
  });
});
