import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { PushOptions } from '../../../src/publish/options.ts';
import type { Dialect, FakeFault, FakeRegistry } from '../../support/fake-registry.ts';
import type { HubFault } from '../../support/hub/faults.ts';
import { type Change, history } from '../../support/models.ts';
import { startBoxcar } from '../../support/run.ts';
import { asked, freshPush, machine, mixedFiles } from './fresh-runner.ts';
import { fakeParties } from './parties.ts';

const long = history('acme/long', mixedFiles, Array<Change>(2999).fill('readme'));
const [head, before] = long.commits.map(({ id }) => id) as [string, string];
const commitBefore = (number: number) => long.commits[number]?.id as string;
const earlier = before.slice(0, 12);
const always = Number.POSITIVE_INFINITY;

/** An image of an earlier commit in `acme/x`, under the tags given. */
async function setUp(
  t: TestContext,
  tags: string[] = [earlier],
  dialect: Partial<Dialect> = {},
  from = before,
) {
  const { hub, registry } = await fakeParties(t, { models: [long] }, dialect);
  const parties = { hub, registry };
  await freshPush(parties, `${long.name}@${from}`, 'acme/x:first');
  const image = registry.manifests.get('acme/x:first');
  if (!image) throw new Error('it is not there');
  registry.manifests.delete('acme/x:first');
  for (const tag of tags) registry.manifests.set(`acme/x:${tag}`, image);
  const again = (options: Omit<Partial<PushOptions>, 'shard'> = {}) =>
    freshPush(parties, long.name, 'acme/x', options);
  return { hub, registry, again };
}

describe('the tags of earlier commits', () => {
  for (const tag of [before.slice(0, 7), earlier, before])
    test(`of ${tag.length} digits`, async (t) => {
      const { again } = await setUp(t, [tag]);
      const { transferred, hubRequests } = await again();
      assert.deepEqual(transferred, ['README.md']);
      assert.equal(hubRequests.filter(({ path }) => path.includes('/commits/')).length, 1);
    });

  test('those that are no commit are not looked at, nor is the hub asked about words', async (t) => {
    const { again } = await setUp(t, ['deadbeef', 'abcdef012345', 'v1', 'latest']);
    const { transferred, registryRequests } = await again();
    assert.equal(transferred.length, 8);
    const manifests = registryRequests.filter(({ path }) => path.includes('/manifests/'));
    assert.ok(manifests.every(({ path }) => path.endsWith(`/${head.slice(0, 12)}`)));
    const words = await setUp(t, ['v1', 'latest']);
    const { hubRequests } = await words.again();
    assert.equal(hubRequests.filter(({ path }) => path.includes('/commits/')).length, 0);
  });

  test('hundreds of tags, over pages, and a history of 3,000 commits: a few requests more', async (t) => {
    const tags = Array.from({ length: 350 }, (_, i) => commitBefore(500 + i).slice(0, 12));
    const { again } = await setUp(t, tags, { tagsPage: 100 }, commitBefore(500));
    const { transferred, hubRequests, registryRequests, warnings } = await again();
    assert.deepEqual([transferred, warnings], [['README.md'], []]);
    assert.equal(asked(registryRequests, 'GET', /tags\/list/), 4);
    const manifests = registryRequests.flatMap(
      ({ method, path }) => (method === 'GET' && /manifests\/(.*)/.exec(path)?.[1]) || [],
    );
    const own = head.slice(0, 12);
    assert.deepEqual(manifests, [own, ...tags.slice(0, 4), own], 'the newest first');
    // The same image under four tags: its config is read once, and four small layers are.
    assert.equal(asked(registryRequests, 'GET', /blobs\/sha256/), 1 + 4);
    assert.equal(hubRequests.filter(({ path }) => path.includes('/commits/')).length, 1);
  });

  test('a commit that is older than the thousand that are looked at is not found', async (t) => {
    const { again } = await setUp(t, [commitBefore(1500).slice(0, 12)], {}, commitBefore(1500));
    const { transferred, hubRequests } = await again();
    assert.equal(transferred.length, 8);
    assert.equal(hubRequests.filter(({ path }) => path.includes('/commits/')).length, 1);
  });
});

/** What goes wrong on the way, what is transferred then, and what is told of it. */
interface Trouble {
  name: string;
  registry?: { path: RegExp; action: FakeFault; times?: number };
  hub?: HubFault;
  /** Whether the earlier image is found all the same. */
  found?: boolean;
  told: RegExp[];
}

const answer = (status: number, body = '', headers = {}): FakeFault => ({
  kind: 'answer',
  status,
  body,
  headers,
});
const list = /tags\/list/;
const oldManifest = new RegExp(`manifests/${earlier}`);
const aBlob = /blobs\/sha256:/;
const unlisted = /^the registry does not list the tags of .*acme\/x: --reuse-from can name an image$/;
const unlooked = /^images in .*acme\/x cannot be looked at, nothing is reused from there: /;
const broken = new RegExp(`^the image :${earlier} cannot be looked at, nothing is reused from it: `);

