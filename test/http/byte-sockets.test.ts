import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { createServer, type LookupFunction, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type ByteAnswer, ByteSockets } from '../../src/http/byte-sockets.ts';
import type { HttpResponse } from '../../src/http/client.ts';
import { clientFor, largeClientFor, serve, socketsFor } from './clients.ts';
import { answer, rawServer, type Saying } from './raw-server.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

async function drained(got: ByteAnswer | undefined): Promise<string> {
  assert.ok(got, 'it is understood');
  const memory = Buffer.alloc(1000);
  let at = 0;
  await got.socket.read({
    room: () => memory.subarray(at),
    took(bytes) {
      at += bytes;
      return undefined;
    },
  });
  return memory.toString('latin1', 0, at);
}

async function scripted(t: TestContext, say: Saying) {
  const server = await rawServer(t, say);
  const sockets = socketsFor(t);
  const get = (path = '/', signal = never) => sockets.get(new URL(path, server.url), {}, undefined, signal);
  return { server, sockets, get };
}

describe('a connection', () => {
  test('is used again, and there are as many as answers at once', async (t) => {
    const { server, get } = await scripted(t, (socket) => socket.write(answer('good')));
    for (let i = 0; i < 10; i++) assert.equal(await drained(await get()), 'good');
    assert.equal(server.connections(), 1);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all([get(), get(), get()]);
      for (const each of answers) await drained(each);
    }
    assert.equal(server.connections(), 3);
    assert.equal(server.requests.length, 19);
  });

  test('is not shared with who was sent there by another server', async (t) => {
    const server = await rawServer(t, (socket) => socket.write(answer('good')));
    const sockets = socketsFor(t);
    for (const namedBy of [undefined, 'http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:1'])
      await drained(await sockets.get(new URL(server.url), {}, namedBy, never));
    assert.equal(server.connections(), 3);
  });

  test('that the other side closes is not used again', async (t) => {
    const { server, get } = await scripted(t, (socket, request) => {
      if (request.includes('/said')) socket.end(answer('good', 'Connection: Close\r\n'));
      else socket.write(answer('good'), () => setImmediate(() => socket.end()));
    });
    for (const path of ['/said', '/said', '/unsaid', '/unsaid']) {
      assert.equal(await drained(await get(path)), 'good');
      while (server.open.size > 0) await turn();
    }
    assert.deepEqual([server.connections(), server.requests.length], [4, 4]);
  });

  test('that is found closed when it is used again costs one more request, and no failure', async (t) => {
    const asked = new Map<Socket, number>();
    const { server, get } = await scripted(t, (socket) => {
      const times = (asked.get(socket) ?? 0) + 1;
      asked.set(socket, times);
      if (times === 1) socket.write(answer('good'));
      else socket.resetAndDestroy();
    });
    for (let i = 0; i < 3; i++) assert.equal(await drained(await get()), 'good');
    assert.deepEqual([server.connections(), server.requests.length], [3, 5]);
  });

  test('that is new and fails is told at once', async (t) => {
    const { server, get } = await scripted(t, (socket) => socket.end());
    await assert.rejects(get(), { code: 'UND_ERR_SOCKET' });
    assert.equal(server.requests.length, 1);
  });

  test('that is not made in time', async (t) => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const { port } = silent.address() as { port: number };
    const sockets = new ByteSockets({ ca: undefined, timeoutMs: 50, lookupFor: async () => undefined });
    t.after(() => sockets.destroy());
    const url = new URL(`https://127.0.0.1:${port}`);
    await assert.rejects(sockets.get(url, {}, undefined, never), { code: 'UND_ERR_CONNECT_TIMEOUT' });
  });
});

describe('what is not understood', () => {
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';

  test('is left to another way from then on, of that origin', async (t) => {
    const { server, sockets, get } = await scripted(t, (socket) => socket.write(chunked));
    const other = await rawServer(t, (socket) => socket.write(answer('good')));
    for (let i = 0; i < 3; i++) assert.equal(await get(), undefined);
    assert.equal(server.connections(), 1);
    while (server.open.size > 0) await turn();
    assert.equal(await drained(await sockets.get(new URL(other.url), {}, undefined, never)), 'good');
  });

  test('as a refusal, or as no HTTP, is no sign of the next answer', async (t) => {
    const odd = [
      chunked.replace('200', '503'),
      'SSH-2.0 x\r\n\r\n',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ];
    const { server, get } = await scripted(t, (socket) => socket.write(odd.shift() ?? answer('good')));
    for (let i = 0; i < 3; i++) assert.equal(await get(), undefined);
    assert.equal(await drained(await get()), 'good');
    assert.equal(server.connections(), 4);
  });

  test('as a header is not sent', async (t) => {
    const { server, sockets } = await scripted(t, (socket) => socket.write(answer('good')));
    const injected = { authorization: 'x\r\nhost: evil' };
    assert.equal(await sockets.get(new URL(server.url), injected, undefined, never), undefined);
    assert.equal(server.connections(), 0);
  });
});

