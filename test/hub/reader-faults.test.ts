import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import type { HubFault } from '../support/hub/faults.ts';
import { mib, type ReaderOptions, readAll, readerFor } from './hubs.ts';

const store = { origin: 'cdn' };

describe('the file comes whole although', () => {
  const survived: [string, HubFault, ReaderOptions?][] = [
    ['the connection is reset', { kind: 'reset' }],
    ['an answer is cut before its first byte', { kind: 'cut', after: 0 }],
    ['an answer is cut after one byte', { kind: 'cut', after: 1 }],
    ['an answer is cut in its middle', { kind: 'cut', after: 500_001 }],
    ['an answer is cut before its last byte', { kind: 'cut', after: mib - 1 }],
    ['an answer stalls before its first byte', { kind: 'stall', after: 0 }, { stallMs: 300 }],
    ['an answer stalls in its middle', { kind: 'stall', after: 300_000 }, { stallMs: 300 }],
    ['an answer ends cleanly, too early', { kind: 'short', by: 1000 }],
    ['an answer is longer than asked for', { kind: 'long', by: 1000 }],
    ['a Content-Range is of other bytes', { kind: 'wrong-content-range' }],
    ['a Content-Range is nonsense', { kind: 'wrong-content-range', value: 'pages 1-2' }],
    ['the store is overloaded', { kind: 'status', status: 503 }],
    ['the range is ignored once', { kind: 'ignore-range' }],
  ];
  for (const [what, action, options] of survived) {
    test(what, async (t) => {
      // Whichever request is hit first: that of a first window, and later one of the middle.
      for (const skip of [0, 3]) {
        const { reader, truth, server, asked, retries } = await readerFor(t, options);
        server.faults.push({ match: store, skip, action });
        assert.ok((await readAll(reader, 12_345)).equals(truth.subarray(12_345)));
        assert.equal(server.faults.length, 0, 'it did happen');
        if (action.kind === 'wrong-content-range') assert.equal(retries.length, 1, 'and was not believed');
        if (skip > 0) assert.equal(asked('hub').length, 1, 'without another resolve');
      }
    });
  }

  test('the store fails at first contact: what the hub signed is not thrown away', async (t) => {
    for (const action of [{ kind: 'reset' }, { kind: 'status', status: 503 }] as const) {
      const { reader, truth, server, asked } = await readerFor(t);
      server.faults.push({ match: store, times: 2, action });
      assert.ok((await readAll(reader)).equals(truth));
      assert.equal(asked('hub').length, 1);
    }
  });

  test('the store that the hub names is dead: the hub is asked for another', async (t) => {
    const { reader, truth, server, asked } = await readerFor(t, { limit: 3 });
    const headers = { location: 'http://127.0.0.1:9/signed' };
    server.faults.push({ match: { origin: 'hub' }, action: { kind: 'headers', headers } });
    assert.ok((await readAll(reader)).equals(truth));
    assert.equal(asked('hub').length, 2);
  });

  test('a range ignored once costs that request, not the file from its start', async (t) => {
    const { reader, truth, server } = await readerFor(t, { size: 8 * mib });
    server.faults.push({ match: { ...store, range: /=6291456-/ }, action: { kind: 'ignore-range' } });
    assert.ok((await readAll(reader)).equals(truth));
    const starts = server.requests.filter(({ range, origin }) => origin === 'cdn' && /=0-/.test(range ?? ''));
    assert.equal(starts.length, 1);
    assert.equal(server.faults.length, 0);
  });

  test('every answer is cut: progress makes it patient', async (t) => {
    const { reader, truth, server, retries } = await readerFor(t, { size: 3 * mib, limit: 1 });
    server.faults.push({ match: store, times: Infinity, action: { kind: 'cut', after: 150_000 } });
    assert.ok((await readAll(reader)).equals(truth));
    assert.ok(retries.length >= 15);
    assert.ok(retries.every(({ attempt, error }) => attempt === 1 && error.side === 'hub'));
  });

  test('nothing is ever read twice for a cut', async (t) => {
    const { reader, server, file } = await readerFor(t, { size: 3 * mib });
    server.faults.push({ match: store, times: 3, action: { kind: 'cut', after: 150_000 } });
    await readAll(reader);
    assert.equal(server.bytesOf.get(file.path), file.size);
  });

  test('the hub limits the rate: it waits as long as it is told', async (t) => {
    const headers = { 'retry-after': '0.2' };
    const { reader, truth, server, retries } = await readerFor(t, { size: 1000 });
    server.faults.push({ match: { origin: 'hub' }, action: { kind: 'status', status: 429, headers } });
    const started = performance.now();
    assert.ok((await readAll(reader)).equals(truth));
    assert.ok(performance.now() - started >= 199);
    assert.equal(retries.length, 1);
    assert.ok((retries[0]?.delayMs ?? 0) >= 200);
    assert.match(retries[0]?.error.message ?? '', /limits the rate/);
    assert.match(retries[0]?.error.hint ?? '', /HF_TOKEN/);
  });

  test('the store never knows ranges', async (t) => {
    const { reader, truth, server } = await readerFor(t, { size: 3 * mib });
    server.faults.push({ match: store, times: Infinity, action: { kind: 'ignore-range' } });
    for (const from of [0, 1, 2 * mib + 5]) {
      assert.ok((await readAll(reader, from)).equals(truth.subarray(from)), `from ${from}`);
    }
  });

  test('it is gzipped, unasked', async (t) => {
    const { reader, truth, server } = await readerFor(t, { size: 1000 });
    server.faults.push({ match: store, times: 2, action: { kind: 'gzip' } });
    assert.ok((await readAll(reader)).equals(truth));
    assert.equal(server.faults.length, 0);
  });
});

