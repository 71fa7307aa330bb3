import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { type UploadChoice, UploadManner } from '../../src/registry/upload-manner.ts';
import {
  type Dialect,
  type DialectName,
  type FakeFault,
  type FakeRegistry,
  startFakeRegistry,
} from '../support/fake-registry.ts';
import { gate, mib, repositoryAt, seededBytes, stopReason, TestBody, upload } from './setup.ts';

const bytes = seededBytes(3 * mib);
const digest = digestOf(bytes);
const auto = () => new UploadManner('auto', mib);

async function start(
  t: TestContext,
  dialect: DialectName = 'distribution3',
  changes: Partial<Dialect> = {},
): Promise<FakeRegistry> {
  const registry = await startFakeRegistry(dialect, changes);
  t.after(() => registry.close());
  return registry;
}

function fault(registry: FakeRegistry, method: string, action: FakeFault, times = 1, skip = 0): void {
  registry.faults.push({ match: { method }, times, skip, action });
}

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

for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
  test(`${choice}, forced: cut after cut, the manner stays`, async (t) => {
    const registry = await start(t);
    fault(registry, 'PATCH', { kind: 'cut', after: mib / 2 }, 4);
    const manner = new UploadManner(choice, mib);
    const result = await upload(repositoryAt(t, registry.url), manner, new TestBody(bytes));
    assert.equal(result.digest, digest, result.error.message);
    assert.equal(manner.now.kind, choice);
    assert.equal(registry.bytesSent(), bytes.length);
    assert.deepEqual(
      result.retries.map(({ attempt }) => attempt),
      [1, 1, 1, 1],
      'each cut had brought bytes',
    );
  });
}

test('a cut while the source is silent: the source is read on, and its next piece is not lost', async (t) => {
  const registry = await start(t);
  fault(registry, 'PATCH', { kind: 'cut', after: mib });
  const speaks = gate();
  const body = new TestBody(bytes, { before: (offset) => (offset === mib ? speaks.opened : undefined) });
  // The source speaks when the next request is about to be made: the reader of the first still waits for it, too.
  const onOffset = () => registry.exchanges('GET').length > 0 && speaks.open();
  const result = await upload(repositoryAt(t, registry.url), auto(), body, { onOffset });
  assert.equal(result.digest, digest, result.error.message);
  assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 0', 'GET 204', 'PATCH 202', 'PUT 201']);
  assert.deepEqual([registry.bytesSent(), body.opened], [bytes.length, [0]]);
});

test('a cut while the source is silent, and the session lost: the source that was left does not fail the next', async (t) => {
  const registry = await start(t, 'distribution28');
  fault(registry, 'PATCH', { kind: 'cut', after: mib });
  let opened = 0;
  const body = {
    size: bytes.length,
    digest: () => digest,
    async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
      opened += 1;
      if (opened === 1) {
        yield bytes.subarray(from, mib);
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }
      yield bytes.subarray(from);
    },
  };
  const result = await upload(repositoryAt(t, registry.url), auto(), body);
  assert.equal(result.digest, digest, result.error.message);
  assert.ok(registry.blobs.get(digest)?.equals(bytes));
  assert.equal(opened, 2);
});

test('a registry that tells less than it has confirmed is not believed: the layer starts again, rightly', async (t) => {
  // ECR goes on naming the first part; going on from there would append bytes twice.
  const registry = await start(t, 'ecr', { closeAfterParts: 'status 201', wrongStart: 'appended' });
  fault(registry, 'PATCH', { kind: 'cut', after: 10 }, 1, 2);
  const result = await upload(
    repositoryAt(t, registry.url),
    new UploadManner('chunked', mib),
    new TestBody(bytes),
  );
  assert.equal(result.digest, digest, result.error.message);
  assert.deepEqual(registry.exchanges('PUT'), ['PUT 201'], 'no digest was refused on the way');
  assert.equal(registry.bytesSent(), 2 * mib + 10 + 3 * mib);
});

test('a PATCH that is out of step once: the registry is asked again, and no byte is sent twice', async (t) => {
  // Distribution 3 tells how far it is while it still writes what came before a cut.
  for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
    const registry = await start(t);
    fault(registry, 'PATCH', { kind: 'cut', after: mib / 2 });
    fault(registry, 'PATCH', { kind: 'answer', status: 416 }, 1, 1);
    const manner = new UploadManner(choice, mib);
    const result = await upload(repositoryAt(t, registry.url), manner, new TestBody(bytes));
    assert.equal(result.digest, digest, result.error.message);
    assert.deepEqual(registry.exchanges().slice(0, 5), [
      'POST 202',
      'PATCH 0',
      'GET 204',
      'PATCH 416',
      'GET 204',
    ]);
    assert.deepEqual([registry.bytesSent(), manner.now.chunkSize], [bytes.length, mib]);
  }
});

for (const getStatus of [404, 405, 500] as const) {
  test(`GET status always answers ${getStatus}: a cut starts the layer again`, async (t) => {
    const registry = await start(t, 'distribution3', { getStatus });
    fault(registry, 'PATCH', { kind: 'cut', after: mib });
    const result = await upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes));
    assert.equal(result.digest, digest, result.error.message);
    assert.equal(registry.bytesSent(), mib + bytes.length);
    assert.equal(result.retries.length, getStatus === 500 ? 3 : 1);
  });
}

