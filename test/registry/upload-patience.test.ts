import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import { auto, bytes, digest, fault, start } from './disturbed-upload.ts';
import { mib, repositoryAt, TestBody, upload } from './setup.ts';

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