describe('a stop', () => {
  const reason = new Error('stopped');
  const isReason = (error: unknown) => error === reason;

  test('while a name is looked up, or before, leaves nothing behind', async (t) => {
    const server = await rawServer(t, (socket) => socket.write(answer('good')));
    const { promise: looked, resolve } = Promise.withResolvers<LookupFunction | undefined>();
    const sockets = new ByteSockets({ ca: undefined, timeoutMs: 5000, lookupFor: () => looked });
    t.after(() => sockets.destroy());
    const abort = new AbortController();
    const asked = [abort.signal, AbortSignal.abort(reason)].map((signal) =>
      assert.rejects(sockets.get(new URL(server.url), {}, undefined, signal), isReason),
    );
    abort.abort(reason);
    resolve(undefined);
    await Promise.all(asked);
    while (server.open.size > 0) await turn();
    assert.equal(server.requests.length, 0);
  });

  test('of all ends those that rest, that are used and that are being made', async (t) => {
    const server = await rawServer(t, (socket) => socket.write(answer('good')));
    const { promise: looked, resolve } = Promise.withResolvers<undefined>();
    const lookupFor = (_by: unknown, to: URL) =>
      to.pathname === '/slow' ? looked : Promise.resolve(undefined);
    const sockets = new ByteSockets({ ca: undefined, timeoutMs: 5000, lookupFor });
    const get = (path: string) => sockets.get(new URL(path, server.url), {}, undefined, never);
    const unread = await get('/');
    await drained(await get('/'));
    const slow = assert.rejects(Promise.all([get('/slow'), get('/slow')]), { code: 'UND_ERR_SOCKET' });
    sockets.destroy();
    resolve(undefined);
    await slow;
    await assert.rejects(drained(unread), { code: 'UND_ERR_SOCKET' });
    while (server.open.size > 0) await turn();
  });
});

