import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { UploadManner, wholeSize } from '../../src/registry/upload-manner.ts';
import {
  type DialectName,
  dialects,
  type FakeRegistry,
  startFakeRegistry,
} from '../support/fake-registry.ts';
import { gate, mib, repositoryAt, seededBytes, stopReason, TestBody, upload } from './setup.ts';

const small = seededBytes(wholeSize);
const two = ['POST 202', 'PUT 201'];

async function start(t: TestContext, dialect: DialectName = 'distribution3'): Promise<FakeRegistry> {
  const registry = await startFakeRegistry(dialect);
  t.after(() => registry.close());
  return registry;
}

for (const name of Object.keys(dialects) as DialectName[]) {
  test(`${name}: a small body takes two requests, one byte more takes three`, async (t) => {
    const registry = await start(t, name);
    const repository = repositoryAt(t, registry.url);
    const manner = new UploadManner('auto', 16 * mib);
    const offsets: number[] = [];
    const first = await upload(repository, manner, new TestBody(small), {
      onOffset: (offset) => offsets.push(offset),
    });
    assert.equal(first.digest, digestOf(small), first.error.message);
    assert.deepEqual(registry.exchanges(), two);
    assert.ok(registry.blobs.get(digestOf(small))?.equals(small));
    assert.deepEqual([offsets[0], offsets.at(-1)], [0, small.length]);
    const larger = seededBytes(wholeSize + 1);
    const second = await upload(repository, manner, new TestBody(larger));
    assert.equal(second.digest, digestOf(larger), second.error.message);
    assert.deepEqual(registry.exchanges('PATCH').length, 1);
  });
}

test('it is read while the registry opens the session', async (t) => {
  const registry = await start(t);
  const opened = gate();
  const read = gate();
  registry.faults.push({ match: { method: 'POST' }, action: { kind: 'hold', until: opened.opened } });
  const body = new TestBody(small, {
    before: (offset) => {
      if (offset >= mib) read.open();
    },
  });
  const uploaded = upload(repositoryAt(t, registry.url), new UploadManner('auto'), body);
  // Until its last piece, and no session yet.
  await read.opened;
  opened.open();
  const { digest, error } = await uploaded;
  assert.equal(digest, digestOf(small), error.message);
  assert.deepEqual([registry.exchanges(), body.opened], [two, [0]]);
});

test('a server that takes no such PUT is sent PATCHes, and every later body as well', async (t) => {
  for (const status of [400, 405, 411, 413, 416, 501]) {
    const registry = await start(t);
    const limited = { match: { method: 'PUT' }, action: { kind: 'answer', status } } as const;
    registry.faults.push(limited);
    const repository = repositoryAt(t, registry.url);
    const manner = new UploadManner('auto');
    const first = await upload(repository, manner, new TestBody(small));
    assert.equal(first.digest, digestOf(small), `${status}: ${first.error.message}`);
    assert.ok(registry.exchanges().includes('PATCH 202'));
    registry.requests.length = 0;
    const other = seededBytes(1000, 3);
    assert.equal((await upload(repository, manner, new TestBody(other))).digest, digestOf(other));
    assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202', 'PUT 201']);
  }
});

test('a PUT that is cut is made again, one whose answer is lost is not', async (t) => {
  for (const name of ['distribution28', 'distribution3', 'zot', 'ecr'] satisfies DialectName[]) {
    const registry = await start(t, name);
    registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'cut', after: 100_000 } });
    const repository = repositoryAt(t, registry.url);
    const cut = await upload(repository, new UploadManner('auto'), new TestBody(small));
    assert.equal(cut.digest, digestOf(small), `${name}: ${cut.error.message}`);
    assert.equal(cut.retries.length, 1);
    registry.requests.length = 0;
    registry.faults.push({ match: { method: 'PUT' }, action: { kind: 'lose-answer' } });
    const other = seededBytes(1000, 3);
    const lost = await upload(repository, new UploadManner('auto'), new TestBody(other));
    assert.equal(lost.digest, digestOf(other), `${name}: ${lost.error.message}`);
    assert.deepEqual(registry.exchanges().slice(0, 2), ['POST 202', 'PUT 0']);
    assert.equal(registry.bytesSent(), other.length);
  }
});

test('stopped while it is read: nothing is sent, and the session is remembered', async (t) => {
  const registry = await start(t);
  const stop = new AbortController();
  const body = new TestBody(small, {
    before: (offset) => {
      if (offset >= mib) stop.abort(stopReason());
    },
  });
  const { digest, error } = await upload(repositoryAt(t, registry.url), new UploadManner('auto'), body, {
    stop: stop.signal,
  });
  assert.equal(digest, undefined);
  assert.equal(error, stop.signal.reason);
  assert.deepEqual(registry.exchanges('PUT'), []);
});

test('who asks for streams or chunks gets them', async (t) => {
  for (const choice of ['stream', 'chunked'] as const) {
    const registry = await start(t);
    await upload(repositoryAt(t, registry.url), new UploadManner(choice), new TestBody(small));
    assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 202', 'PUT 201']);
  }
});
