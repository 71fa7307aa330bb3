import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BoxcarError } from '../../src/errors.ts';
import { planModelcar } from '../../src/formats/modelcar.ts';
import { takeSnapshot } from '../../src/hub/snapshot.ts';
import { push } from '../../src/publish/push.ts';
import { serve } from '../http/clients.ts';
import { hubAt } from '../hub/hubs.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { oneCommit, tinyModel } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';
import { endless, growth, startHostile } from './hostile.ts';

const commit = 'a'.repeat(40);
const info = JSON.stringify({ id: 'acme/x', sha: commit });
const entry = { type: 'file', path: 'a', size: 1, oid: 'b'.repeat(40) };

/** The error that a listing ends in. Nothing is tried twice. */
async function refusal(
  t: TestContext,
  url: string,
  { limit = 0, stallMs = 30_000 } = {},
): Promise<BoxcarError> {
  const hub = hubAt(t, url, { stallMs, patience: { limit } });
  const error = await takeSnapshot(hub, 'acme/x', 'main').then(
    () => assert.fail('it was taken'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof BoxcarError, String(error));
  return error;
}

/** A hub whose listing is this; its other answers are right. */
async function listing(t: TestContext, body: string | Buffer, headers: Record<string, string> = {}) {
  return serve(t, (request, response) => {
    const isTree = request.url?.includes('/tree/');
    response.writeHead(200, isTree ? headers : {}).end(isTree ? body : info);
  });
}

describe('answers without an end', () => {
  for (const [what, script] of Object.entries(endless)) {
    test(what, async (t) => {
      const server = await startHostile(t, script);
      const grown = growth();
      const error = await refusal(t, server.url, { stallMs: 300 });
      assert.deepEqual([error.code, error.side], ['hub-failed', 'hub']);
      assert.ok(grown() < 200, `${grown()} MiB`);
      assert.equal(server.requests.length, 1);
    });
  }

  test('an error whose words drip is told without them', async (t) => {
    const server = await startHostile(t, async function* () {
      yield 'HTTP/1.1 403 No\r\nx-error-message: no\r\ntransfer-encoding: chunked\r\n\r\n';
      yield* (endless['a body that drips'] as NonNullable<(typeof endless)[string]>)('');
    });
    const error = await refusal(t, server.url, { stallMs: 300 });
    assert.equal(error.code, 'unauthorized');
  });
});

describe('listings', () => {
  const many = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length));
  for (const [what, body] of [
    ['10 MB of nested lists', '['.repeat(5_000_000) + ']'.repeat(5_000_000)],
    ['10 MB of nested objects', many('{"a":', 10_000_000)],
    ['5 million empty objects', `[${many('{},', 15_000_000)}{}]`],
    ['a nested path', JSON.stringify([{ ...entry, path: JSON.parse('['.repeat(90) + ']'.repeat(90)) }])],
    ['a path of 2 MB', JSON.stringify([{ ...entry, path: `${many('a/', 2_000_000)}a` }])],
  ] as const) {
    test(`${what}: refused soon, with little memory`, async (t) => {
      const server = await listing(t, body);
      const grown = growth();
      const taken = takeSnapshot(hubAt(t, server.url), 'acme/x', 'main');
      const planned = taken.then((snapshot) => planModelcar(snapshot, { prefix: '', platform: linux }));
      await assert.rejects(planned, (error: BoxcarError) => [5, 9].includes(error.exitCode));
      assert.ok(grown() < 250, `${grown()} MiB`);
    });
  }

  for (const [what, size] of [
    ['negative', -1],
    ['huge', 1e300],
    ['above what is exact', 2 ** 53],
    ['a fraction', 0.5],
    ['text', '12'],
    ['missing', undefined],
    ['null', null],
    ['a list', [1]],
    ['true', true],
  ] as const) {
    test(`a size that is ${what}`, async (t) => {
      for (const file of [
        { ...entry, size },
        { ...entry, lfs: { oid: 'c'.repeat(64), size, pointerSize: 1 } },
      ]) {
        // Of an LFS file the listing says it twice.
        if ((size ?? undefined) === undefined && 'lfs' in file) continue;
        const server = await listing(t, JSON.stringify([file]));
        assert.equal((await refusal(t, server.url)).code, 'content-mismatch');
      }
    });
  }

  test('names of JavaScript’s own objects are file names as any other', async (t) => {
    const names = ['__proto__', 'constructor', 'prototype/toString', 'hasOwnProperty'];
    const body = `[${names.map((path) => JSON.stringify({ ...entry, path })).join(',')},{"__proto__":{"type":"file"}}]`;
    const server = await listing(t, body);
    const { files } = await takeSnapshot(hubAt(t, server.url), 'acme/x', 'main');
    assert.deepEqual(
      files.map(({ path }) => path),
      [...names].sort(),
    );
    assert.equal(({} as { type?: string }).type, undefined);
  });

  test('gzip that would unpack to gigabytes is not unpacked', async (t) => {
    const server = await listing(t, gzipSync(Buffer.alloc(50_000_000)), { 'content-encoding': 'gzip' });
    const grown = growth();
    assert.equal((await refusal(t, server.url)).code, 'hub-failed');
    assert.ok(grown() < 200, `${grown()} MiB`);
  });

  test('the same next page for ever', async (t) => {
    let pages = 0;
    const server = await serve(t, (request, response) => {
      if (!request.url?.includes('/tree/')) return void response.end(info);
      pages += 1;
      response.setHeader('link', `<http://x${request.url.split('&cursor')[0]}&cursor=1>; rel="next"`);
      response.end('[]');
    });
    const error = await refusal(t, server.url);
    assert.match(error.message, /does not end/);
    assert.equal(pages, 2);
  });

  test('another next page for ever, without a file', async (t) => {
    let pages = 0;
    const server = await serve(t, (request, response) => {
      if (!request.url?.includes('/tree/')) return void response.end(info);
      pages += 1;
      response.setHeader('link', `<http://x${request.url.split('&cursor')[0]}&cursor=${pages}>; rel="next"`);
      response.end('[]');
    });
    const error = await refusal(t, server.url);
    assert.match(error.message, /does not end/);
    assert.equal(pages, 5000);
  });

  test('a million files', async (t) => {
    const row = JSON.stringify(entry);
    let pages = 0;
    const server = await serve(t, (request, response) => {
      if (!request.url?.includes('/tree/')) return void response.end(info);
      pages += 1;
      response.setHeader('link', `<http://x${request.url.split('&cursor')[0]}&cursor=${pages}>; rel="next"`);
      response.end(`[${`${row},`.repeat(50_000)}${row}]`);
    });
    const error = await refusal(t, server.url);
    assert.equal(error.code, 'content-mismatch');
    assert.match(error.message, /more than 200000 files/);
    assert.equal(pages, 4);
  });
});

