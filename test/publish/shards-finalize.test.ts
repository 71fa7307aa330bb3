import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BoxcarError, finalizePush, type PushOptions, push, pushShard } from '../../src/index.ts';
import { type Dialect, type FakeRegistry, startFakeRegistry } from '../support/fake-registry.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { tinyModel } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';

const model = tinyModel();
const digest = 'sha256:b231969c0882b4aac51f1f14fff2ef55bfa80afc2079e237024aab14960cec34';

interface Setup {
  hub: Hub;
  registry: FakeRegistry;
  options: PushOptions;
  warnings: string[];
  tags(): string[];
}

async function start(t: { after(f: () => unknown): void }, changes: Partial<Dialect> = {}): Promise<Setup> {
  const hub = await startHub({ models: [model] });
  const registry = await startFakeRegistry('distribution3', { query: false, ...changes });
  t.after(() => Promise.all([hub.close(), registry.close()]));
  const warnings: string[] = [];
  return {
    hub,
    registry,
    warnings,
    options: {
      model: model.name,
      target: `${registry.host}/acme/x:v1`,
      backoffMs: 1,
      hfMaxRetries: 0,
      ociMaxRetries: 1,
      env: { HOME: tempDir(), HF_ENDPOINT: hub.url },
      onEvent: (event) => {
        if (event.type === 'notice' && event.level === 'warning') warnings.push(event.message);
      },
    },
    tags: () =>
      [...registry.manifests.keys()]
        .filter((key) => key.startsWith('acme/x:'))
        .map((key) => key.slice(7))
        .sort(),
  };
}

const failure = (promise: Promise<unknown>): Promise<BoxcarError> =>
  promise.then(
    () => assert.fail('it did not fail'),
    (error) => error,
  );

describe('finalize', () => {
  test('names what is missing, and tags what is whole', async (t) => {
    const { options, tags } = await start(t);
    const nothing = await failure(finalizePush(options));
    assert.deepEqual([nothing.exitCode, tags()], [7, []]);
    assert.match(nothing.hint ?? '', /no shard has recorded anything/);
    const first = await pushShard({ ...options, shard: '1/3' });
    assert.equal('shard' in first && first.shard, '1/3');
    const early = await failure(finalizePush(options));
    assert.equal(early.exitCode, 7);
    assert.match(early.hint ?? '', /shard 3\/3 has recorded nothing, shard 2\/3 has recorded nothing;/);
    await pushShard({ ...options, shard: '2/3' });
    await pushShard({ ...options, shard: '0/3' });
    assert.deepEqual(tags(), ['v1.partial-0-3', 'v1.partial-1-3', 'v1.partial-2-3']);
    const result = await finalizePush(options);
    assert.equal(result.manifestDigest, digest);
    assert.equal(result.totals.reused, 9);
    assert.deepEqual(tags(), ['v1']);
    // Again, and a shard again: nothing to do.
    assert.equal((await finalizePush(options)).manifestDigest, digest);
    const again = await pushShard({ ...options, shard: '1/3' });
    assert.ok('manifestDigest' in again && again.totals.bytesSent === 0);
    assert.deepEqual(tags(), ['v1']);
  });

  test('what whoever tagged the image could not remove is removed by who comes next', async (t) => {
    for (const next of ['shard', 'finalize']) {
      const { options, registry, tags } = await start(t);
      registry.faults.push({
        match: { method: 'DELETE', path: /manifests/ },
        times: Infinity,
        action: { kind: 'answer', status: 500 },
      });
      for (const shard of ['1/2', '2/2']) await pushShard({ ...options, shard, finalizeLast: true });
      assert.equal(tags().length, 3);
      registry.faults.length = 0;
      await (next === 'shard' ? pushShard({ ...options, shard: '2/2' }) : finalizePush(options));
      assert.deepEqual(tags(), ['v1']);
    }
  });

  const others: [string, Partial<PushOptions>][] = [
    ['another revision', { revision: 'v1.0' }],
    ['another prefix', { layerPrefix: 'weights' }],
    ['other files', { include: ['*.json'] }],
  ];
  for (const [what, changes] of others)
    test(`shards with ${what}: exit 7, no image`, async (t) => {
      const { options, tags, warnings } = await start(t);
      await pushShard({ ...options, shard: '1/2' });
      await pushShard({ ...options, ...changes, shard: '2/2' });
      const error = await failure(finalizePush(options));
      assert.equal(error.exitCode, 7);
      assert.match(error.hint ?? '', /shard 2\/2 has/);
      assert.ok(!tags().includes('v1'));
      if (changes.revision) assert.match(warnings.join(), /v1\.partial-0-2 belongs to commit [0-9a-f]{12}/);
    });

  test('a layer that was collected meanwhile is missing', async (t) => {
    const { options, registry } = await start(t);
    for (const shard of ['1/2', '2/2']) await pushShard({ ...options, shard });
    const large = [...registry.blobs].find(([, bytes]) => bytes.length > 2_000_000)?.[0] ?? '';
    registry.forget('acme/x', large);
    const error = await failure(finalizePush(options));
    assert.match(error.message, /1 of 9 layers are not in the registry/);
    assert.match(error.hint ?? '', /not there any more/);
  });

  test('an image that somebody else has tagged meanwhile is not moved', async (t) => {
    const { options, registry, tags } = await start(t);
    await pushShard({ ...options, shard: '1/2' });
    await push({ ...options, revision: 'v1.0', target: `${registry.host}/acme/x:other` });
    const other = registry.manifests.get('acme/x:other') ?? assert.fail();
    let looks = 0;
    // Tagged between the first look at the tag and the commit.
    const emit = options.onEvent;
    const error = await failure(
      pushShard({
        ...options,
        shard: '2/2',
        finalizeLast: true,
        onEvent: (event) => {
          if (event.type === 'layer-done' && looks++ === 0) registry.manifests.set('acme/x:v1', other);
          emit?.(event);
        },
      }),
    );
    assert.equal(error.exitCode, 8);
    assert.equal(registry.manifests.get('acme/x:v1'), other);
    assert.ok(tags().includes('v1.partial-0-2'), 'what the shards have done is kept');
  });
});