describe('the file is refused because', () => {
  async function failure(
    t: Parameters<typeof readerFor>[0],
    action: HubFault,
    options: ReaderOptions = {},
  ): Promise<BoxcarError> {
    const { reader, server } = await readerFor(t, { size: 3 * mib, limit: 2, ...options });
    server.faults.push({ match: store, times: Infinity, action });
    return readAll(reader).then(
      () => assert.fail('it was read'),
      (error) => error,
    );
  }

  test('its total size is another', async (t) => {
    for (const total of [3 * mib - 1, 3 * mib + 1]) {
      const value = { 'content-range': `bytes 0-${mib - 1}/${total}` };
      const error = await failure(t, { kind: 'headers', headers: value });
      assert.equal(error.code, 'content-mismatch');
      assert.match(
        error.message,
        new RegExp(`weights.bin is not what .* ${total} bytes instead of ${3 * mib}`),
      );
    }
  });

  test('it ends before the offset', async (t) => {
    const error = await failure(t, { kind: 'status', status: 416 });
    assert.deepEqual([error.code, error.side, error.exitCode], ['content-mismatch', 'hub', 9]);
  });

  test('a whole answer has another length', async (t) => {
    const error = await failure(t, { kind: 'status', status: 200, body: 'another file' });
    assert.equal(error.code, 'content-mismatch');
  });

  test('it always ends too early', async (t) => {
    const error = await failure(t, { kind: 'short', by: mib }, { size: mib });
    assert.deepEqual([error.code, error.exitCode], ['hub-failed', 5]);
    assert.match(error.message, /ended at byte 0 of 1048576/);
  });

  test('the store always fails', async (t) => {
    for (const action of [{ kind: 'reset' }, { kind: 'status', status: 500 }] as const) {
      const error = await failure(t, action);
      assert.deepEqual([error.code, error.side], ['hub-failed', 'hub']);
    }
  });

  test('it always breaks off after a few bytes: those are no progress', async (t) => {
    const error = await failure(t, { kind: 'cut', after: 10 });
    assert.match(error.message, /closed|ended at byte 30/);
  });

  test('it is always gzipped', async (t) => {
    const error = await failure(t, { kind: 'gzip' });
    assert.match(error.message, /gzip-encoded/);
  });
});
