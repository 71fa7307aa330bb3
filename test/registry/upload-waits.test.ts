import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import { auto, bytes, digest, fault, start } from './disturbed-upload.ts';
import { digestOf, gate, mib, repositoryAt, seededBytes, stopReason, TestBody, upload } from './setup.ts';

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

test('an answer whose body never comes or never ends does not hold the upload up', {
  timeout: 10_000,
}, async (t) => {
  for (const body of ['silent', 'endless']) {
    const registry = await start(t);
    fault(registry, 'HEAD', { kind: 'answer', status: 404 });
    fault(registry, 'POST', { kind: 'answer', status: 202, headers: { location: '/put/1' }, body });
    fault(registry, 'PATCH', { kind: 'answer', status: 202, body });
    fault(registry, 'PUT', { kind: 'answer', status: 201, body });
    const repository = repositoryAt(t, registry.url, { stallMs: 300 });
    const result = await upload(repository, auto(), new TestBody(seededBytes(10)));
    assert.ok(result.digest, `${body}: ${result.error.message}`);
    assert.deepEqual(result.retries, []);
  }
});