describe('shards', () => {
  test('more shards than layers: empty shares', async (t) => {
    const { options, tags } = await start(t);
    const results = [];
    for (let i = 1; i <= 12; i++)
      results.push(await pushShard({ ...options, shard: `${i}/12`, finalizeLast: true }));
    const last = results.at(-1);
    assert.ok(last && 'manifestDigest' in last && last.manifestDigest === digest);
    assert.deepEqual(tags(), ['v1']);
  });

  for (const [what, changes] of [
    ['without tags/list', { tagsList: 'refused' }],
    ['without DELETE', { deletes: 'refused' }],
    ['with immutable tags', { immutableTags: true }],
    ['with immutable tags and without DELETE', { immutableTags: true, deletes: 'refused' }],
  ] as [string, Partial<Dialect>][])
    test(`${what}, the last tags the image`, async (t) => {
      const { options, tags, registry } = await start(t, changes);
      for (const shard of ['1/3', '2/3']) await pushShard({ ...options, shard, finalizeLast: true });
      const result = await pushShard({ ...options, shard: '3/3', finalizeLast: true });
      assert.ok('manifestDigest' in result && result.manifestDigest === digest);
      const sent = registry.requests.filter(
        ({ method, requestBytes }) => ['PATCH', 'PUT'].includes(method) && requestBytes > 100_000,
      );
      assert.equal(sent.length, 2, 'each large layer once');
      if (changes.deletes !== 'refused') assert.deepEqual(tags(), ['v1']);
    });

  test('without tags/list, finalize must be told how many shards there are', async (t) => {
    const { options, tags } = await start(t, { tagsList: 'refused' });
    for (const shard of ['1/2', '2/2']) await pushShard({ ...options, shard });
    const error = await failure(finalizePush(options));
    assert.match(error.hint ?? '', /--shard 1\/N/);
    assert.ok(!tags().includes('v1'));
    assert.equal((await finalizePush({ ...options, shard: '1/2' })).manifestDigest, digest);
    assert.deepEqual(tags(), ['v1']);
  });

  test('the same shard twice, and two last ones, at the same time', async (t) => {
    const { options, tags } = await start(t);
    const shards = ['1/2', '1/2', '2/2', '2/2'];
    const results = await Promise.all(
      shards.map((shard) => pushShard({ ...options, shard, finalizeLast: true })),
    );
    const done = results.filter((result) => 'manifestDigest' in result);
    assert.ok(done.length >= 1);
    for (const result of done) assert.equal(result.manifestDigest, digest);
    assert.ok(tags().includes('v1'));
    // Whoever ended after the last may have written once more; whoever comes next cleans up.
    await finalizePush(options);
    assert.deepEqual(tags(), ['v1']);
  });

  for (const [status, exitCode] of [
    [405, 6],
    [403, 3],
  ] as const)
    test(`a registry that refuses its state (${status}) ends it before anything is sent`, async (t) => {
      const { options, registry } = await start(t);
      registry.faults.push({
        match: { method: 'PUT', path: /manifests/ },
        times: Infinity,
        action: { kind: 'answer', status },
      });
      const error = await failure(pushShard({ ...options, shard: '1/2' }));
      assert.equal(error.exitCode, exitCode);
      assert.ok(registry.bytesSent() < 2000, `sent ${registry.bytesSent()}`);
    });

  test('one that refuses it in the end: an error, as nobody would know', async (t) => {
    const { options, registry } = await start(t);
    registry.faults.push({
      match: { method: 'PUT', path: /manifests/ },
      skip: 1,
      times: Infinity,
      action: { kind: 'answer', status: 405 },
    });
    assert.equal((await failure(pushShard({ ...options, shard: '1/2' }))).exitCode, 6);
  });

  test('with --continue-on-error what the others have brought is recorded', async (t) => {
    const { options, hub, registry } = await start(t);
    hub.faults.push({
      match: { path: /tokenizer\/vocab\.json/ },
      times: Infinity,
      action: { kind: 'status', status: 500 },
    });
    const error = await failure(pushShard({ ...options, shard: '1/1', failFast: false, finalizeLast: true }));
    assert.equal(error.exitCode, 7);
    const left = await failure(finalizePush(options));
    assert.match(left.hint ?? '', /shard 1\/1 has brought 8 of 9/);
    hub.faults.length = 0;
    const before = registry.bytesSent();
    const result = await pushShard({ ...options, shard: '1/1', finalizeLast: true });
    assert.ok('manifestDigest' in result && result.manifestDigest === digest);
    assert.ok(registry.bytesSent() - before < 20_000);
  });
});
