import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RegistryTarget } from '../../src/registry/registry-target.ts';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import { type Dialect, type FakeRegistry, startFakeRegistry } from '../support/fake-registry.ts';
import { digestOf, manifestType, mib, repositoryAt, seededBytes, TestBody, upload } from './setup.ts';

const manifest = Buffer.from('{"schemaVersion":2}');

async function start(t: TestContext, changes: Partial<Dialect> = {}): Promise<FakeRegistry> {
  const registry = await startFakeRegistry('distribution3', changes);
  t.after(() => registry.close());
  return registry;
}

test('a manifest whose answer was lost is looked for, not put again: its tag may be immutable', async (t) => {
  const registry = await start(t);
  registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'lose-answer' } });
  await repositoryAt(t, registry.url).putManifest('v1', manifest, manifestType);
  assert.deepEqual(registry.exchanges(), ['PUT 0', 'GET 200']);
  assert.equal(registry.manifests.get('acme/x:v1')?.bytes.toString(), manifest.toString());
});

test('a registry that reports another digest for a manifest is sent it once more, and not believed', async (t) => {
  const registry = await start(t, { reportedDigest: 'other' });
  await assert.rejects(repositoryAt(t, registry.url).putManifest('v1', manifest, manifestType), {
    code: 'registry-failed',
    side: 'registry',
    message: `the registry stored another manifest than it was sent: ${digestOf(Buffer.from('something else'))}`,
  });
  assert.deepEqual(registry.exchanges(), ['PUT 201', 'PUT 201']);
});

test('a registry that reports no digest is asked for the manifest', async (t) => {
  const registry = await start(t, { reportedDigest: 'none' });
  const repository = repositoryAt(t, registry.url);
  await repository.putManifest('v1', manifest, manifestType);
  assert.deepEqual(registry.exchanges(), ['PUT 201', 'GET 200']);

  // One that took it and gives another: rewritten by a proxy, or moved by someone else meanwhile.
  registry.faults.push({
    match: { method: 'GET' },
    times: 2,
    action: { kind: 'answer', status: 200, body: '{"schemaVersion":1}' },
  });
  await assert.rejects(repository.putManifest('v1', manifest, manifestType), /stored another manifest/);
  // One that took it and has nothing: a page that answers 200 to everything.
  registry.faults.push({ match: { method: 'GET' }, times: 99, action: { kind: 'answer', status: 404 } });
  await assert.rejects(repository.putManifest('v1', manifest, manifestType), /than it was sent: none/);
});

test('a manifest is refused for good, or for now', async (t) => {
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url, { limit: 2 });
  const body = JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'no blob' }] });
  registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'answer', status: 404, body } });
  await assert.rejects(repository.putManifest('v1', manifest, manifestType), (error: Error) => {
    assert.match(error.message, /refused the manifest of acme\/x:v1/);
    return true;
  });
  assert.equal(registry.requests.length, 1);
  registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'answer', status: 503 } });
  registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'answer', status: 429 } });
  await repository.putManifest('v1', manifest, manifestType);
  assert.deepEqual(registry.exchanges(), ['PUT 404', 'PUT 503', 'GET 404', 'PUT 429', 'PUT 201']);
});

test('an endless manifest is given up at 8 MiB, once', { timeout: 10_000 }, async (t) => {
  const registry = await start(t);
  registry.faults.push({ times: 20, action: { kind: 'answer', status: 200, body: 'endless' } });
  await assert.rejects(repositoryAt(t, registry.url).manifest('v1'), {
    code: 'registry-failed',
    message: 'the registry’s answer is longer than 8388608 bytes'.replace('’', "'"),
  });
  assert.equal(registry.requests.length, 1);
});

test('a manifest whose bytes stop coming is a stall, and asked for again', async (t) => {
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url, { stallMs: 100 });
  await repository.putManifest('v1', manifest, manifestType);
  registry.faults.push({ match: { method: 'GET' }, action: { kind: 'answer', status: 200, body: 'silent' } });
  assert.equal((await repository.manifest('v1'))?.digest, digestOf(manifest));
  assert.deepEqual(registry.exchanges('GET'), ['GET 200', 'GET 200']);
});

test('an endless error page is bounded, and shown in one line', { timeout: 10_000 }, async (t) => {
  const registry = await start(t);
  registry.faults.push({ action: { kind: 'answer', status: 400, body: 'endless' } });
  await assert.rejects(repositoryAt(t, registry.url).manifest('v1'), /did not give acme\/x:v1/);
  const page = `\u001b[31m${'<p>no\n'.repeat(1000)}`;
  registry.faults.push({ action: { kind: 'answer', status: 400, body: page } });
  await assert.rejects(
    repositoryAt(t, registry.url).manifest('v1'),
    (error: { request?: { answer?: string } }) => {
      const answer = error.request?.answer ?? '';
      assert.ok(answer.length <= 300 && !/[\u001b\n]/.test(answer), answer);
      return true;
    },
  );
});

