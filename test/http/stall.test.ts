import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { BoxcarError } from '../../src/errors.ts';
import { StallWatch } from '../../src/http/stall.ts';
import { type Client, clientFor, serve, ways } from './clients.ts';

// The one place that waits on purpose: silence has a length. It is many times shorter or longer than the limit.
const stallMs = 300;

const isStall = (error: BoxcarError) =>
  error.code === 'hub-failed' && error.transient && /no progress for/.test(error.message);

/** Fails rather than hangs where a stall is not found. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const late = delay(ms, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`nothing happened within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timeout.abort();
    late.catch(() => {});
  }
}

async function client(
  t: TestContext,
  answer: Parameters<typeof serve>[1],
  way: (typeof ways)[keyof typeof ways] = clientFor,
): Promise<{ http: Client; url: URL }> {
  const server = await serve(t, answer);
  return { http: way(t, server.url, { stallMs }), url: new URL(server.url) };
}

const length = { 'content-length': 1000 };

for (const [name, way] of Object.entries(ways)) {
  describe(`silence through ${name}`, () => {
    test('before the answer', async (t) => {
      const { http, url } = await client(t, () => {}, way);
      const started = performance.now();
      await assert.rejects(within(5000, http.request({ method: 'GET', url })), isStall);
      assert.ok(performance.now() - started >= stallMs - 5);
    });

    test('in the middle of a body', async (t) => {
      const { http, url } = await client(
        t,
        (_request, response) => void response.writeHead(200, length).write('abc'),
        way,
      );
      const answer = await http.request({ method: 'GET', url });
      await assert.rejects(within(5000, answer.bytes(1000)), isStall);
    });

    test('before the first byte of a body', async (t) => {
      const { http, url } = await client(
        t,
        (_request, response) => response.writeHead(200, length).flushHeaders(),
        way,
      );
      const answer = await http.request({ method: 'GET', url });
      await assert.rejects(
        within(
          2000,
          answer.each(() => undefined),
        ),
        isStall,
      );
    });

    test('in the middle of a head', async (t) => {
      const { http, url } = await client(t, ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nx: '), way);
      await assert.rejects(within(5000, http.request({ method: 'GET', url })), isStall);
    });

    test('in a body that nobody wants', async (t) => {
      const { http, url } = await client(
        t,
        (_request, response) => {
          response.writeHead(302, length).write('abc');
        },
        way,
      );
      const answer = await http.request({ method: 'GET', url });
      await within(5000, answer.discard());
    });
  });

  describe(`no silence through ${name}`, () => {
    test('a body that drips is not stalled, however long it takes', async (t) => {
      const server = await serve(t, async (_request, response) => {
        response.writeHead(200, { 'content-length': 15 });
        for (let i = 0; i < 15; i++) {
          response.write('x');
          await delay(60);
        }
        response.end();
      });
      const http = way(t, server.url, { stallMs: 600 });
      const answer = await http.request({ method: 'GET', url: new URL(server.url) });
      assert.equal((await answer.bytes(1000)).length, 15);
    });

    test('our own reader may be slow', async (t) => {
      const { http, url } = await client(
        t,
        (_request, response) => void response.end(Buffer.alloc(300_000)),
        way,
      );
      const answer = await http.request({ method: 'GET', url });
      let length = 0;
      await answer.each((chunk) => {
        length += chunk.length;
        return length === chunk.length ? delay(2 * stallMs) : undefined;
      });
      assert.equal(length, 300_000);
    });
  });

  describe(`a stop through ${name}`, () => {
    test('before the answer, in the body, and beforehand', async (t) => {
      const { http, url } = await client(
        t,
        (request, response) => {
          if (request.url === '/body') response.writeHead(200, length).write('abc');
        },
        way,
      );
      const reason = new Error('stopped');
      const isReason = (error: unknown) => error === reason;

      const first = new AbortController();
      const asked = http.request({ method: 'GET', url, signal: first.signal });
      first.abort(reason);
      await assert.rejects(asked, isReason);

      const second = new AbortController();
      const answer = await http.request({ method: 'GET', url: new URL('/body', url), signal: second.signal });
      const read = answer.each(() => undefined);
      second.abort(reason);
      await assert.rejects(read, isReason);

      await assert.rejects(http.request({ method: 'GET', url, signal: AbortSignal.abort(reason) }), isReason);
    });
  });
}

describe('silence', () => {
  test('of a server that takes no more of the request', async (t) => {
    const { http, url } = await client(t, (request) => void request.pause());
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(256 * 1024);
    }
    await assert.rejects(within(5000, http.request({ method: 'PATCH', url, body: endless() })), isStall);
  });

  test('after the whole request', async (t) => {
    const { http, url } = await client(t, (request) => void request.resume());
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('abc');
    }
    await assert.rejects(within(5000, http.request({ method: 'PATCH', url, body: body() })), isStall);
  });
});

describe('no silence', () => {
  test('our own source may be slow', async (t) => {
    const { http, url } = await client(t, async (request, response) => {
      const length = (await Array.fromAsync(request)).join('').length;
      response.end(`${length}`);
    });
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 2; i++) {
        await delay(1.5 * stallMs);
        yield Buffer.from('x');
      }
      await delay(1.5 * stallMs);
    }
    const answer = await http.request({ method: 'PATCH', url, body: slow() });
    assert.equal(String(await answer.bytes(100)), '2');
  });

  test('a server may be given longer to think', async (t) => {
    const { http, url } = await client(t, async (request, response) => {
      request.resume();
      await once(request, 'end');
      await delay(2 * stallMs);
      response.end('done');
    });
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('abc');
    }
    for (const each of [body(), Buffer.from('abc')]) {
      const answer = await http.request({ method: 'PUT', url, body: each, answerMs: 10_000 });
      assert.equal(String(await answer.bytes(100)), 'done');
    }
  });
});

test('a process that was stopped reads what came meanwhile before it speaks of silence', async () => {
  const watch = new StallWatch(50);
  const signal = watch.waiting();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(signal.aborted, false);
  await once(signal, 'abort');
  watch.done();
});