const linux = { os: 'linux', architecture: 'amd64' };

describe('redirects', () => {
  test('in a circle, of the metadata and of a file: ended after five', async (t) => {
    const hub = await startHub({ models: [tinyModel('acme/x')] });
    t.after(() => hub.close());
    hub.faults.push({
      match: { path: /\/revision\// },
      times: Infinity,
      action: { kind: 'status', status: 307, headers: { location: '/api/models/acme/x/revision/main' } },
    });
    const error = await refusal(t, hub.url);
    assert.match(error.hint ?? '', /redirect/);
    assert.equal(hub.requests.length, 6);

    hub.faults.length = 0;
    hub.requests.length = 0;
    hub.faults.push({
      match: { path: /\/resolve\// },
      times: Infinity,
      action: { kind: 'status', status: 302, headers: { location: '/acme/x/resolve/main/config.json' } },
    });
    await assert.rejects(pushTo(t, hub.url, { include: ['config.json'] }), { code: 'hub-failed' });
    const resolves = hub.requests.filter(({ path }) => path.includes('/resolve/')).length;
    assert.ok(resolves <= 12, `${resolves}`);
  });

  test('to the cloud’s metadata service: refused, once', async (t) => {
    const hub = await startHub({ models: [oneCommit('acme/x', { 'a.bin': 'abc' })] });
    t.after(() => hub.close());
    hub.faults.push({
      match: { path: /\/resolve\// },
      times: Infinity,
      action: {
        kind: 'status',
        status: 302,
        headers: { location: 'http://169.254.169.254/latest/meta-data/' },
      },
    });
    await assert.rejects(pushTo(t, hub.url), { code: 'hub-failed', message: /not followed.*link-local/ });
    const resolves = hub.requests.filter(({ path }) => path.includes('/resolve/')).length;
    assert.equal(resolves, 1);
  });
});

test('a wait of a year is not waited for, one that is nonsense is none', async (t) => {
  for (const headers of [
    { 'retry-after': '31536000' },
    { 'retry-after': 'Fri, 31 Dec 2100 23:59:59 GMT' },
    { ratelimit: `"api";r=0;t=${'9'.repeat(400)}` },
  ]) {
    const server = await serve(t, (_request, response) => void response.writeHead(429, headers).end());
    assert.equal((await refusal(t, server.url, { limit: 3 })).code, 'hub-failed');
  }
  for (const headers of [
    { 'retry-after': '-5' },
    { 'retry-after': 'NaN' },
    { 'retry-after': '1e999' },
    { ratelimit: 'r=0;t=-7' },
    { ratelimit: 't=1'.repeat(5000) },
  ]) {
    let asked = 0;
    const server = await serve(t, (_request, response) => {
      asked += 1;
      response.writeHead(429, headers).end();
    });
    await refusal(t, server.url, { limit: 3 });
    assert.equal(asked, 4, JSON.stringify(headers).slice(0, 60));
  }
});

test('odd file names arrive as they are, and what is no name is refused', async (t) => {
  const names = [
    '__proto__',
    'constructor',
    'a\nb',
    '\x1b[2J',
    '\u202Egpj.exe',
    '::error::x',
    '##vso[x]y',
    '-rf',
    'a\\b',
  ];
  const hub = await startHub({
    models: [oneCommit('acme/x', Object.fromEntries(names.map((name) => [`d/${name}`, name])))],
  });
  t.after(() => hub.close());
  const { registry, result } = await pushTo(t, hub.url, { layerPrefix: '' });
  const { layers } = JSON.parse([...registry.manifests.values()][0]?.bytes.toString() ?? '');
  const titles = layers.map(
    (layer: { annotations: Record<string, string> }) => layer.annotations['org.opencontainers.image.title'],
  );
  assert.deepEqual(titles, names.map((name) => `d/${name}`).sort());
  assert.equal(result.layers.length, names.length);
});

async function pushTo(t: TestContext, hubUrl: string, options: object = {}) {
  const registry = await startFakeRegistry('distribution3');
  t.after(() => registry.close());
  const home = tempDir(t);
  const result = await push({
    model: 'acme/x',
    target: `http://${registry.host}/acme/x:v1`,
    env: { HOME: home, HF_ENDPOINT: hubUrl },
    hfMaxRetries: 1,
    ociMaxRetries: 1,
    backoffMs: 1,
    ...options,
  });
  return { registry, result };
}
