import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { push } from '../../src/publish/push.ts';
import { json, scriptedServer } from '../registry/auth/scripted-server.ts';
import { type FakeRegistry, startFakeRegistry } from '../support/fake-registry.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { oneCommit } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';
import { endless, growth, startHostile } from './hostile.ts';

const model = oneCommit('acme/x', { 'a.bin': 'a few bytes', 'b/c.json': '{}' });
const year = '31536000';

interface Pushed {
  error: BoxcarError | undefined;
  hub: Hub;
}

/** A push that tries nothing twice, unless told to. */
async function pushTo(t: TestContext, host: string, options: object = {}): Promise<Pushed> {
  const hub = await startHub({ models: [model] });
  t.after(() => hub.close());
  const error = await push({
    model: 'acme/x',
    target: `http://${host}/acme/x:v1`,
    env: { HOME: tempDir(t), HF_ENDPOINT: hub.url, OCI_USERNAME: 'ci', OCI_PASSWORD: 'pa55word-of-ci' },
    hfMaxRetries: 1,
    ociMaxRetries: 0,
    backoffMs: 1,
    ...options,
  }).then(
    () => undefined,
    (thrown) => thrown,
  );
  return { error, hub };
}

async function fake(t: TestContext): Promise<FakeRegistry> {
  const registry = await startFakeRegistry('distribution3');
  t.after(() => registry.close());
  return registry;
}

describe('answers without an end, to the first request', { concurrency: 4 }, () => {
  for (const [what, script] of Object.entries(endless)) {
    test(what, async (t) => {
      const server = await startHostile(t, script);
      const grown = growth();
      const { error } = await pushTo(t, server.host, { stallMs: 300 });
      assert.deepEqual([error?.code, error?.side], ['registry-failed', 'registry']);
      assert.ok(grown() < 200, `${grown()} MiB`);
      assert.ok(server.requests.length <= 8, `${server.requests.length}`);
    });
  }
});

