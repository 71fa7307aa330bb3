import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import type { HttpResponse } from '../../src/http/client.ts';
import { serve, ways } from './clients.ts';

const size = 3_000_000;

for (const [way, client] of Object.entries(ways)) {
  describe(`through ${way}`, () => {
    async function answerOf(t: TestContext, onClose = () => {}): Promise<HttpResponse> {
      const server = await serve(t, async (_request, response) => {
        response.once('close', onClose);
        response.writeHead(200, { 'content-length': size });
        const pieces = Array.from({ length: size / 100_000 }, (_, i) => Buffer.alloc(100_000, i));
        await pipeline(Readable.from(pieces), response).catch(() => {});
      });
      return client(t, server.url).request({ method: 'GET', url: new URL(server.url) });
    }

    test('every byte is given once, in order', async (t) => {
      const answer = await answerOf(t);
      let at = 0;
      await answer.each((chunk) => {
        for (let i = 0; i < chunk.length; i += 1000) assert.equal(chunk[i], Math.floor((at + i) / 100_000));
        at += chunk.length;
        return undefined;
      });
      assert.equal(at, size);
    });

    test('a promise holds the rest back', async (t) => {
      const answer = await answerOf(t);
      let waiting = false;
      let length = 0;
      await answer.each(async (chunk) => {
        assert.ok(!waiting, 'one chunk at a time');
        waiting = true;
        await new Promise((resolve) => setImmediate(resolve));
        length += chunk.length;
        waiting = false;
      });
      assert.equal(length, size);
    });

    test('the last chunk, too, is waited for', async (t) => {
      const server = await serve(t, (_request, response) => void response.end('abc'));
      const get = () => client(t, server.url).request({ method: 'GET', url: new URL(server.url) });
      let taken = false;
      await (await get()).each(async () => {
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
        taken = true;
      });
      assert.ok(taken);
      const late = async (): Promise<never> => {
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
        throw new Error('late');
      };
      await assert.rejects((await get()).each(late), { message: 'late' });
    });

    test('`false` ends it early, and the connection with it', async (t) => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const answer = await answerOf(t, resolve);
      let chunks = 0;
      await answer.each(() => {
        chunks += 1;
        return false;
      });
      assert.equal(chunks, 1);
      await closed;
    });

    test('what the reader throws is thrown, at once or later', async (t) => {
      const mine = new Error('mine');
      const isMine = (error: unknown) => error === mine;
      const thrower = (): undefined => {
        throw mine;
      };
      await assert.rejects((await answerOf(t)).each(thrower), isMine);
      await assert.rejects(
        (await answerOf(t)).each(() => Promise.reject(mine)),
        isMine,
      );
    });

    test('a reader that held when it was stopped is given nothing of the rest', async (t) => {
      const server = await serve(t, (_request, response) => void response.end(Buffer.alloc(100_000)));
      const abort = new AbortController();
      const url = new URL(server.url);
      const answer = await client(t, server.url).request({ method: 'GET', url, signal: abort.signal });
      const { promise: held, resolve: release } = Promise.withResolvers<void>();
      const { promise: taken, resolve: took } = Promise.withResolvers<void>();
      let calls = 0;
      const read = answer.into({
        room: () => Buffer.alloc(1000),
        took() {
          calls += 1;
          took();
          return held;
        },
      });
      await taken;
      const reason = new Error('stopped');
      abort.abort(reason);
      await assert.rejects(read, (error) => error === reason);
      release();
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(calls, 1);
    });

    test('a body that broke before anybody read it does not hang its reader', {
      timeout: 5000,
    }, async (t) => {
      const server = await serve(t, (_request, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('abc');
      });
      const http = client(t, server.url);
      const reason = new Error('stopped');
      for (const use of ['each', 'bytes', 'discard'] as const) {
        const abort = new AbortController();
        const answer = await http.request({ method: 'GET', url: new URL(server.url), signal: abort.signal });
        abort.abort(reason);
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
        if (use === 'discard') await answer.discard();
        else await assert.rejects(use === 'each' ? answer.each(() => undefined) : answer.bytes(100), reason);
      }
    });
  });
}