test('Retry-After is obeyed, and told', async (t) => {
  const registry = await start(t);
  fault(registry, 'POST', { kind: 'answer', status: 429, headers: { 'retry-after': '1' } });
  const started = performance.now();
  const result = await upload(repositoryAt(t, registry.url), auto(), new TestBody(seededBytes(10)));
  assert.ok(result.digest, result.error.message);
  assert.ok(performance.now() - started >= 999);
  const [notice] = result.retries;
  assert.ok(notice && notice.delayMs >= 1000 && notice.delayMs <= 1001, `${notice?.delayMs}`);
  assert.match(notice?.error.message ?? '', /limits the rate/);
});

test('a stop during the wait for a retry ends it at once; the session is saved', async (t) => {
  const registry = await start(t);
  fault(registry, 'PUT', { kind: 'answer', status: 503, headers: { 'retry-after': '300' } });
  const stop = new AbortController();
  const reason = stopReason();
  const { error, saved } = await upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes), {
    stop: stop.signal,
    onRetry: () => setImmediate(() => stop.abort(reason)),
  });
  assert.equal(error, reason);
  assert.equal(saved?.offset, bytes.length);
});

test('a kill cuts a request at once', { timeout: 10_000 }, async (t) => {
  const registry = await start(t);
  const forever = new Promise<void>(() => {});
  for (const method of ['POST', 'PATCH', 'PUT']) {
    registry.faults.length = 0;
    registry.requests.length = 0;
    fault(registry, method, { kind: 'hold', until: forever });
    const stopping = new AbortController();
    const reason = stopReason();
    const uploaded = upload(repositoryAt(t, registry.url), auto(), new TestBody(bytes), {
      stop: stopping.signal,
      kill: stopping.signal,
    });
    while (registry.faults.length > 0) await new Promise((resolve) => setImmediate(resolve));
    stopping.abort(reason);
    assert.equal((await uploaded).error, reason, method);
  }
});

test('silence is found by the stall limit, in every request', async (t) => {
  const never = new Promise<void>(() => {});
  for (const [method, code] of [
    ['POST', 'POST'],
    ['GET', 'GET'],
  ] as const) {
    const registry = await start(t);
    fault(registry, method, { kind: 'hold', until: never });
    if (method === 'GET') fault(registry, 'PATCH', { kind: 'cut', after: mib });
    const started = performance.now();
    const repository = repositoryAt(t, registry.url, { stallMs: 100 });
    const result = await upload(repository, auto(), new TestBody(bytes));
    assert.equal(result.digest, digest, result.error.message);
    const stall = result.retries.find(({ error }) => /no progress/.test(error.message));
    assert.equal(stall?.error.request?.method, code);
    assert.ok(performance.now() - started < 2000);
  }
});

test('a registry that stops taking bytes is a stall; the upload goes on where it is', async (t) => {
  const registry = await start(t);
  // Nobody reads its body: the socket fills up.
  const big = seededBytes(24 * mib);
  registry.faults.push({ match: { method: 'PATCH' }, action: { kind: 'stop-reading', after: mib } });
  const result = await upload(
    repositoryAt(t, registry.url, { stallMs: 100 }),
    new UploadManner('stream', mib),
    new TestBody(big),
  );
  assert.equal(result.digest, digestOf(big), result.error.message);
  assert.match(result.retries[0]?.error.message ?? '', /no progress/);
});

test('a PATCH or PUT that is answered late is no stall: object stores flush, registries copy', async (t) => {
  const registry = await start(t);
  const late = () => new Promise<void>((resolve) => setTimeout(resolve, 1500));
  const until = { patch: gate(), put: gate() };
  fault(registry, 'PATCH', { kind: 'hold', until: until.patch.opened });
  fault(registry, 'PUT', { kind: 'hold', until: until.put.opened });
  const uploaded = upload(
    repositoryAt(t, registry.url, { stallMs: 300 }),
    auto(),
    new TestBody(seededBytes(2 * mib)),
  );
  for (const [index, held] of [until.patch, until.put].entries()) {
    while (registry.faults.length > 1 - index) await new Promise((resolve) => setImmediate(resolve));
    // Five times the stall limit.
    await late();
    held.open();
  }
  const { error, digest: got, retries } = await uploaded;
  assert.ok(got, error.message);
  assert.deepEqual(retries, []);
});

test('the closing PUT may take 30 minutes, and no longer', async (t) => {
  const registry = await start(t);
  fault(registry, 'PUT', { kind: 'hold', until: new Promise(() => {}) });
  fault(registry, 'HEAD', { kind: 'answer', status: 404 });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const repository = repositoryAt(t, registry.url, { limit: 0 });
  const uploaded = upload(repository, auto(), new TestBody(seededBytes(9)));
  let ended = false;
  void uploaded.then(() => {
    ended = true;
  });
  while (registry.exchanges().at(-1) !== 'PUT 0') await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(30 * 60_000 - 1);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, false);
  t.mock.timers.tick(1);
  const { error } = await uploaded;
  assert.match(error.message, /no progress for 1800 s/);
  assert.deepEqual(registry.exchanges('HEAD'), ['HEAD 404'], 'it was looked whether the blob is there');
});

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

