import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  finalizePush,
  type PublishResult,
  push,
  pushShard,
  type ShardOptions,
  type ShardResult,
} from '../../src/index.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { headOf, oneCommit } from '../support/models.ts';
import { describeEachRegistry, kindsInShort, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { runBoxcar, startBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const mb = 1_000_000;
const sizes = [6, 5, 4, 3, 2, 1].map((size) => size * mb);
const files = sizes.map((size, i) => [`m-${i}.safetensors`, { size, seed: i + 1, lfs: true }] as const);
const model = oneCommit('acme/shared', {
  'config.json': '{}',
  'README.md': '# x',
  ...Object.fromEntries(files),
});
const tag = headOf(model).slice(0, 12);

type Shard = PublishResult | ShardResult;

describeEachRegistry(
  'shards in parallel',
  (kind) => {
    let hub: Hub;
    let slow: Hub;
    let registry: Registry;
    let undisturbed: PublishResult;

    before(async () => {
      hub = await startHub({ models: [model] });
      slow = await startHub({ models: [model], bytesPerSecond: 0.5 * mb });
      registry = await startRegistry({ kind });
      undisturbed = await push(optionsFor('undisturbed'));
    });
    after(() => Promise.all([hub.close(), slow.close(), registry.stop()]));

    /** Of a machine of its own. */
    const optionsFor = (repository: string) => ({
      model: model.name,
      target: `${registry.host}/${repository}`,
      env: { HF_ENDPOINT: hub.url, HOME: tempDir() },
    });
    const shardFor = (repository: string, shard: string): ShardOptions => ({
      ...optionsFor(repository),
      shard,
      finalizeLast: true,
    });
    const argsFor = (repository: string, shard: string) => [
      ...['push', model.name, `${registry.host}/${repository}`, '--shard', shard, '--finalize-last'],
    ];

    /** Nothing but the image is left, and each layer was sent once in all. */
    async function assertPublished(repository: string, shards: Shard[]): Promise<void> {
      assert.equal(
        (await inspectRegistry(registry).manifest(repository, tag))?.digest,
        undisturbed.manifestDigest,
      );
      // Of a tag that was deleted by its digest the folder stays.
      for (const each of inspectRegistry(registry).tags(repository))
        if (each !== tag)
          assert.equal(await inspectRegistry(registry).manifest(repository, each), undefined, each);
      const sent = shards.flatMap(({ layers }) => layers).filter(({ bytesSent }) => bytesSent > 0);
      assert.deepEqual(
        sent.map(({ path, bytesSent }) => [path, bytesSent]).sort(),
        undisturbed.layers.map(({ path, size }) => [path, size]).sort(),
      );
    }

    /** Each of so many as `run` brings it; whoever is last tags the image. */
    async function together(count: number, run: (repository: string, shard: string) => Promise<Shard>) {
      const repository = `together-${count}`;
      const shards = await Promise.all(
        Array.from({ length: count }, (_, i) => run(repository, `${i}/${count}`)),
      );
      await assertPublished(repository, shards);
      assert.ok(shards.some((each) => 'manifestDigest' in each));
    }

    test('3 processes: each layer is sent once, and whoever is last tags the image', () =>
      together(3, async (repository, shard) => {
        const program = await runBoxcar([...argsFor(repository, shard), '--json'], {
          env: { HF_ENDPOINT: hub.url },
        });
        assert.equal(program.code, 0, program.stderr);
        return JSON.parse(program.stdout);
      }));

    test('8 shards at once, each of one layer', () =>
      together(8, (repository, shard) => pushShard(shardFor(repository, shard))));

    test('a shard that is killed goes on, and what the others have done is not repeated', async () => {
      const others = ['1/3', '2/3'].map((shard) => pushShard(shardFor('killed', shard)));
      const victim = startBoxcar([...argsFor('killed', '3/3'), '--workers', '1'], {
        env: { HF_ENDPOINT: slow.url },
      });
      const read = () => [...slow.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
      while (read() < 0.5 * mb) await delay(20);
      victim.kill('SIGKILL');
      assert.equal((await victim.finished).signal, 'SIGKILL');
      const done = await Promise.all(others);
      assert.equal(await inspectRegistry(registry).manifest('killed', tag), undefined);
      await assert.rejects(finalizePush(optionsFor('killed')), ({ exitCode, message, hint }) => {
        assert.equal(exitCode, 7);
        assert.match(`${message}\n${hint}`, /shard 3\/3 has brought 0 of \d/);
        assert.doesNotMatch(`${message}\n${hint}`, /shard [12]\/3/);
        return true;
      });
      await assertPublished('killed', [...done, await pushShard(shardFor('killed', '3/3'))]);
    });
  },
  kindsInShort,
);
