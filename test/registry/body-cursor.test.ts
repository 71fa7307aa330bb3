import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { BodyCursor, type UploadBody } from '../../src/registry/body-cursor.ts';
import { gate, stopReason, TestBody } from './setup.ts';

const never = new AbortController().signal;
const abc = Buffer.from('abcdefghijklmnopqrstuvwxyz');

async function read(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const piece of bytes) text += Buffer.from(piece).toString();
  return text;
}

/** A body whose sources are driven by hand. */
function drivenBody() {
  const sources: { from: number; give: (text?: string) => void; fail: (error: Error) => void }[] = [];
  const body: UploadBody = {
    size: 26,
    digest: () => 'sha256:0',
    open(from) {
      const waiting: PromiseWithResolvers<IteratorResult<Uint8Array>>[] = [];
      const next = () => {
        const pulled = Promise.withResolvers<IteratorResult<Uint8Array>>();
        waiting.push(pulled);
        return pulled.promise;
      };
      sources.push({
        from,
        give: (text) => {
          const result =
            text === undefined ? { done: true as const, value: undefined } : { value: Buffer.from(text) };
          waiting.shift()?.resolve(result);
        },
        fail: (error) => waiting.shift()?.reject(error),
      });
      return { [Symbol.asyncIterator]: () => ({ next }) };
    },
  };
  return { body, sources };
}

test('requests one after the other read the same source on', async () => {
  const body = new TestBody(abc, { piece: 5 });
  const cursor = new BodyCursor(body, never);
  for (const [offset, limit, text] of [
    [0, 3, 'abc'],
    [3, 4, 'defg'],
    [7, 100, 'hijklmnopqrstuvwxyz'],
  ] as const) {
    cursor.seek(offset);
    assert.equal(await read(cursor.take(limit)), text);
    assert.equal(cursor.position, offset + text.length);
  }
  await cursor.finish();
  assert.deepEqual(body.opened, [0]);
});

test('a registry that has less is given the bytes from there: the source is opened again, and only then', async () => {
  const body = new TestBody(abc, { piece: 5 });
  const cursor = new BodyCursor(body, never);
  cursor.seek(0);
  assert.equal(await read(cursor.take(12)), 'abcdefghijkl');
  cursor.seek(7);
  assert.equal(await read(cursor.take(3)), 'hij');
  assert.deepEqual(body.opened, [0, 7]);
});

test('empty pieces are nothing', async () => {
  const { body, sources } = drivenBody();
  const cursor = new BodyCursor(body, never);
  cursor.seek(0);
  const ready = cursor.ready();
  sources[0]?.give('');
  await turn();
  sources[0]?.give('a');
  await ready;
  assert.equal(await read(cursor.take(1)), 'a');
});

test('the body of a request that was cut takes nothing from the next one that reads the same source', async () => {
  const { body, sources } = drivenBody();
  const cursor = new BodyCursor(body, never);
  cursor.seek(0);
  const cut = cursor.take(26);
  const first = cut.next();
  sources[0]?.give('abc');
  assert.equal(Buffer.from((await first).value ?? []).toString(), 'abc');
  // The connection is gone, and nobody has told this reader: it waits for the source's next piece.
  const stale = cut.next();
  cursor.seek(3);
  const ready = cursor.ready();
  sources[0]?.give('def');
  await ready;
  const next = cursor.take(3);
  assert.equal(await read(next), 'def');
  assert.equal((await stale).done, true);
  assert.equal(cursor.position, 6);
  assert.equal(sources.length, 1);
});

test('a source that was left says nothing any more: neither its bytes nor its failure', async () => {
  for (const end of ['give', 'fail'] as const) {
    const { body, sources } = drivenBody();
    const cursor = new BodyCursor(body, never);
    cursor.seek(0);
    const stale = cursor.take(26).next();
    await turn();
    cursor.seek(10);
    const ready = cursor.ready();
    if (end === 'give') sources[0]?.give('abc');
    else sources[0]?.fail(new Error('the upload goes on elsewhere'));
    assert.equal((await stale).done, true);
    sources[1]?.give('klm');
    await ready;
    assert.equal(cursor.failure, undefined);
    assert.equal(await read(cursor.take(3)), 'klm');
  }
});

test('a source that falls silent ends the bytes after 20 s, and is read on when it speaks again', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { body, sources } = drivenBody();
  const cursor = new BodyCursor(body, never);
  cursor.seek(0);
  const first = cursor.take(26);
  const piece = first.next();
  sources[0]?.give('abc');
  await piece;
  const rest = first.next();
  let ended = false;
  void rest.then(() => {
    ended = true;
  });
  await turn();
  t.mock.timers.tick(19_999);
  await turn();
  assert.equal(ended, false);
  t.mock.timers.tick(1);
  assert.equal((await rest).done, true);
  assert.equal(cursor.failure, undefined);

  cursor.seek(3);
  const ready = cursor.ready();
  t.mock.timers.tick(60_000);
  sources[0]?.give('def');
  await ready;
  assert.equal(await read(cursor.take(3)), 'def');
  assert.equal(sources.length, 1, 'the source was not opened again');
});

test('the end is waited for however long the last bytes take to be proven', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { body, sources } = drivenBody();
  const cursor = new BodyCursor(body, never);
  cursor.seek(26);
  let finished = false;
  const finish = cursor.finish().then(() => {
    finished = true;
  });
  await turn();
  t.mock.timers.tick(3_600_000);
  await turn();
  assert.equal(finished, false);
  sources[0]?.give();
  await finish;
});

test('a failing source ends the bytes, and says why where somebody waits for them', async () => {
  const lost = new Error('hub lost');
  const { body, sources } = drivenBody();
  const cursor = new BodyCursor(body, never);
  cursor.seek(0);
  const bytes = cursor.take(26).next();
  await turn();
  sources[0]?.fail(lost);
  assert.equal((await bytes).done, true);
  assert.equal(cursor.failure, lost);
  await assert.rejects(cursor.finish(), lost);
  cursor.seek(0);
  assert.equal(cursor.failure, undefined);
  const ready = cursor.ready();
  sources[1]?.fail(lost);
  await assert.rejects(ready, lost);
});

test('a body that is shorter than it said is an error', async () => {
  const cursor = new BodyCursor(
    {
      ...new TestBody(abc),
      size: 30,
      open: (from) => new TestBody(abc).open(from, never),
      digest: () => 'sha256:0',
    },
    never,
  );
  cursor.seek(0);
  assert.equal(await read(cursor.take(30)), abc.toString());
  cursor.seek(26);
  await assert.rejects(cursor.ready(), /the body ended at byte 26 of 30/);
});

test('a stop ends the bytes at the next piece, and the source hears of it', async () => {
  const stop = new AbortController();
  const reached = gate();
  const body = new TestBody(abc, {
    piece: 5,
    before: (offset, signal) => {
      if (offset < 10) return;
      reached.open();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const cursor = new BodyCursor(body, stop.signal);
  cursor.seek(0);
  const bytes = read(cursor.take(26));
  await reached.opened;
  stop.abort(stopReason());
  assert.equal(await bytes, 'abcdefghij');
  assert.equal(cursor.position, 10);
});
