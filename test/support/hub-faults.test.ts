import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, fetch } from 'undici';
import type { HubFault } from './hub/faults.ts';
import { type Hub, type HubOptions, startHub } from './hub.ts';
import { oneCommit } from './models.ts';
import { needsOpenssl, temporaryAuthority } from './tls.ts';

const size = 300_000;
const file = { size, seed: 7 };
const path = '/acme/one/resolve/main/weights.bin';

async function hubFor(t: TestContext, options: Partial<HubOptions> = {}): Promise<Hub> {
  const hub = await startHub({
    models: [oneCommit('acme/one', { 'weights.bin': file, 'a.txt': 'abc' })],
    ...options,
  });
  t.after(() => hub.close());
  return hub;
}

interface Got {
  status: number;
  headers: Record<string, string>;
  bytes: Buffer;
  /** The body ended without its end. */
  broken: boolean;
}

/** One request; what came until the end, be it a clean one or not. */
async function get(url: string, headers: Record<string, string> = {}, limit = Infinity): Promise<Got> {
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity', ...headers } });
  const chunks: Uint8Array[] = [];
  let length = 0;
  let broken = false;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= limit) break;
    }
  } catch {
    broken = true;
  }
  const fields = Object.fromEntries(response.headers);
  return { status: response.status, headers: fields, bytes: Buffer.concat(chunks), broken };
}