describe('at rest', () => {
  test('at most so many wait', async (t) => {
    const { server, get } = await scripted(t, (socket) => socket.write(answer('good')));
    await Promise.all((await Promise.all(Array.from({ length: 50 }, () => get()))).map(drained));
    while (server.open.size > 32) await turn();
    for (let i = 0; i < 20; i++) await turn();
    assert.equal(server.open.size, 32);
    await drained(await get());
    assert.equal(server.connections(), 50);
  });

  test('none for longer than servers wait', async (t) => {
    const { server, get } = await scripted(t, (socket) => socket.write(answer('good')));
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await drained(await get());
    t.mock.timers.tick(3999);
    await drained(await get());
    assert.deepEqual([server.open.size, server.connections()], [1, 1]);
    // Anew for each request.
    t.mock.timers.tick(3999);
    for (let i = 0; i < 20; i++) await turn();
    assert.equal(server.open.size, 1);
    t.mock.timers.tick(1);
    while (server.open.size > 0) await turn();
  });

  test('they keep no process alive', async (t) => {
    const server = await rawServer(t, (socket) => socket.write(answer('good')));
    const client = `
      const { ByteSockets } = await import(${JSON.stringify(import.meta.resolve('../../src/http/byte-sockets.ts'))});
      const sockets = new ByteSockets({ timeoutMs: 60000, lookupFor: async () => undefined });
      const signal = new AbortController().signal;
      const { socket } = await sockets.get(new URL('${server.url}'), {}, undefined, signal);
      await socket.read({ room: () => Buffer.alloc(100), took: () => {} });
      process.on('exit', () => console.log(performance.now() - ended, socket.isOpen));
      const ended = performance.now();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', client]);
    const [ms, isOpen] = stdout.trim().split(' ');
    assert.ok(Number(ms) < 2000 && isOpen === 'true', stdout);
  });

  test('a thousand answers leave no listener and no connection behind', async (t) => {
    const { server, get } = await scripted(t, (socket) => socket.write(answer('good')));
    const { signal } = new AbortController();
    for (let i = 0; i < 1000; i++) await drained(await get('/', signal));
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    assert.equal(server.connections(), 1);
  });
});

/** All that can be told of an answer, or of a failure. */
async function toldOf(asked: Promise<HttpResponse>): Promise<unknown> {
  let head: unknown;
  try {
    const got = await asked;
    head = { status: got.status, headers: { ...got.headers } };
    return [head, String(await got.bytes(1000))];
  } catch (error) {
    const { message, code, transient, hint, cause } = error as Record<string, unknown>;
    return [head, message, code, transient, hint, (cause as { code?: unknown }).code];
  }
}

test('what servers answer is told as it is through undici', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const abc = 'content-length: 3\r\n\r\nabc';
  const odd: Record<string, (socket: Socket) => unknown> = {
    'a body cut': (socket) => socket.end(`${ok}content-length: 1000\r\n\r\nabc`),
    'a head cut': (socket) => socket.end(`${ok}content-`),
    'no answer': (socket) => socket.end(),
    'a reset': (socket) => socket.resetAndDestroy(),
    'a reset in the body': (socket) =>
      socket.write(`${ok}content-length: 1000\r\n\r\nabc`, () =>
        setTimeout(() => socket.resetAndDestroy(), 20),
      ),
    'more than promised': (socket) => socket.write(`${ok}${abc}def`),
    'no ASCII': (socket) => socket.write(`${ok}location: /\u00e9\r\n${abc}`, 'latin1'),
    'a length twice': (socket) => socket.write(`${ok}content-length: 3\r\n${abc}`),
    'a length twice in one': (socket) => socket.write(`${ok}content-length: 3, 3\r\n\r\nabc`),
    'two lengths': (socket) => socket.write(`${ok}content-length: 4\r\n${abc}`),
    'a length with a sign': (socket) => socket.write(`${ok}content-length: +3\r\n\r\nabc`),
    'a length, and chunks': (socket) => socket.write(`${ok}transfer-encoding: chunked\r\n${abc}`),
    chunks: (socket) => socket.write(`${ok}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`),
    'no length': (socket) => socket.end(`${ok}\r\nabc`),
    'early hints': (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${ok}${abc}`),
    'a needless 100': (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${ok}${abc}`),
    'HTTP/1.0': (socket) => socket.write(`HTTP/1.0 200 OK\r\n${abc}`),
    'a folded line': (socket) => socket.write(`${ok}x: a\r\n b\r\n${abc}`),
    'no colon': (socket) => socket.write(`${ok}foo\r\n${abc}`),
    'a bare LF': (socket) => socket.write(`${ok}x: a\ny: b\r\n${abc}`),
    'a space before the colon': (socket) => socket.write(`${ok}x : a\r\n${abc}`),
    'a NUL': (socket) => socket.write(`${ok}x: a\0b\r\n${abc}`),
    'a long head': (socket) => socket.write(`${ok}x: ${'y'.repeat(40_000)}\r\n${abc}`),
    'no HTTP': (socket) => socket.write('SSH-2.0 x\r\n\r\n'),
    'a 204 with a body': (socket) => socket.write(`HTTP/1.1 204 No Content\r\n${abc}`),
    'a 304 with a length': (socket) => socket.write(`HTTP/1.1 304 Not Modified\r\n${abc.slice(0, -3)}`),
    'a reason of many words': (socket) =>
      socket.write(`HTTP/1.1 500 It is  broken\r\nA: b\r\na: c\r\n${abc}`),
  };
  for (const [name, say] of Object.entries(odd)) {
    const server = await rawServer(t, say);
    const request = { method: 'GET', url: new URL('/x?y', server.url) } as const;
    const through = await toldOf(clientFor(t, server.url).request(request));
    const large = await toldOf(largeClientFor(t, server.url, { fallback: true }).request(request));
    assert.deepEqual(large, through, name);
  }
});

describe('through the client', () => {
  const request = (server: { url: string }, path = '/') =>
    ({ method: 'GET', url: new URL(path, server.url) }) as const;

  test('a small answer that nobody wants keeps its connection, a large one does not', async (t) => {
    for (const [size, connections] of [
      [1000, 1],
      [1_000_000, 5],
    ] as const) {
      const server = await rawServer(t, (socket) => socket.write(answer(Buffer.alloc(size))));
      const http = largeClientFor(t, server.url);
      for (let i = 0; i < 5; i++) {
        const got = await http.request(request(server));
        await got.discard();
        await got.discard();
      }
      assert.equal(server.connections(), connections);
    }
  });

  test('a redirect costs no new connection, with a length or in chunks', async (t) => {
    for (const chunks of [false, true]) {
      let connections = 0;
      const server = await serve(t, (_request, response) => {
        response.writeHead(302, { location: '/x', ...(chunks ? {} : { 'content-length': 8 }) });
        response.write('Found. ');
        response.end('.');
      });
      server.server.on('connection', () => {
        connections += 1;
      });
      const http = largeClientFor(t, server.url, { fallback: true });
      for (let i = 0; i < 10; i++) {
        const got = await http.request(request(server, `/${i}`));
        assert.equal(got.status, 302);
        await got.discard();
      }
      // The one that did not understand chunks, and undici's two: a body ends before its connection is free.
      assert.ok(connections <= (chunks ? 3 : 1), `${connections} connections for ten`);
    }
  });

  test('a document that drips holds no more memory than its limit', async (t) => {
    const server = await rawServer(t, async (socket) => {
      socket.setNoDelay(true).write('HTTP/1.1 500 x\r\ncontent-length: 300\r\n\r\n');
      for (let i = 0; i < 300; i++) {
        socket.write('x');
        await turn();
        await turn();
      }
    });
    const got = await largeClientFor(t, server.url).request(request(server));
    const seen = new Set<ArrayBufferLike>();
    let chunks = 0;
    await got.each((chunk) => {
      chunks += 1;
      seen.add(chunk.buffer);
      return undefined;
    });
    assert.ok(chunks > 20, `${chunks} chunks`);
    assert.equal(seen.size, 1);
  });
});
