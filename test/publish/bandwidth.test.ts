import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type PublishEvent, type PublishResult, push } from '../../src/index.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { startHub } from '../support/hub.ts';
import { bigModel, oneCommit } from '../support/models.ts';
import { describeEachRegistry, startRegistry } from '../support/registries.ts';
import { runBoxcar, startBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const mb = 1_000_000;
const size = 10 * mb;
const model = bigModel({ files: 2, size: size / 2 });
const small = oneCommit(
  'acme/small',
  Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`${i}.json`, `{"n":"${'x'.repeat(1000)}"}`])),
);

/** What the model takes at a rate, in seconds, when 100 ms of it pass at once. */
const least = (bytesPerSecond: number) => size / bytesPerSecond - 0.1;
/** The slowest there is: the model would take hours. */
const crawl = '1K';

async function setup(context: TestContext, kind?: Parameters<typeof startRegistry>[0]['kind']) {
  const hub = await startHub({ models: [model, small] });
  context.after(() => hub.close());
  const home = tempDir(context);
  const notices: string[] = [];
  const onEvent = (event: PublishEvent) => {
    if (event.type === 'notice' && event.level === 'info') notices.push(event.message);
  };
  const env = { HF_ENDPOINT: hub.url, HOME: home };
  const options = { model: model.name, backoffMs: 1, env, onEvent };
  if (!kind) return { hub, home, notices, options, target: `oci:${join(home, 'image')}` };
  const registry = await startRegistry({ kind });
  const proxy = await startFaultProxy(registry.url);
  context.after(async () => {
    await proxy.close();
    await registry.stop();
  });
  return { hub, home, notices, options, proxy, target: `${proxy.host}/x` };
}

/** Bytes of bodies that came to the registry in streams, and how those were answered. */
function patches({ requests }: FaultProxy): { bytes: number; statuses: number[] } {
  const sent = requests.filter(({ method }) => method === 'PATCH');
  return {
    bytes: sent.reduce((sum, { requestBytes }) => sum + requestBytes, 0),
    statuses: sent.map(({ status }) => status),
  };
}

test('into a directory: what is read is held back, and nothing is sent', async (context) => {
  const { options, notices, target } = await setup(context);
  const slow = await push({ ...options, target, bandwidth: `down=10M,up=${crawl}` });
  assert.ok(slow.totals.seconds >= least(10 * mb), `${slow.totals.seconds}`);
  assert.deepEqual(notices, ['bandwidth: at most 10 MB/s down from the hub']);
  notices.length = 0;
  const free = await push({ ...options, target: `${target}-2`, bandwidth: `up=${crawl}` });
  assert.equal(free.manifestDigest, slow.manifestDigest);
  assert.deepEqual(notices, []);
});