test('ranges: any part is the same part of the whole', async (t) => {
  const hub = await hubFor(t);
  const whole = await get(hub.url + path);
  assert.equal(whole.bytes.length, size);
  for (const [range, from, to] of [
    ['bytes=0-', 0, size],
    ['bytes=4095-4096', 4095, 4097],
    ['bytes=123456-', 123456, size],
    ['bytes=-7', size - 7, size],
    ['bytes=10-9999999', 10, size],
  ] as const) {
    const part = await get(hub.url + path, { range });
    assert.equal(part.status, 206);
    assert.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/${size}`);
    assert.ok(part.bytes.equals(whole.bytes.subarray(from, to)), range);
  }
  assert.equal((await get(hub.url + path, { range: `bytes=${size}-` })).status, 416);
  assert.deepEqual(hub.violations, []);
});

test('faults: each does what it says, once', async (t) => {
  const hub = await hubFor(t);
  const truth = (await get(hub.url + path)).bytes;
  const spoiled = async (action: HubFault, range = 'bytes=1000-'): Promise<Got> => {
    hub.faults.push({ match: { origin: 'cdn', path: /weights/ }, action });
    const got = await get(hub.url + path, { range });
    assert.equal(hub.faults.length, 0, `${action.kind} is spent`);
    return got;
  };
  const expected = truth.subarray(1000);

  const cut = await spoiled({ kind: 'cut', after: 70_001 });
  assert.ok(cut.broken && cut.bytes.equals(expected.subarray(0, 70_001)));
  const short = await spoiled({ kind: 'short', by: 5 });
  assert.ok(!short.broken && short.bytes.equals(expected.subarray(0, -5)));
  const long = await spoiled({ kind: 'long', by: 5 });
  assert.ok(!long.broken && long.bytes.equals(Buffer.concat([expected, Buffer.alloc(5)])));
  const flip = await spoiled({ kind: 'flip', at: 1002 });
  assert.equal(Buffer.compare(flip.bytes.subarray(0, 2), expected.subarray(0, 2)), 0);
  assert.equal((flip.bytes[2] as number) ^ 1, expected[2]);
  assert.ok(flip.bytes.subarray(3).equals(expected.subarray(3)));
  const ignored = await spoiled({ kind: 'ignore-range' });
  assert.ok(ignored.status === 200 && ignored.bytes.equals(truth));
  assert.equal(ignored.headers['content-range'], undefined);
  const shifted = await spoiled({ kind: 'wrong-content-range' });
  assert.equal(shifted.headers['content-range'], `bytes 1001-${size}/${size}`);
  const zipped = await spoiled({ kind: 'gzip' });
  assert.ok(zipped.status === 200 && zipped.headers['content-encoding'] === 'gzip');
  assert.ok(zipped.bytes.equals(truth), 'fetch has decompressed it');
  const limited = await spoiled({
    kind: 'status',
    status: 429,
    headers: { 'retry-after': '1' },
    body: 'slow',
  });
  assert.deepEqual(
    [limited.status, limited.headers['retry-after'], String(limited.bytes)],
    [429, '1', 'slow'],
  );
  await assert.rejects(spoiled({ kind: 'reset' }), (error: Error) => /ECONNRESET/.test(String(error.cause)));

  assert.ok((await get(hub.url + path)).bytes.equals(truth), 'and then all is well again');
});

test('a stall keeps what came before it', async (t) => {
  const hub = await hubFor(t);
  hub.faults.push({ action: { kind: 'stall', after: 5000 } });
  const got = await get(hub.url + path, {}, 5000);
  assert.equal(got.bytes.length, 5000);
  assert.equal(hub.bytesOf.get('weights.bin'), 5000);
});

test('skip and times count the requests that match', async (t) => {
  const hub = await hubFor(t);
  const action = { kind: 'status', status: 503 } as const;
  hub.faults.push({ match: (request) => request.path.endsWith('a.txt'), skip: 1, times: 2, action });
  const statuses: number[] = [];
  for (let n = 0; n < 4; n++) statuses.push((await get(`${hub.url}/acme/one/resolve/main/a.txt`)).status);
  assert.deepEqual(statuses, [200, 503, 503, 200]);
});

test('signed URLs: expired by the clock or by hand, refused', async (t) => {
  const hub = await hubFor(t);
  const locate = async (): Promise<string> => {
    const response = await fetch(hub.url + path, { redirect: 'manual' });
    assert.equal(response.headers.get('x-linked-size'), String(size));
    assert.match(response.headers.get('x-linked-etag') ?? '', /^"[0-9a-f]{64}"$/);
    assert.match(response.headers.get('x-repo-commit') ?? '', /^[0-9a-f]{40}$/);
    await response.text();
    return response.headers.get('location') ?? '';
  };
  const first = await locate();
  assert.notEqual(new URL(first).origin, hub.url);
  assert.equal((await get(first)).status, 200);
  hub.expireUrls();
  assert.equal((await get(first)).status, 403);
  assert.equal((await get(await locate())).status, 200);
  assert.equal(
    (await get(await locate(), { authorization: 'Bearer x', cookie: 'y', 'accept-encoding': 'gzip' })).status,
    400,
  );
  const violation = hub.violations.map((each) => each.split(': ')[1]);
  assert.deepEqual(violation, ['authorization', 'cookie', 'gzip']);

  const hasty = await hubFor(t, { expiresInMs: -1 });
  assert.equal((await get(hasty.url + path)).status, 403);
});

test('a mirror: relative 308, no commit, no length', async (t) => {
  const hub = await hubFor(t, {
    redirectStatus: 308,
    relativeRedirects: true,
    omitRepoCommit: true,
    omitContentLength: true,
  });
  const redirect = await fetch(hub.url + path, { redirect: 'manual' });
  await redirect.text();
  assert.equal(redirect.status, 308);
  assert.match(redirect.headers.get('location') ?? '', /^\/xet-bridge/);
  assert.equal(redirect.headers.get('x-repo-commit'), null);
  const got = await get(hub.url + path, { range: 'bytes=5-' });
  assert.deepEqual([got.bytes.length, got.headers['content-length']], [size - 5, undefined]);
});

test('resolve-cache: small files behind a relative 307', async (t) => {
  const hub = await hubFor(t, { resolveCache: true });
  const got = await get(`${hub.url}/acme/one/resolve/main/a.txt`);
  assert.equal(String(got.bytes), 'abc');
  assert.deepEqual(
    hub.requests.map((request) => request.status),
    [307, 200],
  );
});

test('a body over the limit must be read in ranges', async (t) => {
  const hub = await hubFor(t, { largestBody: 100_000 });
  assert.equal((await get(hub.url + path)).status, 400);
  assert.equal((await get(hub.url + path, { range: 'bytes=0-99999' })).status, 206);
});

test('the CDN is paced on each connection', async (t) => {
  const hub = await hubFor(t, { bytesPerSecond: 1_000_000 });
  const started = performance.now();
  const got = await Promise.all([1, 2, 3, 4].map(() => get(hub.url + path)));
  const seconds = (performance.now() - started) / 1000;
  assert.ok(got.every((each) => each.bytes.length === size));
  // 0.3 s each; over one connection, or with one pace for all, it would be 1.2 s.
  assert.ok(seconds > 0.24 && seconds < 1.1, `4 times 300 kB at 1 MB/s took ${seconds} s`);
});

test('both origins speak TLS', needsOpenssl, async (t) => {
  const { ca, server } = await temporaryAuthority();
  const hub = await hubFor(t, { tls: server });
  const dispatcher = new Agent({ connect: { ca } });
  t.after(() => dispatcher.close());
  const response = await fetch(hub.url + path, { dispatcher });
  assert.equal((await response.arrayBuffer()).byteLength, size);
  assert.match(response.url, /^https:/);
});