describe('a manifest', () => {
  for (const [what, body] of [
    ['that is not JSON', '<html>'],
    ['null', 'null'],
    ['a number', '7'],
    ['of nulls', '{"schemaVersion":2,"layers":[null,null],"annotations":null}'],
    ['of numbers', '{"schemaVersion":2,"layers":[1,2],"annotations":7}'],
    [
      'of the wrong shapes',
      '{"schemaVersion":2,"layers":{"length":2},"annotations":[["org.opencontainers.image.revision"]]}',
    ],
    [
      'with digests that are none',
      '{"schemaVersion":2,"layers":[{"digest":["sha256:x"]},{"digest":{"toString":1}}]}',
    ],
    [
      'whose notes are no text',
      '{"schemaVersion":2,"layers":[],"annotations":{"dev.boxcar.layer.prefix":{"toString":1},"org.opencontainers.image.revision":{"toString":1}}}',
    ],
    ['nested without end', `{"schemaVersion":2,"layers":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`],
    [
      'whose notes are nested',
      `{"schemaVersion":2,"layers":[],"annotations":{"dev.boxcar.layer.prefix":"","org.opencontainers.image.revision":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    ],
    ['of millions of layers', `{"schemaVersion":2,"layers":[${'{},'.repeat(1_000_000)}{}]}`],
    [
      'with control characters',
      JSON.stringify({
        schemaVersion: 2,
        layers: [],
        annotations: {
          'dev.boxcar.layer.prefix': '',
          'org.opencontainers.image.revision': '\x1b[2J\n::error::x',
        },
      }),
    ],
  ] as const) {
    test(`${what}: another image, which is not overwritten`, async (t) => {
      const registry = await fake(t);
      const stored = { bytes: Buffer.from(body), mediaType: 'application/vnd.oci.image.manifest.v1+json' };
      registry.manifests.set('acme/x:v1', stored);
      const grown = growth();
      const { error } = await pushTo(t, registry.host);
      assert.ok(error && [6, 8].includes(error.exitCode), `${error?.exitCode}: ${error?.stack}`);
      assert.ok(grown() < 250, `${grown()} MiB`);
      assert.equal(registry.manifests.get('acme/x:v1'), stored);
    });
  }

  test('without an end, and one that drips', async (t) => {
    for (const body of ['endless', 'silent']) {
      const registry = await fake(t);
      registry.faults.push({
        match: { method: 'GET', path: /manifests/ },
        times: Infinity,
        action: { kind: 'answer', status: 200, body },
      });
      const { error } = await pushTo(t, registry.host, { stallMs: 500 });
      assert.equal(error?.code, 'registry-failed');
      assert.equal(registry.manifests.size, 0);
    }
  });

  test('behind redirects in a circle', async (t) => {
    const registry = await fake(t);
    registry.faults.push({
      match: { method: 'GET', path: /manifests/ },
      times: Infinity,
      action: { kind: 'answer', status: 307, headers: { location: '/v2/acme/x/manifests/v1' } },
    });
    const { error } = await pushTo(t, registry.host);
    assert.equal(error?.code, 'registry-failed');
    assert.ok(registry.exchanges('GET').length <= 8);
  });
});

describe('a Location', () => {
  for (const location of [
    'http://169.254.169.254/latest/meta-data/iam/security-credentials/',
    'http://[fe80::1]/x',
    'http://2852039166/x',
    'http://[::ffff:169.254.169.254]/x',
    'ftp://127.0.0.1/x',
    'file:///etc/passwd',
    'data:,x',
    'http://',
    'http://[bad',
    'javascript:alert(1)',
    '//',
  ]) {
    test(`${location}: refused, and no byte of the model leaves`, async (t) => {
      const registry = await fake(t);
      registry.faults.push({
        match: { method: 'POST' },
        times: Infinity,
        action: { kind: 'answer', status: 202, headers: { location } },
      });
      const { error } = await pushTo(t, registry.host);
      assert.deepEqual([error?.code, error?.exitCode], ['registry-failed', 6], error?.message);
      assert.equal(registry.bytesSent(), 0);
      assert.equal(registry.manifests.size, 0);
    });
  }

  test('with a login in it: that is neither used nor shown', async (t) => {
    const registry = await fake(t);
    const target = registry.host;
    registry.faults.push({
      match: { method: 'POST' },
      times: Infinity,
      action: {
        kind: 'answer',
        status: 202,
        headers: { location: `http://us3r:l0gin@${target}/v2/acme/x/blobs/uploads/none` },
      },
    });
    const { error } = await pushTo(t, registry.host);
    assert.equal(error?.code, 'registry-failed');
    assert.doesNotMatch(`${error?.message}${error?.hint}${JSON.stringify(error)}`, /us3r|l0gin/);
    assert.ok(registry.requests.every(({ headers }) => !headers.authorization));
  });
});

describe('numbers that make no sense', () => {
  for (const value of [
    '1e18',
    '-5',
    '0x7fffffff',
    'NaN',
    'Infinity',
    '16777216.5',
    '9'.repeat(300),
    '1, 2',
  ]) {
    test(`OCI-Chunk-Min-Length: ${value.slice(0, 20)}`, async (t) => {
      const registry = await startFakeRegistry('distribution3');
      t.after(() => registry.close());
      const proxied = registry.faults;
      assert.equal(proxied.length, 0);
      const hostile = await relay(t, registry, (name, headers) => {
        if (name === 'POST') headers['oci-chunk-min-length'] = value;
      });
      const grown = growth();
      const { error } = await pushTo(t, hostile, { upload: 'chunked', chunkMib: 1 });
      assert.equal(error, undefined, error?.message);
      assert.ok(grown() < 200, `${grown()} MiB`);
    });
  }

  for (const range of ['0-99999999999999999999', '0--5', '5-1', 'bytes=0-1e9', '0-0x10', '0-'.repeat(4000)]) {
    test(`Range: ${range.slice(0, 24)}`, async (t) => {
      const registry = await fake(t);
      const hostile = await relay(t, registry, (_name, headers) => {
        headers.range = range;
      });
      registry.faults.push({ match: { method: 'PATCH' }, action: { kind: 'cut', after: 100 } });
      const { error } = await pushTo(t, hostile, { ociMaxRetries: 2 });
      assert.equal(error, undefined, error?.message);
      assert.ok(registry.manifests.has('acme/x:v1'));
    });
  }

  test('Retry-After: a year', async (t) => {
    const registry = await fake(t);
    registry.faults.push({
      times: Infinity,
      action: { kind: 'answer', status: 429, headers: { 'retry-after': year } },
    });
    const { error } = await pushTo(t, registry.host, { ociMaxRetries: 10 });
    assert.equal(error?.code, 'registry-failed');
    assert.equal(registry.requests.length, 1);
  });
});

