import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import { type Dialect, type DialectName, startFakeRegistry } from '../support/fake-registry.ts';
import { digestOf, mib, repositoryAt, seededBytes, TestBody, upload } from './setup.ts';

const size = 5 * mib + 3;

/** `learnt`: `auto` that an earlier layer has brought to chunks. */
type Start = 'auto' | 'learnt' | 'stream' | 'chunked';
/** The manner in the end, retries, and MiB sent beyond the blob's own; or the status that it fails with. */
type Arrives = { manner: string; retries: number; extra: number };
type Fails = { status: number | undefined; retries: number; extra: number };

interface Row {
  dialect: DialectName;
  changes?: Partial<Dialect>;
  /** In MiB. Default 2. */
  chunk?: number;
  ends: Record<Start, Arrives | Fails>;
}

const stream: Arrives = { manner: 'stream', retries: 0, extra: 0 };
const chunked: Arrives = { manner: 'chunked 2', retries: 0, extra: 0 };
/** Where both work, each stays what it is. */
const easy = { auto: stream, learnt: chunked, stream, chunked };
const streamAfter = (retries: number, extra: number): Arrives => ({ manner: 'stream', retries, extra });
const chunkedAfter = (retries: number, extra: number): Arrives => ({ manner: 'chunked 2', retries, extra });
const always = (end: Fails) => ({ auto: end, learnt: end, stream: end, chunked: end });

/** What each dialect makes of each manner (registries.md). Sizes of refused requests are rounded up. */
const ladder: Record<string, Row> = {
  'distribution 3': { dialect: 'distribution3', ends: easy },
  'distribution 2.8': { dialect: 'distribution28', ends: easy },
  zot: { dialect: 'zot', ends: easy },
  'Amazon ECR': {
    dialect: 'ecr',
    ends: {
      ...easy,
      // The closing PUT is refused three times before one fresh start, not one after each refusal.
      learnt: streamAfter(3, 6),
      chunked: { status: 500, retries: 5, extra: 6 },
    },
  },
  'Amazon ECR where the blob is there all the same': {
    dialect: 'ecr',
    changes: { closeAfterParts: 'status 500, stored' },
    ends: easy,
  },
  'GHCR, 4 MiB in a chunk': {
    dialect: 'ghcr',
    chunk: 16,
    ends: {
      ...easy,
      learnt: { manner: 'chunked 4', retries: 1, extra: 0 },
      chunked: { manner: 'chunked 4', retries: 1, extra: 0 },
    },
  },
  'Google Artifact Registry, one PATCH a session': {
    dialect: 'gar',
    ends: { ...easy, learnt: streamAfter(2, 4), chunked: { status: 400, retries: 5, extra: 7 } },
  },
  'Azure Container Registry': { dialect: 'acr', ends: easy },
  Quay: { dialect: 'quay', ends: easy },
  'a proxy that answers 413': {
    dialect: 'cloudflare',
    ends: { ...easy, auto: chunkedAfter(1, 4), stream: { status: 413, retries: 0, extra: 0 } },
  },
  'a proxy that answers 413 at 1 MiB': {
    dialect: 'cloudflare',
    changes: { bodyLimit: { bytes: mib, answer: 'status 413' } },
    ends: {
      auto: { manner: 'chunked 1', retries: 2, extra: 3 },
      learnt: { manner: 'chunked 1', retries: 1, extra: 2 },
      stream: { status: 413, retries: 0, extra: 0 },
      chunked: { manner: 'chunked 1', retries: 1, extra: 2 },
    },
  },
  'a proxy that takes nothing': {
    dialect: 'cloudflare',
    changes: { bodyLimit: { bytes: 1000, answer: 'status 413' } },
    ends: {
      auto: { status: 413, retries: 2, extra: 1 },
      learnt: { status: 413, retries: 1, extra: 1 },
      stream: { status: 413, retries: 0, extra: 0 },
      chunked: { status: 413, retries: 1, extra: 1 },
    },
  },
  'a proxy that resets': {
    dialect: 'cloudflareReset',
    ends: { ...easy, auto: chunkedAfter(2, 7), stream: { status: undefined, retries: 5, extra: 30 } },
  },
  'a balancer': {
    dialect: 'balancer',
    ends: { ...easy, learnt: streamAfter(2, 4), chunked: { status: 404, retries: 5, extra: 7 } },
  },
  'Content-Range required': {
    dialect: 'distribution3',
    changes: { contentRange: 'required' },
    ends: { ...easy, auto: chunkedAfter(1, 0), stream: { status: 400, retries: 0, extra: 0 } },
  },
  'Content-Range refused': {
    dialect: 'distribution3',
    changes: { contentRange: 'refused' },
    ends: { ...easy, learnt: streamAfter(1, 0), chunked: { status: 400, retries: 0, extra: 0 } },
  },
  'a smallest chunk': { dialect: 'distribution3', changes: { chunkMinimum: 4 * mib }, ends: easy },
  'no Location after a PATCH': { dialect: 'distribution3', changes: { patchLocation: false }, ends: easy },
  'PATCH answers 201': { dialect: 'distribution3', changes: { patchStatus: 201 }, ends: easy },
  'PATCH answers 204': { dialect: 'distribution3', changes: { patchStatus: 204 }, ends: easy },
  'PATCH answers 200 and where it goes on': {
    dialect: 'distribution3',
    changes: { patchStatus: 200 },
    ends: easy,
  },
  'PATCH answers 200 and no more, so that it is asked what came': {
    dialect: 'distribution3',
    changes: { patchStatus: 200, patchLocation: false },
    ends: {
      auto: streamAfter(1, 0),
      learnt: chunkedAfter(3, 0),
      stream: streamAfter(1, 0),
      chunked: chunkedAfter(3, 0),
    },
  },
  'the closing PUT answers 204': { dialect: 'distribution3', changes: { closeStatus: 204 }, ends: easy },
  'no digest in answers': { dialect: 'distribution3', changes: { reportedDigest: 'none' }, ends: easy },
  'another digest in answers': {
    dialect: 'distribution3',
    changes: { reportedDigest: 'other' },
    ends: always({ status: 201, retries: 1, extra: 6 }),
  },
  'DIGEST_INVALID once': {
    dialect: 'distribution3',
    changes: { refuseDigests: 1 },
    ends: {
      auto: streamAfter(1, 6),
      learnt: chunkedAfter(1, 6),
      stream: streamAfter(1, 6),
      chunked: chunkedAfter(1, 6),
    },
  },
  'a flipped byte once': {
    dialect: 'distribution28',
    changes: { flipBytes: 1 },
    ends: {
      auto: streamAfter(1, 6),
      learnt: chunkedAfter(1, 6),
      stream: streamAfter(1, 6),
      chunked: chunkedAfter(1, 6),
    },
  },
  'a flipped byte always': {
    dialect: 'distribution3',
    changes: { flipBytes: 100 },
    ends: always({ status: 400, retries: 1, extra: 6 }),
  },
};

