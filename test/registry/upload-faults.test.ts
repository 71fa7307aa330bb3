import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FakeFault } from '../support/fake-registry.ts';
import { auto, bytes, digest, fault, start } from './disturbed-upload.ts';
import { digestOf, gate, mib, repositoryAt, seededBytes, stopReason, TestBody, upload } from './setup.ts';

/** One fault, what it costs on distribution 3 and on 2.8: [retries, bytes sent beyond the blob's own]. */
const once: Record<string, [method: string, FakeFault, kept: [number, number], lost: [number, number]]> = {
  'the answer of the POST is lost': ['POST', { kind: 'lose-answer' }, [1, 0], [1, 0]],
  'the answer of the PATCH is lost': ['PATCH', { kind: 'lose-answer' }, [1, 0], [1, bytes.length]],
  // The blob is there: HEAD says so, and nothing is done again.
  'the answer of the PUT is lost': ['PUT', { kind: 'lose-answer' }, [0, 0], [0, 0]],
  'POST answers 503': ['POST', { kind: 'answer', status: 503 }, [1, 0], [1, 0]],
  'PATCH answers 500': ['PATCH', { kind: 'answer', status: 500 }, [1, 0], [1, 0]],
  'PATCH answers 502 with a page': [
    'PATCH',
    { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' },
    [1, 0],
    [1, 0],
  ],
  // The hash is asked once, and nothing is sent or read again for it.
  'PUT answers 503': ['PUT', { kind: 'answer', status: 503 }, [1, 0], [1, 0]],
  'PUT answers 202 and nothing is there': ['PUT', { kind: 'answer', status: 202 }, [1, 0], [1, 0]],
  'PUT finds no session': ['PUT', { kind: 'answer', status: 404 }, [1, bytes.length], [1, bytes.length]],
  'POST answers 429': ['POST', { kind: 'answer', status: 429 }, [1, 0], [1, 0]],
  'POST meets GHCR’s limit of requests, a 403': [
    'POST',
    { kind: 'answer', status: 403, body: 'You have exceeded a secondary rate limit' },
    [1, 0],
    [1, 0],
  ],
  'PATCH is cut in the middle': ['PATCH', { kind: 'cut', after: mib + 1 }, [1, 0], [1, mib + 1]],
};

for (const [name, [method, action, kept, lost]] of Object.entries(once)) {
  for (const [dialect, [retries, extra]] of [
    ['distribution3', kept],
    ['distribution28', lost],
  ] as const) {
    test(`${dialect}: ${name}`, async (t) => {
      const registry = await start(t, dialect);
      fault(registry, method, action);
      const body = new TestBody(bytes);
      const result = await upload(repositoryAt(t, registry.url), auto(), body);
      assert.equal(result.digest, digest, result.error.message);
      assert.ok(registry.blobs.get(digest)?.equals(bytes));
      assert.deepEqual(registry.faults, []);
      assert.deepEqual([result.retries.length, registry.bytesSent() - bytes.length], [retries, extra]);
      if (method === 'PUT' && extra === 0) assert.deepEqual(body.opened, [0], 'nothing was read again');
    });
  }
}

test('an answer before the last byte says nothing about the bytes: it is asked how many came', async (t) => {
  const registry = await start(t);
  const speaks = gate();
  const body = new TestBody(bytes, { before: (offset) => (offset === mib ? speaks.opened : undefined) });
  fault(registry, 'PATCH', { kind: 'answer', status: 202 });
  const result = await upload(repositoryAt(t, registry.url), auto(), body, { onRetry: speaks.open });
  assert.equal(result.digest, digest, result.error.message);
  assert.match(result.retries[0]?.error.message ?? '', /before it had every byte/);
  assert.deepEqual(registry.exchanges('PUT'), ['PUT 201'], 'no digest was refused on the way');
});

test('a POST without a Location, or with one that cannot be used, is sent again once', async (t) => {
  for (const [location, message] of [
    [undefined, /did not say where/],
    ['ftp://elsewhere/x', /cannot be used/],
    ['http://[', /cannot be used/],
  ] as const) {
    const registry = await start(t);
    const headers: Record<string, string> = location === undefined ? {} : { location };
    fault(registry, 'POST', { kind: 'answer', status: 202, headers });
    const once = await upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes));
    assert.equal(once.digest, digest, once.error.message);
    fault(registry, 'POST', { kind: 'answer', status: 202, headers }, 2);
    const { error, retries } = await upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes));
    assert.match(error.message, message);
    assert.deepEqual([error.code, retries.length], ['registry-failed', 0]);
  }
});

test('a saved session of nonsense is a new session', async (t) => {
  for (const saved of [
    { location: 'no url', offset: 5 },
    { location: '', offset: 5 },
  ]) {
    const registry = await start(t);
    const result = await upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes), { saved });
    assert.equal(result.digest, digest, result.error.message);
  }
});

test('a session that has more bytes than the layer is not this layer’s', async (t) => {
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url);
  const stop = new AbortController();
  const { saved } = await upload(repository, auto(), new TestBody(bytes), {
    stop: stop.signal,
    onOffset: (offset) => offset === bytes.length && stop.abort(stopReason()),
  });
  assert.ok(saved);
  const small = seededBytes(1000, 7);
  registry.requests.length = 0;
  const result = await upload(repository, auto(), new TestBody(small), { saved: { ...saved, offset: 10 } });
  assert.equal(result.digest, digestOf(small), result.error.message);
  assert.deepEqual(registry.exchanges(), ['GET 204', 'POST 202', 'PUT 201']);
});

test('a 401 in the middle of an upload gets another token and goes on', async (t) => {
  const registry = await start(t);
  // A small body goes whole into the PUT.
  for (const [method, size] of [
    ['POST', 3 * mib],
    ['PATCH', 3 * mib],
    ['GET', 3 * mib],
    ['PUT', 3 * mib],
    ['PUT', 1000],
  ] as const) {
    registry.requests.length = 0;
    registry.authorization = 'Bearer 1';
    const tokens = ['Bearer 1'];
    if (method === 'GET') fault(registry, 'PATCH', { kind: 'cut', after: mib });
    registry.faults.push({
      match: (request) => {
        // From here on only the second token is good.
        if (request.method === method) registry.authorization = 'Bearer 2';
        return false;
      },
      action: { kind: 'answer', status: 500 },
    });
    const authorizer = {
      source: 'test',
      authorize: async () => tokens.at(-1),
      challenged: () => tokens.length < 2 && tokens.push('Bearer 2') > 0,
    };
    const seed = method.length + method.charCodeAt(0);
    const body = new TestBody(seededBytes(size, seed));
    const repository = repositoryAt(t, registry.url, { authorizer });
    const result = await upload(repository, auto(), body);
    assert.ok(result.digest, `${method}: ${result.error.message}`);
    assert.equal(registry.exchanges(method).filter((exchange) => exchange.endsWith('401')).length, 1);
    registry.faults.length = 0;
  }
});