describeEachRegistry('a cap', (kind) => {
  test('on each direction is one for all workers, and the same image', async (context) => {
    const { options, notices, target, hub } = await setup(context, kind);
    const run = (bandwidth: string | undefined, to: string) =>
      push({ ...options, target: `${target}/${to}`, bandwidth });
    const free = await run(undefined, 'free');
    assert.deepEqual(notices, []);
    const down = await run('down=10M', 'down');
    const up = await run('up=10M', 'up');
    const both = await run('20MB', 'both');
    assert.deepEqual(notices, [
      'bandwidth: at most 10 MB/s down from the hub',
      'bandwidth: at most 10 MB/s up to the registry',
      'bandwidth: at most 20 MB/s down from the hub, 20 MB/s up to the registry',
    ]);
    assert.ok(down.totals.seconds >= least(10 * mb), `${down.totals.seconds}`);
    assert.ok(up.totals.seconds >= least(10 * mb), `${up.totals.seconds}`);
    assert.ok(both.totals.seconds >= least(20 * mb), `${both.totals.seconds}`);
    for (const { manifestDigest, totals } of [down, up, both]) {
      assert.equal(manifestDigest, free.manifestDigest);
      assert.equal(totals.retries, 0);
    }
    assert.deepEqual([down.totals.bottleneck, up.totals.bottleneck], ['bandwidth', 'bandwidth']);
    assert.notEqual(free.totals.bottleneck, 'bandwidth');
    // Nothing is read twice because it came slowly.
    assert.equal(hub.bytesOf.get('model-00001-of-00002.safetensors'), (4 * size) / 2);
  });

  test('with chunks, whose last may be in the closing request', async (context) => {
    const { options, proxy, target } = await setup(context, kind);
    for (const dialect of ['standard', 'ecr']) {
      const { totals } = await push({
        ...options,
        target: `${target}/${dialect}`,
        upload: 'chunked',
        chunkMib: 2,
        dialect,
        bandwidth: 'up=10M',
      });
      assert.ok(totals.seconds >= least(10 * mb), `${dialect}: ${totals.seconds}`);
      assert.equal(totals.retries, 0);
    }
    assert.ok(proxy?.requests.some(({ method, requestBytes }) => method === 'PUT' && requestBytes > mb));
  });

  test('far below what a stall allows is no stall', async (context) => {
    const { options, proxy, target } = await setup(context, kind);
    // 512 bytes of each of four workers take half a second together.
    const { totals } = await push({
      ...options,
      model: small.name,
      target,
      stallMs: 300,
      bandwidth: '4K',
      ociMaxRetries: 0,
      hfMaxRetries: 0,
    });
    assert.equal(totals.transferred, 4);
    assert.equal(totals.retries, 0);
    assert.ok(
      proxy?.requests.every(({ status }) => status >= 200),
      'nothing was cut',
    );
  });

  test('cut in the middle, it goes on', async (context) => {
    const { options, proxy, target } = await setup(context, kind);
    const free = await push({ ...options, target: `${target}/free` });
    proxy?.faults.push({ match: { method: 'PATCH' }, action: { kind: 'cut', after: 3 * mb } });
    // One worker begins with a large layer.
    const held = await push({ ...options, target: `${target}/held`, bandwidth: '20M', workers: 1 });
    assert.equal(proxy?.faults.length, 0);
    assert.equal(held.manifestDigest, free.manifestDigest);
    assert.equal(held.totals.retries, 1);
  });

  test('SIGTERM while it holds back: ends at once, nothing is cut, and it goes on from there', async (context) => {
    const { hub, home, proxy, target } = await setup(context, kind);
    assert.ok(proxy);
    const env = { HF_ENDPOINT: hub.url };
    const args = ['push', model.name, target, '--log-style', 'json', '--json'];
    // The pieces that are being sent would take 20 s.
    const first = startBoxcar([...args, '--bandwidth', 'up=50KB'], { env, home });
    while (patches(proxy).bytes < 20_000) await new Promise((resolve) => setTimeout(resolve, 20));
    const asked = performance.now();
    first.kill('SIGTERM');
    const { code, stderr } = await first.finished;
    assert.equal(code, 143, stderr);
    assert.ok(performance.now() - asked < 5000, `it took ${performance.now() - asked} ms`);
    assert.match(stderr, /at most 50 KB\/s up to the registry/);
    const saved = patches(proxy);
    assert.deepEqual(new Set(saved.statuses), new Set([202]), 'no PATCH was cut');

    const second = await runBoxcar(args, { env: { ...env, BANDWIDTH: '200M' }, home });
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /at most 200 MB\/s down from the hub, 200 MB\/s up to the registry/);
    const result = JSON.parse(second.stdout) as PublishResult;
    const layers = result.layers.reduce((sum, { size }) => sum + size, 0);
    const inPuts = proxy.requests
      .filter(({ method, url }) => method === 'PUT' && url.includes('/blobs/uploads/'))
      .reduce((sum, { requestBytes }) => sum + requestBytes, 0);
    const others = patches(proxy).bytes + inPuts - layers;
    assert.ok(others > 0 && others < 2000, `the config, and no byte twice: ${others}`);
    assert.equal(result.totals.resumed, 2);
  });
});