const troubles: Trouble[] = [
  ...[401, 403].map(
    (status): Trouble => ({
      name: `tags: ${status}`,
      registry: { path: list, action: answer(status) },
      told: [unlisted],
    }),
  ),
  { name: 'tags: 404', registry: { path: list, action: answer(404) }, told: [] },
  { name: 'tags: 405', registry: { path: list, action: answer(405) }, told: [unlisted] },
  { name: 'tags: 500', registry: { path: list, action: answer(500) }, told: [unlooked] },
  { name: 'tags: once 503', registry: { path: list, action: answer(503), times: 1 }, found: true, told: [] },
  { name: 'tags: a page', registry: { path: list, action: answer(200, '<html>') }, told: [unlisted] },
  {
    name: 'tags: lists in lists',
    registry: { path: list, action: answer(200, '['.repeat(100_000)) },
    told: [unlisted],
  },
  {
    name: 'tags: other types',
    registry: { path: list, action: answer(200, '{"tags":[1,null,{},"__proto__"]}') },
    told: [],
  },
  { name: 'tags: without end', registry: { path: list, action: answer(200, 'endless') }, told: [unlooked] },
  {
    name: 'tags: page after page',
    registry: {
      path: list,
      action: answer(200, '{"tags":["a"]}', { link: '</v2/acme/x/tags/list?n=1>; rel="next"' }),
    },
    told: [],
  },
  { name: 'a manifest: 500', registry: { path: oldManifest, action: answer(500) }, told: [broken] },
  {
    name: 'a manifest: garbage',
    registry: { path: oldManifest, action: answer(200, '<html>') },
    told: [broken],
  },
  { name: 'a manifest: 403', registry: { path: oldManifest, action: answer(403) }, told: [unlooked] },
  { name: 'a manifest: gone', registry: { path: oldManifest, action: answer(404) }, told: [] },
  {
    name: 'a config: at a dead host',
    registry: { path: aBlob, action: answer(307, '', { location: 'http://127.0.0.1:1/gone' }) },
    told: [broken],
  },
  { name: 'a config: 500', registry: { path: aBlob, action: answer(500) }, told: [broken] },
  { name: 'a config: another', registry: { path: aBlob, action: answer(200, '{}') }, told: [] },
  {
    name: 'the hub: 500',
    hub: { kind: 'status', status: 500 },
    told: [/^the model's earlier commits cannot be listed, .*: /],
  },
  {
    name: 'the hub: 404',
    hub: { kind: 'status', status: 404 },
    told: [/^the model's earlier commits cannot be listed, /],
  },
  {
    name: 'the hub: garbage',
    hub: { kind: 'status', status: 200, body: '<html>' },
    told: [/^the model's earlier commits cannot be/],
  },
  {
    name: 'the hub: other types',
    hub: { kind: 'status', status: 200, body: '[1,null]' },
    told: [
      /^the model's earlier commits cannot be listed, .*: the hub's description of the commits of acme\/long cannot be read$/,
    ],
  },
];

describe('a search that fails costs bytes, not the push', () => {
  for (const { name, registry: fault, hub: hubFault, found, told } of troubles)
    test(name, async (t) => {
      const { hub, registry, again } = await setUp(t);
      if (fault)
        registry.faults.push({
          match: { method: 'GET', path: fault.path },
          times: fault.times ?? always,
          action: fault.action,
        });
      if (hubFault) hub.faults.push({ match: { path: /\/commits\// }, times: always, action: hubFault });
      const { result, transferred, warnings, registryRequests, hubRequests } = await again();
      assert.equal(transferred.length, found ? 1 : 8);
      assert.equal(warnings.length, told.length, warnings.join('\n'));
      for (const [i, pattern] of told.entries()) assert.match(warnings[i] ?? '', pattern);
      assert.ok(registry.manifests.has(`acme/x:${result.tags[0]}`));
      // Each question is put three times at most, and pages end somewhere.
      assert.ok(asked(registryRequests, 'GET', list) <= 3);
      assert.ok(asked(registryRequests, 'GET', oldManifest) <= 3);
      assert.ok(hubRequests.filter(({ path }) => path.includes('/commits/')).length <= 3);
    });

  test('two broken images make an end of it', async (t) => {
    const tags = [1, 2, 3, 4].map((age) => commitBefore(age).slice(0, 12));
    const { registry, again } = await setUp(t, tags);
    registry.faults.push({
      match: { path: new RegExp(`manifests/(${tags.join('|')})`) },
      times: always,
      action: answer(200, 'x'),
    });
    const { warnings, transferred, registryRequests } = await again();
    assert.deepEqual([warnings.length, transferred.length], [2, 8]);
    assert.equal(asked(registryRequests, 'GET', new RegExp(`manifests/(${tags.join('|')})`)), 6);
  });
});

describe('SIGTERM while earlier images are looked for', () => {
  for (const where of ['the registry', 'the hub'] as const)
    test(`${where} does not answer`, async (t) => {
      const { hub, registry } = await setUp(t);
      const held = heldUp(registry, where === 'the registry');
      if (where === 'the hub') hub.faults.push({ match: { path: /\/commits\// }, action: { kind: 'hold' } });
      const target = `${registry.host}/acme/x`;
      const program = startBoxcar(['push', long.name, target], {
        env: machine(hub) as Record<string, string>,
      });
      const asking = () =>
        where === 'the hub' ? hub.requests.some(({ path }) => path.includes('/commits/')) : held.asked();
      while (!asking()) await new Promise((resolve) => setImmediate(resolve));
      const at = performance.now();
      program.kill('SIGTERM');
      const { code, stderr } = await program.finished;
      held.letGo();
      assert.equal(code, 143, stderr);
      assert.ok(performance.now() - at < 3000);
      assert.deepEqual(registry.uploads(), []);
    });
});

function heldUp(registry: FakeRegistry, really: boolean): { asked: () => boolean; letGo: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const from = registry.requests.length;
  if (really) registry.faults.push({ match: { path: list }, action: { kind: 'hold', until: promise } });
  return { asked: () => registry.requests.slice(from).some(({ path }) => list.test(path)), letGo: resolve };
}
