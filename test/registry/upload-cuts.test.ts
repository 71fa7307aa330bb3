import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type UploadChoice, UploadManner } from '../../src/registry/upload-manner.ts';
import { auto, bytes, digest, fault, start } from './disturbed-upload.ts';
import { gate, mib, repositoryAt, TestBody, upload } from './setup.ts';

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