/** Before a registry: its answers with other header fields. */
async function relay(
  t: TestContext,
  registry: FakeRegistry,
  change: (method: string, headers: Record<string, string>) => void,
): Promise<string> {
  const { startFaultProxy } = await import('../support/fault-proxy.ts');
  const proxy = await startFaultProxy(registry.url);
  t.after(() => proxy.close());
  for (const method of ['POST', 'GET', 'PATCH']) {
    const headers: Record<string, string> = {};
    change(method, headers);
    if (Object.keys(headers).length > 0) {
      proxy.faults.push({
        match: { method, path: /uploads/ },
        times: Infinity,
        action: { kind: 'rewrite', headers },
      });
    }
  }
  return proxy.host;
}

/** A registry that wants a token of that server for everything. */
async function sendingTo(t: TestContext, tokenServer: string) {
  const registry = await fake(t);
  const headers = { 'www-authenticate': `Bearer realm="${tokenServer}/token"` };
  registry.faults.push({ times: Infinity, action: { kind: 'answer', status: 401, headers } });
  return registry;
}

describe('a token server', () => {
  test('in a circle, out of TLS, without an end, of other shapes: an error, soon', async (t) => {
    for (const [what, script] of [
      [
        'circle',
        (_s: unknown, r: import('node:http').ServerResponse) =>
          void r.writeHead(302, { location: '/token' }).end(),
      ],
      ['nested', (_s: unknown, r: import('node:http').ServerResponse) => json(r, '['.repeat(500_000))],
      ['list', (_s: unknown, r: import('node:http').ServerResponse) => json(r, '[{"token":"x"}]')],
      ['null', (_s: unknown, r: import('node:http').ServerResponse) => json(r, 'null')],
      ['line', (_s: unknown, r: import('node:http').ServerResponse) => json(r, { token: 'a\r\nx-evil: 1' })],
    ] as const) {
      const tokens = await scriptedServer(t, script);
      const registry = await sendingTo(t, tokens.url);
      const { error } = await pushTo(t, registry.host);
      assert.equal(error?.code, 'registry-failed', `${what}: ${error?.message}`);
      assert.ok(tokens.seen.length <= 8, `${what}: ${tokens.seen.length}`);
    }
  });

  test('without an end', async (t) => {
    for (const what of ['a body without end', 'a body that drips', 'headers without end']) {
      const tokens = await startHostile(t, endless[what] as NonNullable<(typeof endless)[string]>);
      const registry = await sendingTo(t, tokens.url);
      const grown = growth();
      const { error } = await pushTo(t, registry.host, { stallMs: 500 });
      assert.equal(error?.code, 'registry-failed', what);
      assert.ok(grown() < 100, `${what}: ${grown()} MiB`);
    }
  });
});

test('a digest that is not the one sent is never tagged', async (t) => {
  const registry = await fake(t);
  registry.dialect.reportedDigest = 'other';
  const { error } = await pushTo(t, registry.host);
  assert.equal(error?.code, 'registry-failed');
  assert.equal(registry.manifests.size, 0);
});
