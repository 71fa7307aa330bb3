import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BoxcarError } from '../../src/errors.ts';
import { type UploadChoice, UploadManner } from '../../src/registry/upload-manner.ts';
import { bytes, digest, start as startRegistry } from './disturbed-upload.ts';
import { gate, mib, repositoryAt, stopReason, TestBody, upload } from './setup.ts';

/** 2.8 loses a session with a cut: none may be made where the source is at fault. */
const start = (t: TestContext) => startRegistry(t, 'distribution28');

test('a source that falls silent: the PATCH ends cleanly, the next one goes on, nothing is opened again', async (t) => {
  // 2.8 would have lost the session with a cut.
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const silent = gate();
  const speaks = gate();
  const body = new TestBody(bytes, {
    before: (offset) => {
      if (offset !== 2 * mib) return;
      silent.open();
      return speaks.opened;
    },
  });
  const uploaded = upload(repository, new UploadManner('auto', mib), body);
  await silent.opened;
  await registry.received(2 * mib);
  assert.equal(registry.exchanges('PATCH').at(-1), 'PATCH 0', 'still open');
  t.mock.timers.tick(20_000);
  // Ended and answered before the source speaks again.
  while (registry.exchanges('PATCH').at(-1) === 'PATCH 0')
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202']);
  speaks.open();
  const { digest: got, error, retries } = await uploaded;
  assert.equal(got, digest, error.message);
  assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202', 'PATCH 202', 'PUT 201']);
  assert.deepEqual([registry.bytesSent(), retries.length], [bytes.length, 0]);
  assert.deepEqual(body.opened, [0]);
});

for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
  test(`${choice}: a source that fails: no request is cut, its error is the upload's, the session is saved`, async (t) => {
    const registry = await start(t);
    const repository = repositoryAt(t, registry.url);
    const lost = new BoxcarError('hub lost', { code: 'hub-failed', side: 'hub', transient: true });
    const body = new TestBody(bytes, {
      before: (offset) => {
        if (offset >= 1.5 * mib) throw lost;
      },
    });
    const { error, saved, retries } = await upload(repository, new UploadManner(choice, mib), body);
    assert.equal(error, lost);
    assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202']);
    const kept = choice === 'stream' ? 1.5 * mib : mib;
    assert.equal(saved?.offset, kept);
    assert.deepEqual([registry.uploads(), retries], [[kept], []]);

    const again = new TestBody(bytes);
    const second = await upload(repository, new UploadManner(choice, mib), again, { saved });
    assert.equal(second.digest, digest, second.error.message);
    assert.deepEqual([again.opened, registry.bytesSent()], [[kept], bytes.length]);
  });
}

test('a source that fails at its first byte costs no request but the POST', async (t) => {
  const registry = await start(t);
  const body = new TestBody(bytes, {
    before: () => {
      throw new BoxcarError('gone', { code: 'hub-failed', side: 'hub' });
    },
  });
  const { error } = await upload(repositoryAt(t, registry.url), new UploadManner('auto', mib), body);
  assert.equal(error.code, 'hub-failed');
  assert.deepEqual(registry.exchanges(), ['POST 202']);
});

test('bytes that were wrong once are sent anew in another session', async (t) => {
  const registry = await start(t);
  const body = new TestBody(bytes, { mismatches: 1 });
  const result = await upload(repositoryAt(t, registry.url), new UploadManner('auto', mib), body);
  assert.equal(result.digest, digest, result.error.message);
  assert.deepEqual(body.opened, [0, 0]);
  assert.deepEqual(registry.exchanges(), [
    'POST 202',
    'PATCH 202',
    'DELETE 204',
    'POST 202',
    'PATCH 202',
    'PUT 201',
  ]);
});

