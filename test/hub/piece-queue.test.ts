import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ByteSink } from '../../src/http/byte-socket.ts';
import { PiecePool, pieceSize } from '../../src/hub/piece-pool.ts';
import { PieceQueue } from '../../src/hub/piece-queue.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function collect(queue: PieceQueue): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of queue.read()) pieces.push(Buffer.from(piece));
  return pieces;
}

/** What a connection does with bytes that have come. */
async function give(sink: ByteSink, chunk: Buffer): Promise<void> {
  for (let rest = chunk; rest.length > 0; ) {
    const taken = rest.copy(sink.room() ?? assert.fail('no room'));
    rest = rest.subarray(taken);
    await sink.took(taken);
  }
}

/** A source of chunks of `size` bytes, numbered; counts what it has given. */
function chunks(
  count: number,
  size: number,
): { source: (sink: ByteSink) => Promise<void>; given: () => number } {
  let given = 0;
  const source = async (sink: ByteSink): Promise<void> => {
    for (; given < count; given++) await give(sink, Buffer.alloc(size, given));
  };
  return { source, given: () => given };
}

test('small chunks are gathered, large ones divided, none lost', async () => {
  for (const size of [1, 1000, 16_384, pieceSize, pieceSize + 1, 3 * pieceSize]) {
    const count = size === 1 ? 1000 : 50;
    const pieces = await collect(new PieceQueue(chunks(count, size).source, 1e9, new PiecePool()));
    const expected = Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(size, i)));
    assert.ok(Buffer.concat(pieces).equals(expected), `chunks of ${size}`);
    assert.ok(pieces.every((piece) => piece.length <= pieceSize));
  }
});

test('the source is held back at the limit, and goes on when the reader does', async () => {
  const { source, given } = chunks(100, pieceSize);
  const reading = new PieceQueue(source, 4 * pieceSize, new PiecePool()).read();
  for (let i = 0; i < 50; i++) await turn();
  assert.ok(given() <= 4);
  await reading.next();
  for (let i = 0; i < 50; i++) await turn();
  assert.ok(given() > 3 && given() <= 5, `${given()}`);
  let rest = 0;
  for await (const piece of reading) rest += piece.length;
  assert.equal(rest, 99 * pieceSize);
});

test('what came before a failure is given before it', async () => {
  const failure = new Error('cut');
  const source = async (sink: ByteSink): Promise<void> => {
    await give(sink, Buffer.from('abc'));
    throw failure;
  };
  const reading = new PieceQueue(source, 1e6, new PiecePool()).read();
  assert.equal(String((await reading.next()).value), 'abc');
  await assert.rejects(reading.next(), (error) => error === failure);
});

test('an empty source ends', async () => {
  assert.deepEqual(await collect(new PieceQueue(async () => {}, 1e6, new PiecePool())), []);
});

test('a source that drips does not fill the memory with pieces almost empty', async (t: TestContext) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let taken = 0;
  const pool = new PiecePool();
  const take = pool.take.bind(pool);
  pool.take = () => {
    taken += pieceSize;
    return take();
  };
  const limit = 4 * pieceSize;
  const source = async (sink: ByteSink): Promise<void> => {
    // One TLS record every 60 ms, which is longer than a piece waits for more.
    for (let i = 0; i < 200; i++) {
      now += 60;
      await give(sink, Buffer.alloc(1000));
    }
  };
  const reading = new PieceQueue(source, limit, pool).read();
  for (let i = 0; i < 300; i++) await turn();
  assert.ok(taken <= 2 * limit, `${taken} bytes are held for a limit of ${limit}`);
  await reading.return(undefined);
});