test('HEAD: a redirect to storage is a yes, 404 a no, 5xx asked again, all else an error', async (t) => {
  const registry = await start(t, { headBlob: 307 });
  const repository = repositoryAt(t, registry.url);
  const bytes = seededBytes(10);
  assert.equal(await repository.hasBlob(digestOf(bytes)), false);
  await upload(repository, new UploadManner('auto', mib), new TestBody(bytes));
  registry.faults.push({ match: { method: 'HEAD' }, action: { kind: 'answer', status: 502 } });
  assert.equal(await repository.hasBlob(digestOf(bytes)), true);
  assert.deepEqual(registry.exchanges('HEAD'), ['HEAD 404', 'HEAD 502', 'HEAD 307']);
  assert.ok(
    registry.requests.every(({ origin }) => origin === 'registry'),
    'the redirect is not followed',
  );
  registry.faults.push({ match: { method: 'HEAD' }, action: { kind: 'answer', status: 400 } });
  await assert.rejects(repository.hasBlob(digestOf(bytes)), /did not say whether it has/);
});

test('a small blob is sent only where it is missing', async (t) => {
  const registry = await start(t);
  const target = new RegistryTarget(repositoryAt(t, registry.url), {
    choice: 'auto',
    chunkSize: mib,
    dialect: undefined,
    onDialect() {},
  });
  const never = new AbortController().signal;
  for (let i = 0; i < 2; i++) await target.putBlob(Buffer.from('{}'), never);
  assert.deepEqual(registry.exchanges(), ['HEAD 404', 'POST 202', 'PUT 201', 'HEAD 200']);
});

test('first contact: a wrong address fails soon, a registry that is starting is waited for', async (t) => {
  const registry = await start(t);
  const never = new AbortController().signal;
  const down = { kind: 'answer', status: 503 } as const;
  registry.faults.push({ times: 2, action: down });
  const repository = repositoryAt(t, registry.url);
  await repository.ping(never);
  assert.deepEqual(registry.exchanges(), ['GET 503', 'GET 503', 'GET 200']);
  // Refused or unknown: a push decides.
  for (const status of [401, 403, 404]) {
    registry.faults.push({ action: { kind: 'answer', status } });
    await repository.ping(never);
  }
  await registry.close();
  const started = performance.now();
  const notices: string[] = [];
  const closed = repositoryAt(t, registry.url, { onRetry: ({ error }) => notices.push(error.message) });
  await assert.rejects(closed.ping(never), {
    code: 'registry-failed',
    exitCode: 6,
    message: 'the registry could not be reached: nothing listens there (connection refused)',
  });
  assert.equal(notices.length, 3, 'it may be starting anew: asked four times');
  const unknown = repositoryAt(t, 'http://no-such-host.invalid', { onRetry: () => notices.push('again') });
  await assert.rejects(unknown.ping(never), { code: 'registry-failed' });
  assert.ok(performance.now() - started < 5000);
});

test('what is no manifest is asked for again, and never taken for an image', async (t) => {
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url, { limit: 1 });
  const bodies = ['<html>Sign in</html>', '', '[]', '{"errors":[]}'];
  for (const body of bodies) {
    registry.faults.push({ action: { kind: 'answer', status: 200, body } });
    assert.equal(await repository.manifest('v1'), undefined, body);
  }
  registry.faults.push({ times: 2, action: { kind: 'answer', status: 200, body: '<html>' } });
  await assert.rejects(repository.manifest('v1'), { code: 'registry-failed', message: /is no manifest/ });
  const headers = { 'docker-content-digest': digestOf(Buffer.from('other')) };
  registry.faults.push({
    times: 2,
    action: { kind: 'answer', status: 200, headers, body: manifest.toString() },
  });
  await assert.rejects(repository.manifest('v1'), { code: 'registry-failed', message: /is no manifest/ });
});

test('a manifest that something else took in the registry’s stead is put again', async (t) => {
  const registry = await start(t);
  registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'answer', status: 201 } });
  await repositoryAt(t, registry.url).putManifest('v1', manifest, manifestType);
  assert.deepEqual(registry.exchanges().slice(0, 2), ['PUT 201', 'GET 404']);
  assert.equal(registry.exchanges('PUT').length, 2);
});
