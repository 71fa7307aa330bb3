import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PrefetchBudget } from '../../src/hub/prefetch.ts';
import { mib, type ReaderSetup, readAll, readerFor, until } from './hubs.ts';

/** Yields until the server has sent nothing new for many turns of the loop and some time. */
async function quiet({ server, file }: ReaderSetup): Promise<number> {
  const sent = () => server.bytesOf.get(file.path) ?? 0;
  let last = sent();
  let since = performance.now();
  await until(() => {
    if (sent() !== last) since = performance.now();
    last = sent();
    return performance.now() - since > 300;
  });
  return last;
}

describe('windows', { timeout: 20_000 }, () => {
  test('eight of one file are on their way at once', async (t) => {
    const setup = await readerFor(t, { size: 64 * mib, bytesPerSecond: mib });
    const reading = setup.reader.open(0);
    await reading.next();
    await until(() => setup.asked('cdn').length >= 8);
    const starts = setup.asked('cdn').map(({ range }) => Number(range?.match(/\d+/)?.[0]));
    assert.deepEqual(
      starts.sort((a, b) => a - b),
      Array.from({ length: 8 }, (_, i) => i * mib),
    );
    assert.equal(setup.asked('cdn').length, 8, 'and no more, while the first is not read');
    await reading.return(undefined);
  });

  test('several connections are faster than one', async (t) => {
    const options = { size: 6 * mib, bytesPerSecond: 1.5 * mib };
    const { reader, file } = await readerFor(t, options);
    const started = performance.now();
    await readAll(reader);
    const seconds = (performance.now() - started) / 1000;
    const alone = file.size / options.bytesPerSecond;
    // A third of it on an idle machine.
    assert.ok(seconds < alone / 1.7, `${seconds} s; one connection takes ${alone} s`);
  });

  test('memory is bounded when nobody reads on', async (t) => {
    const setup = await readerFor(t, { size: 256 * mib });
    const reading = setup.reader.open(0);
    await reading.next();
    const sent = await quiet(setup);
    const { windows, windowSize } = new PrefetchBudget(64 * mib).share(setup.file.size);
    // What the connections hold on their way, on both sides, is not ours.
    assert.ok(sent <= windows * windowSize + windows * 8 * mib, `${sent} bytes were sent`);
    await reading.return(undefined);
  });

  test('a reader that leaves ends every connection', async (t) => {
    const setup = await readerFor(t, { size: 64 * mib, bytesPerSecond: 2 * mib });
    for await (const piece of setup.reader.open(0)) if (piece.length > 0) break;
    const { windows, windowSize } = new PrefetchBudget(64 * mib).share(setup.file.size);
    assert.ok((await quiet(setup)) < (windows * windowSize) / 2);
    assert.ok(setup.asked('cdn').length <= windows);
  });
});

describe('a stop', { timeout: 10_000 }, () => {
  const reason = new Error('stopped');
  const isReason = (error: unknown) => error === reason;

  test('ends a reader that waits for bytes', async (t) => {
    const { reader, server } = await readerFor(t);
    server.faults.push({ match: { origin: 'cdn' }, times: Infinity, action: { kind: 'stall', after: 1000 } });
    const abort = new AbortController();
    const reading = readAll(reader, 0, abort.signal);
    reading.catch(() => {});
    await until(() => (server.bytesOf.get('weights.bin') ?? 0) >= 4000);
    abort.abort(reason);
    await assert.rejects(reading, isReason);
  });

  test('ends a reader that waits before a retry', async (t) => {
    const { reader, server, retries } = await readerFor(t, { size: 1000 });
    const headers = { 'retry-after': '600' };
    server.faults.push({ match: { origin: 'hub' }, action: { kind: 'status', status: 429, headers } });
    const abort = new AbortController();
    const reading = readAll(reader, 0, abort.signal);
    reading.catch(() => {});
    await until(() => retries.length > 0);
    abort.abort(reason);
    await assert.rejects(reading, isReason);
  });

  test('ends one that has read some, and asks for nothing more', async (t) => {
    const { reader, asked } = await readerFor(t, { size: 64 * mib, bytesPerSecond: 8 * mib });
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      let pieces = 0;
      for await (const _ of reader.open(0, abort.signal)) if (++pieces === 3) abort.abort(reason);
    };
    await assert.rejects(read(), isReason);
    assert.ok(asked('cdn').length <= 9);
  });

  test('beforehand asks for nothing', async (t) => {
    const { reader, server } = await readerFor(t);
    await assert.rejects(readAll(reader, 0, AbortSignal.abort(reason)), isReason);
    assert.equal(server.requests.length, 0);
  });
});

describe('the budget', () => {
  const share = (files: number, bytes: number, size: number) => {
    const budget = new PrefetchBudget(bytes);
    for (let i = 0; i < files; i++) budget.enter();
    return budget.share(size);
  };

  test('keeps all windows together within the bytes, but none below 1 MiB', () => {
    for (const files of [1, 2, 4, 8, 32]) {
      const { windows, windowSize } = share(files, 64 * mib, 1e12);
      assert.ok(windows >= 2 && windows <= 8);
      assert.ok(windowSize >= mib);
      assert.ok(files * windows * windowSize <= 64 * mib, `${files} files: ${windows} of ${windowSize}`);
    }
    assert.equal(share(1, 100, 1e12).windowSize, mib);
  });

  test('those that leave make room', () => {
    const budget = new PrefetchBudget(16 * mib);
    const alone = budget.share(1e12);
    for (let i = 0; i < 8; i++) budget.enter();
    assert.ok(budget.share(1e12).windows < alone.windows);
    for (let i = 0; i < 8; i++) budget.leave();
    assert.deepEqual(budget.share(1e12), alone);
  });
});