test('bytes that were wrong twice: content-mismatch, cancelled, and nothing was closed', async (t) => {
  for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
    const registry = await start(t);
    const body = new TestBody(bytes, { mismatches: 2 });
    const { error, saved } = await upload(repositoryAt(t, registry.url), new UploadManner(choice, mib), body);
    assert.equal(error.code, 'content-mismatch');
    assert.equal(error.exitCode, 9);
    assert.deepEqual(registry.exchanges('PUT'), []);
    assert.deepEqual(registry.exchanges('DELETE'), ['DELETE 204', 'DELETE 204']);
    assert.deepEqual([registry.uploads(), registry.blobs.size, saved], [[], 0, undefined]);
  }
});

test('where sessions cannot be cancelled, wrong bytes are still never closed', async (t) => {
  const registry = await startRegistry(t, 'distribution3', { canDelete: false });
  const body = new TestBody(bytes, { mismatches: 2 });
  const { error } = await upload(repositoryAt(t, registry.url), new UploadManner('auto', mib), body);
  assert.equal(error.code, 'content-mismatch');
  assert.deepEqual([registry.exchanges('PUT'), registry.blobs.size], [[], 0]);
});

for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
  test(`${choice}: stopped while the source is silent: at once, saved`, async (t) => {
    const registry = await start(t);
    const silent = gate();
    const stop = new AbortController();
    const body = new TestBody(bytes, {
      before: (offset, signal) => {
        if (offset < 1.5 * mib) return;
        silent.open();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    const repository = repositoryAt(t, registry.url);
    const uploaded = upload(repository, new UploadManner(choice, mib), body, { stop: stop.signal });
    await silent.opened;
    const reason = stopReason();
    stop.abort(reason);
    const { error, saved } = await uploaded;
    assert.equal(error, reason);
    assert.equal(saved?.offset, choice === 'stream' ? 1.5 * mib : mib);
    assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202']);
  });
}

test('chunked: a source that does not listen to a stop does not keep the process busy for ever', async (t) => {
  const registry = await start(t);
  const stop = new AbortController();
  const reason = stopReason();
  // As a tar's trailer, which is given without a look at the signal.
  const body = {
    size: bytes.length,
    digest: () => digest,
    async *open(from: number) {
      stop.abort(reason);
      yield bytes.subarray(from, mib / 2);
      yield bytes.subarray(mib / 2);
    },
  };
  const repository = repositoryAt(t, registry.url);
  const { error } = await upload(repository, new UploadManner('chunked', mib), body, { stop: stop.signal });
  assert.equal(error, reason);
});

test('a source that says nothing before its end does not lose a finished session', async (t) => {
  // The digest of bytes that an earlier run has sent: they are read again for it, which may take long.
  const registry = await start(t);
  const repository = repositoryAt(t, registry.url);
  const stop = new AbortController();
  const first = await upload(repository, new UploadManner('auto', mib), new TestBody(bytes), {
    stop: stop.signal,
    onOffset: (offset) => {
      if (offset === bytes.length) stop.abort(stopReason());
    },
  });
  assert.equal(first.saved?.offset, bytes.length);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const reading = gate();
  const read = gate();
  const body = {
    size: bytes.length,
    passed: false,
    async *open(): AsyncGenerator<Uint8Array> {
      reading.open();
      await read.opened;
      this.passed = true;
      yield* [];
    },
    digest() {
      assert.ok(this.passed, 'asked before every byte had passed');
      return digest;
    },
  };
  const uploaded = upload(repository, new UploadManner('auto', mib), body, { saved: first.saved });
  await reading.opened;
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(60_000);
  await new Promise((resolve) => setImmediate(resolve));
  read.open();
  const second = await uploaded;
  assert.equal(second.digest, digest, second.error.message);
  assert.equal(registry.bytesSent(), bytes.length);
});

test('progress: offsets rise to the size, and start where the registry is', async (t) => {
  const registry = await start(t);
  const { offsets } = await upload(
    repositoryAt(t, registry.url),
    new UploadManner('auto', mib),
    new TestBody(bytes),
  );
  assert.equal(offsets[0], 0);
  assert.equal(offsets.at(-1), bytes.length);
  assert.deepEqual(
    offsets,
    [...offsets].sort((a, b) => a - b),
  );
});