for (const [name, { dialect, changes, chunk = 2, ends }] of Object.entries(ladder)) {
  describe(`the ladder: ${name}`, () => {
    for (const [from, end] of Object.entries(ends) as [Start, Arrives | Fails][]) {
      test(`${from} -> ${'manner' in end ? end.manner : `fails with ${end.status ?? 'no answer'}`}`, async (t) => {
        const registry = await startFakeRegistry(dialect, changes);
        t.after(() => registry.close());
        const repository = repositoryAt(t, registry.url, { limit: 5 });
        const manner = mannerOf(from, chunk * mib);
        const bytes = seededBytes(size);
        const { digest, error, retries } = await upload(repository, manner, new TestBody(bytes));
        assert.equal(retries.length, end.retries, error.message);
        if ('status' in end) {
          assert.equal(error.code, 'registry-failed');
          assert.equal(error.side, 'registry');
          assert.equal(error.exitCode, 6);
          assert.equal(error.request?.status, end.status);
          if (end.status !== 201) assert.equal(registry.blobs.size, 0);
          assert.ok(registry.bytesSent() <= size + end.extra * mib, `${registry.bytesSent()} bytes`);
          if (from !== 'auto' && from !== 'learnt') assert.equal(manner.now.kind, from);
          return;
        }
        assert.equal(digest, digestOf(bytes), error.message);
        assert.ok(registry.blobs.get(digestOf(bytes))?.equals(bytes));
        assert.equal(wordsOf(manner), end.manner);
        const extra = registry.bytesSent() - size;
        assert.ok(extra <= end.extra * mib && extra >= (end.extra && end.extra - 2) * mib, `${extra} more`);

        // What was learnt is used at once for the next blob. A 200 is asked about each time.
        const next = seededBytes(size, 2);
        const before = registry.bytesSent();
        const second = await upload(repository, manner, new TestBody(next));
        assert.equal(second.digest, digestOf(next), second.error.message);
        assert.equal(second.retries.length, changes?.patchStatus === 200 ? retries.length : 0);
        assert.equal(registry.bytesSent() - before, size);
      });
    }
  });
}

function mannerOf(start: Start, chunkSize: number): UploadManner {
  if (start !== 'learnt') return new UploadManner(start, chunkSize);
  const manner = new UploadManner('auto', chunkSize);
  const as = manner.now;
  manner.learn({ method: 'PATCH', as, status: 413, offset: 0, sent: 1, failures: 1, lost: 0 });
  assert.equal(manner.now.kind, 'chunked');
  return manner;
}

function wordsOf({ now: { kind, chunkSize } }: UploadManner): string {
  return kind === 'stream' ? kind : `chunked ${chunkSize / mib}`;
}

test('four layers in flight learn together: one step down the ladder, not four', async (t) => {
  const registry = await startFakeRegistry('cloudflare');
  t.after(() => registry.close());
  const repository = repositoryAt(t, registry.url);
  const manner = new UploadManner('auto', 8 * mib);
  const bodies = [1, 2, 3, 4].map((seed) => new TestBody(seededBytes(9 * mib, seed)));
  const results = await Promise.all(bodies.map((body) => upload(repository, manner, body)));
  for (const { error, digest } of results) assert.ok(digest, error.message);
  assert.deepEqual(manner.now, { kind: 'chunked', chunkSize: 2 * mib });
  assert.equal(registry.blobs.size, 4);
});