test('an answer whose body never comes or never ends does not hold the upload up', {
  timeout: 10_000,
}, async (t) => {
  for (const body of ['silent', 'endless']) {
    const registry = await start(t);
    fault(registry, 'HEAD', { kind: 'answer', status: 404 });
    fault(registry, 'POST', { kind: 'answer', status: 202, headers: { location: '/put/1' }, body });
    fault(registry, 'PATCH', { kind: 'answer', status: 202, body });
    fault(registry, 'PUT', { kind: 'answer', status: 201, body });
    const repository = repositoryAt(t, registry.url, { stallMs: 100 });
    const result = await upload(repository, auto(), new TestBody(seededBytes(10)));
    assert.ok(result.digest, `${body}: ${result.error.message}`);
    assert.deepEqual(result.retries, []);
  }
});

test('patience is limited: so many retries without progress, then the registry’s error', async (t) => {
  const registry = await start(t);
  const page = { kind: 'answer', status: 503, body: '<html>down</html>' } as const;
  fault(registry, 'PATCH', page, Number.POSITIVE_INFINITY);
  const repository = repositoryAt(t, registry.url, { limit: 3 });
  const { error, retries } = await upload(repository, auto(), new TestBody(bytes));
  assert.deepEqual(
    retries.map(({ attempt, of }) => [attempt, of]),
    [
      [1, 3],
      [2, 3],
      [3, 3],
    ],
  );
  assert.deepEqual([error.code, error.side, error.exitCode], ['registry-failed', 'registry', 6]);
  assert.deepEqual([error.request?.status, error.request?.answer], [503, 'down']);
  assert.equal(registry.exchanges('PATCH').length, 4);
});

test('progress gives patience back: more cuts than retries', async (t) => {
  const registry = await start(t);
  fault(registry, 'PATCH', { kind: 'cut', after: 100_000 }, 12);
  const repository = repositoryAt(t, registry.url, { limit: 1 });
  const result = await upload(repository, new UploadManner('stream', mib), new TestBody(bytes));
  assert.equal(result.digest, digest, result.error.message);
  assert.equal(result.retries.length, 12);
  assert.equal(registry.bytesSent(), bytes.length);
});

test('refused for good: no retry, and the error says what to do', async (t) => {
  const denied = JSON.stringify({ errors: [{ code: 'DENIED', message: 'no push' }] });
  const unknown = JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN', message: 'no such repository' }] });
  const cases = [
    ['POST', 403, denied, 'unauthorized', 3, /credentials: the test’s; .*push access to acme\/x/],
    ['POST', 401, denied, 'unauthorized', 3, /credentials: the test’s/],
    ['PATCH', 403, denied, 'unauthorized', 3, /credentials: the test’s/],
    ['PUT', 403, denied, 'unauthorized', 3, /credentials: the test’s/],
    ['POST', 404, unknown, 'not-found', 4, /repository acme\/x created before/],
    ['PATCH', 413, '', 'registry-failed', 6, /--upload chunked/],
  ] as const;
  for (const [method, status, body, code, exitCode, hint] of cases) {
    const registry = await start(t);
    fault(registry, method, { kind: 'answer', status, body }, Number.POSITIVE_INFINITY);
    const authorizer = { source: 'the test’s', authorize: async () => undefined, challenged: () => false };
    const repository = repositoryAt(t, registry.url, { authorizer });
    const manner = new UploadManner('stream', mib);
    const { error, retries } = await upload(repository, manner, new TestBody(bytes));
    assert.deepEqual([error.code, error.exitCode, error.side], [code, exitCode, 'registry'], method);
    assert.match(error.hint ?? '', hint);
    assert.deepEqual(retries, []);
    assert.equal(error.request?.method, method);
    assert.ok(!error.request?.url.includes('?'), 'a signed query is never shown');
  }
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
  for (const method of ['POST', 'PATCH', 'GET', 'PUT']) {
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
    const body = new TestBody(seededBytes(3 * mib, seed));
    const repository = repositoryAt(t, registry.url, { authorizer });
    const result = await upload(repository, auto(), body);
    assert.ok(result.digest, `${method}: ${result.error.message}`);
    assert.equal(registry.exchanges(method).filter((exchange) => exchange.endsWith('401')).length, 1);
    registry.faults.length = 0;
  }
});

test('a registry that nobody answers at: refused connections are retried, then told as such', async (t) => {
  const registry = await start(t);
  await registry.close();
  const { error, retries } = await upload(
    repositoryAt(t, registry.url, { limit: 2 }),
    auto(),
    new TestBody(bytes),
  );
  assert.equal(retries.length, 2);
  assert.match(error.message, /nothing listens there/);
  assert.deepEqual([error.code, error.side, error.exitCode], ['registry-failed', 'registry', 6]);
});
