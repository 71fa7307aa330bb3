import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { stateArtifactType } from '../../../src/formats/state-artifact.ts';
import { type PublishResult, push } from '../../../src/index.ts';
import { type PublishState, stateFault } from '../../../src/state/state-schema.ts';
import { collectGarbage } from '../../support/collect-garbage.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { headOf, manyFiles, oneCommit } from '../../support/models.ts';
import {
  describeEachRegistry,
  kindsInShort,
  type Registry,
  startRegistry,
} from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { startBoxcar } from '../../support/run.ts';
import { tempDir } from '../../support/temp-dir.ts';

const mb = 1_000_000;
const small = 3 * mb;
const large = 18 * mb;
const model = oneCommit('acme/kept', {
  'a.safetensors': { size: small, seed: 1, lfs: true },
  'b.safetensors': { size: large, seed: 2, lfs: true },
  'c.safetensors': { size: large, seed: 3, lfs: true },
  'config.json': '{}',
});
const many = manyFiles(60, 'acme/many');
const tag = headOf(model).slice(0, 12);

/** What is in a registry under a state's tag; every blob that it names is there. */
export async function keptState(registry: Registry, repository: string, stateTag: string) {
  const inspected = inspectRegistry(registry);
  const manifest = await inspected.manifest(repository, stateTag);
  if (!manifest) return undefined;
  const { json } = manifest;
  const state = JSON.parse(inspected.blob(json.config.digest).toString()) as PublishState;
  assert.equal(stateFault(state), undefined);
  assert.deepEqual([json.artifactType, json.config.mediaType], [stateArtifactType, stateArtifactType]);
  for (const { digest, size } of json.layers) assert.equal(inspected.blob(digest).length, size);
  return { state, held: json.layers as { digest: string; size: number }[] };
}

describeEachRegistry(
  'state in the registry',
  (kind) => {
    let hub: Hub;
    let fast: Hub;
    let registry: Registry;
    let proxy: FaultProxy;
    let undisturbed: string;

    before(async () => {
      hub = await startHub({ models: [model], bytesPerSecond: 2 * mb });
      // On a busy machine, too, the larger files are in their middle when the smaller one is finished and written down.
      hub.faults.push({ match: { range: /^bytes=1[2-7]\d{6}-/ }, times: Infinity, action: { kind: 'hold' } });
      fast = await startHub({ models: [model, many] });
      registry = await startRegistry({ kind });
      proxy = await startFaultProxy(registry.url);
      undisturbed = (await fromElsewhere(model.name, `${registry.host}/undisturbed`)).manifestDigest;
    });
    after(() => Promise.all([hub.close(), fast.close(), proxy.close(), registry.stop()]));

    const puts = (repository: string) =>
      proxy.requests.filter(
        ({ method, path }) =>
          method === 'PUT' && path.startsWith(`/v2/${repository}/manifests/${tag}.partial`),
      );

    /** A push from a machine that has nothing of an earlier one. */
    const fromElsewhere = (name: string, target: string): Promise<PublishResult> =>
      push({ model: name, target, state: 'registry', env: { HF_ENDPOINT: fast.url, HOME: tempDir() } });

    async function elsewhere(repository: string, signal: NodeJS.Signals) {
      const target = `${proxy.host}/${repository}`;
      const args = ['push', model.name, target, '--state', 'registry', '--log-style', 'json'];
      const first = startBoxcar(args, { env: { HF_ENDPOINT: hub.url } });
      let running = true;
      void first.finished.then(() => {
        running = false;
      });
      // The smaller layer is finished, the others are in their middle: all of it is in the registry.
      for (;;) {
        assert.ok(running, `it ended before that:\n${first.stderr()}`);
        const kept = await keptState(registry, repository, `${tag}.partial`);
        if ((kept?.held.length ?? 0) >= 2) break;
        await delay(20);
      }
      const asked = performance.now();
      first.kill(signal);
      const ended = await first.finished;
      const tookMs = performance.now() - asked;
      const writes = puts(repository).length;
      collectGarbage(registry);
      const kept = await keptState(registry, repository, `${tag}.partial`);
      assert.ok(kept, 'the state is gone');
      const result = await fromElsewhere(model.name, target);
      assert.equal(result.manifestDigest, undisturbed);
      assert.equal(await keptState(registry, repository, `${tag}.partial`), undefined);
      const layers = Object.fromEntries(result.layers.map((layer) => [layer.path, layer]));
      for (const done of ['a.safetensors', 'config.json']) {
        assert.equal(layers[done]?.outcome, 'reused');
        assert.equal(layers[done]?.bytesSent, 0);
      }
      const going = [layers['b.safetensors'], layers['c.safetensors']].map((layer) => layer ?? assert.fail());
      return { ended, tookMs, writes, kept, going };
    }

    test('SIGTERM: another machine goes on at the very byte', async () => {
      const { ended, tookMs, kept, going } = await elsewhere('terminated', 'SIGTERM');
      assert.equal(ended.code, 143);
      assert.ok(tookMs < 5000, `it took ${tookMs} ms`);
      for (const { outcome, path, size, bytesSent, bytesRead } of going) {
        const { upload } = kept.state.layers[`models/${path}`] ?? {};
        assert.equal(outcome, 'resumed');
        assert.ok(upload && upload.offset > 2 * mb, `${path} was at ${upload?.offset}`);
        assert.equal(bytesSent, size - upload.offset);
        assert.ok(bytesRead < bytesSent + 3 * mb, `read ${bytesRead}, sent ${bytesSent}`);
      }
    });

    test('kill -9: what was finished stays; so does the rest where the registry keeps a cut upload', async () => {
      const { ended, kept, writes, going } = await elsewhere('killed', 'SIGKILL');
      assert.equal(ended.signal, 'SIGKILL');
      // When the first upload is open, and when a layer is finished: two of them, seldom at once on a busy machine.
      assert.ok(writes <= 3, `written ${writes} times`);
      for (const { outcome, path, size, bytesSent, bytesRead } of going) {
        if (kind === 'distribution-2') {
          assert.equal(bytesSent, size);
          continue;
        }
        const checkpoint = kept.state.layers[`models/${path}`]?.checkpoints?.at(-1)?.offset ?? 0;
        assert.equal(outcome, 'resumed');
        assert.ok(checkpoint > 2 * mb, `${path} was at ${checkpoint}`);
        assert.ok(bytesSent < size - 2 * mb, `sent ${bytesSent}`);
        assert.ok(bytesRead <= large - checkpoint + mb, `read ${bytesRead}, hashed ${checkpoint}`);
      }
    });

    test('many small files are written down together', async () => {
      const { totals } = await fromElsewhere(many.name, `${proxy.host}/many:${tag}`);
      // Once a second at most, and when all of them are there.
      const most = 2 + totals.seconds;
      assert.ok(puts('many').length <= most, `written ${puts('many').length} times in ${totals.seconds} s`);
      assert.deepEqual(
        inspectRegistry(registry)
          .tags('many')
          .filter((each) => each !== tag),
        [],
      );
    });
  },
  kindsInShort,
);