test('four layers cut at once by one hiccup go on as streams', async (t) => {
  const registry = await startFakeRegistry('distribution3');
  t.after(() => registry.close());
  registry.faults.push({
    match: { method: 'PATCH' },
    times: 4,
    action: { kind: 'cut', after: 3 * mib },
  });
  const repository = repositoryAt(t, registry.url);
  const manner = new UploadManner('auto', mib);
  const bodies = [1, 2, 3, 4].map((seed) => new TestBody(seededBytes(4 * mib, seed)));
  const results = await Promise.all(bodies.map((body) => upload(repository, manner, body)));
  for (const { error, digest } of results) assert.ok(digest, error.message);
  assert.equal(manner.now.kind, 'stream');
  assert.equal(registry.bytesSent(), 4 * 4 * mib);
});

test('a session lost again and again after some bytes runs out of patience', {
  timeout: 60_000,
}, async (t) => {
  // Each run gets two chunks in and meets another node with the third: every one of them looks like progress.
  const registry = await startFakeRegistry('balancer', { astrayEvery: 3 });
  t.after(() => registry.close());
  const repository = repositoryAt(t, registry.url, { limit: 4 });
  const manner = new UploadManner('chunked', mib);
  const { error, retries } = await upload(repository, manner, new TestBody(seededBytes(4 * mib)));
  assert.equal(error.request?.status, 404);
  assert.equal(retries.length, 4);
  assert.deepEqual(
    retries.map(({ attempt, of }) => `${attempt} of ${of}`),
    ['1 of 4', '2 of 4', '3 of 4', '4 of 4'],
  );
  assert.equal(registry.bytesSent(), 10 * mib);
});

test('a closing PUT that is always refused is not a reason to send a layer eleven times', async (t) => {
  const registry = await startFakeRegistry('distribution3');
  t.after(() => registry.close());
  const quota = {
    kind: 'answer',
    status: 412,
    body: '{"errors":[{"code":"DENIED","message":"quota"}]}',
  } as const;
  registry.faults.push({ match: { method: 'PUT' }, times: Number.POSITIVE_INFINITY, action: quota });
  const repository = repositoryAt(t, registry.url);
  const { error, retries } = await upload(
    repository,
    new UploadManner('auto', mib),
    new TestBody(seededBytes(2 * mib)),
  );
  assert.equal(error.request?.answer, 'DENIED "quota"');
  assert.equal(retries.length, 0);
  assert.equal(registry.bytesSent(), 2 * mib);
});

test('Locations on another origin get no credentials', async (t) => {
  const registry = await startFakeRegistry('gar');
  t.after(() => registry.close());
  registry.authorization = 'Bearer right';
  const authorizer = { source: 'test', authorize: async () => 'Bearer right', challenged: () => false };
  const repository = repositoryAt(t, registry.url, { authorizer });
  const { digest, error } = await upload(
    repository,
    new UploadManner('auto', mib),
    new TestBody(seededBytes(2 * mib)),
  );
  assert.ok(digest, error.message);
  const elsewhere = registry.requests.filter(({ origin }) => origin === 'storage');
  assert.deepEqual(
    elsewhere.map(({ method }) => method),
    ['PATCH', 'PUT'],
  );
  for (const { headers } of elsewhere) assert.equal(headers.authorization, undefined);
  assert.equal(registry.requests[0]?.headers.authorization, 'Bearer right');
});

test('a signed Location that has expired elsewhere is a lost session, not a lack of rights', async (t) => {
  const registry = await startFakeRegistry('gar', { getStatus: 204 });
  t.after(() => registry.close());
  registry.faults.push({
    match: (request) => request.origin === 'storage',
    action: { kind: 'answer', status: 403, body: 'Request has expired' },
  });
  const repository = repositoryAt(t, registry.url);
  const bytes = seededBytes(1000);
  const { digest, error } = await upload(repository, new UploadManner('auto', mib), new TestBody(bytes));
  assert.equal(digest, digestOf(bytes), error.message);
});

test('news of a manner that was given up already changes nothing, but is worth another attempt', () => {
  const manner = new UploadManner('auto', 16 * mib);
  const stream = manner.now;
  const refused = { method: 'PATCH', status: 413, offset: 0, sent: 64 * mib, failures: 1, lost: 0 };
  assert.equal(manner.learn({ ...refused, as: stream }), true);
  assert.equal(manner.learn({ ...refused, as: manner.now }), true);
  assert.deepEqual(manner.now, { kind: 'chunked', chunkSize: 4 * mib });
  assert.equal(manner.learn({ ...refused, as: stream }), true);
  assert.deepEqual(manner.now, { kind: 'chunked', chunkSize: 4 * mib });
});
