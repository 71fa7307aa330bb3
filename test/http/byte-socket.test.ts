import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ByteSink } from '../../src/http/byte-socket.ts';
import type { ByteAnswer, ByteSockets } from '../../src/http/byte-sockets.ts';
import type { ServerIdentity } from '../support/listen.ts';
import { needsOpenssl, temporaryAuthority } from '../support/tls.ts';
import { socketsFor } from './clients.ts';
import { answer, type RawServer, rawServer, type Saying } from './raw-server.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

interface Scripted {
  server: RawServer;
  sockets: ByteSockets;
  get(path?: string, signal?: AbortSignal): Promise<ByteAnswer>;
}

async function scripted(t: TestContext, say: Saying, identity?: ServerIdentity): Promise<Scripted> {
  const server = await rawServer(t, say, identity);
  const sockets = socketsFor(t, identity ? { SSL_CERT_FILE: (await temporaryAuthority()).caFile } : {});
  const get = async (path = '/', signal = never) => {
    const got = await sockets.get(new URL(path, server.url), {}, undefined, signal);
    return got ?? assert.fail('not understood');
  };
  return { server, sockets, get };
}

/** Takes all, in memory of so many bytes at a time. */
function collecting(size = 10_000): ByteSink & { bytes: () => Buffer } {
  const taken: Buffer[] = [];
  let memory: Buffer = Buffer.alloc(0);
  return {
    room() {
      memory = Buffer.alloc(size);
      return memory;
    },
    took(bytes) {
      taken.push(memory.subarray(0, bytes));
      return undefined;
    },
    bytes: () => Buffer.concat(taken),
  };
}

async function bodyOf({ socket }: ByteAnswer, size?: number): Promise<string> {
  const sink = collecting(size);
  await socket.read(sink);
  return sink.bytes().toString();
}

test('a head that comes byte by byte, and the body with its end', async (t) => {
  const { get } = await scripted(t, async (socket) => {
    socket.setNoDelay(true);
    for (const byte of answer('abcdef', 'x-a: b\r\n')) {
      socket.write(Buffer.of(byte));
      await turn();
    }
  });
  const got = await get();
  assert.deepEqual({ ...got.head.headers }, { 'x-a': 'b', 'content-length': '6' });
  assert.equal(await bodyOf(got, 1), 'abcdef');
});

test('an answer without a body', async (t) => {
  const { get, server } = await scripted(t, (socket) => socket.write(answer('')));
  for (let i = 0; i < 3; i++) assert.equal(await bodyOf(await get()), '');
  assert.equal(server.connections(), 1);
});

test('nothing is read before there is a reader, nor while it is held', async (t) => {
  const body = Buffer.alloc(64 * 1024 * 1024);
  let written = 0;
  const { get } = await scripted(t, async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
    for (let at = 0; at < body.length; at += 65_536)
      socket.write(body.subarray(at, at + 65_536), () => {
        written += 65_536;
      });
  });
  const settled = async () => {
    for (let before = -1, same = 0; same < 20; before = written) {
      await turn();
      same = before === written ? same + 1 : 0;
    }
    return written;
  };
  const { socket } = await get();
  const unread = await settled();
  assert.ok(unread < body.length / 2, `${unread} bytes were read by nobody`);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  let taken = 0;
  const memory = Buffer.alloc(65_536);
  const read = socket.read({
    room: () => memory,
    took(bytes) {
      taken += bytes;
      return taken > 1_000_000 ? held : undefined;
    },
  });
  const paused = await settled();
  assert.ok(taken < 1_200_000 && paused < body.length / 2, `${taken} taken, ${paused} read while held`);
  release();
  await read;
  assert.equal(taken, body.length);
});

test('an end before the promised one is told, whoever reads or waits', async (t) => {
  const closed = { code: 'UND_ERR_SOCKET', message: 'other side closed' };
  const { get } = await scripted(t, (socket, request) => {
    if (request.includes('/head')) socket.end('HTTP/1.1 200 OK\r\ncontent-le');
    else socket.end(answer('abc').toString().replace('length: 3', 'length: 4'));
  });
  await assert.rejects(get('/head'), closed);
  await assert.rejects(bodyOf(await get()), closed);
  const { socket } = await get();
  for (let i = 0; i < 20; i++) await turn();
  await assert.rejects(socket.read(collecting()), closed);
});

test('more bytes than were promised are nobody’s, and no answer to what is asked next', async (t) => {
  const evil = answer('evil');
  const long = 'x'.repeat(200_000);
  const sayings: Record<string, (socket: Socket) => void> = {
    '/at-once': (socket) => socket.write(Buffer.concat([answer('good'), evil])),
    '/behind': (socket) => socket.write(Buffer.concat([answer(long), evil])),
    '/later': (socket) => socket.write(answer('good'), () => setImmediate(() => socket.write(evil))),
  };
  for (const [path, say] of Object.entries(sayings)) {
    const { get, server } = await scripted(t, (socket, request) => say(socket as Socket & typeof request));
    for (let i = 0; i < 5; i++) {
      const body = await bodyOf(await get(path), 1e6);
      assert.equal(body, path === '/behind' ? long : 'good', path);
      // What is still on its way when the next request is sent nobody can tell from its answer.
      if (path === '/later') for (let turns = 0; turns < 50; turns++) await turn();
    }
    assert.equal(server.connections(), 5, path);
  }
});

test('bytes that nobody has asked for', async (t) => {
  const { get, server } = await scripted(t, (socket) => socket.write(answer('good')));
  await bodyOf(await get());
  for (const kept of server.open) kept.write(answer('evil'));
  for (let i = 0; i < 50; i++) await turn();
  assert.equal(await bodyOf(await get()), 'good');
  assert.equal(server.connections(), 2);
});

describe('a sink', () => {
  const scriptedLong = (t: TestContext) => scripted(t, (socket) => socket.write(answer('x'.repeat(500_000))));

  test('that wants no more ends it, and the connection with it', async (t) => {
    const { get, server } = await scriptedLong(t);
    const { socket } = await get();
    let taken = 0;
    await socket.read({
      room: () => (taken < 1000 ? Buffer.alloc(1000) : undefined),
      took(bytes) {
        taken += bytes;
        return undefined;
      },
    });
    assert.equal(taken, 1000);
    assert.equal(socket.isOpen, false);
    await bodyOf(await get());
    assert.equal(server.connections(), 2);
  });

  test('that throws, at once or later, hears of itself', async (t) => {
    const mine = new Error('mine');
    const throws = (): never => {
      throw mine;
    };
    const later = () => turn().then(throws);
    const room = () => Buffer.alloc(1000);
    const { get } = await scriptedLong(t);
    let calls = 0;
    const sinks: ByteSink[] = [
      { room: throws, took: throws },
      { room, took: throws },
      { room, took: later },
      // Not from within `read`, but from within the socket's own call.
      { room: () => (calls++ > 200 ? throws() : room()), took: () => undefined },
    ];
    for (const sink of sinks)
      await assert.rejects((await get()).socket.read(sink), (error) => error === mine);
    const { get: getSmall } = await scripted(t, (socket) => socket.write(answer('abc')));
    await assert.rejects((await getSmall()).socket.read({ room, took: later }), (error) => error === mine);
  });

  test('that is stopped while it holds is asked nothing more', async (t) => {
    const { get } = await scriptedLong(t);
    const abort = new AbortController();
    const reason = new Error('stopped');
    const { socket } = await get('/', abort.signal);
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    let calls = 0;
    const read = socket.read({
      room: () => Buffer.alloc(1000),
      took() {
        calls += 1;
        return held;
      },
    });
    abort.abort(reason);
    await assert.rejects(read, (error) => error === reason);
    release();
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(calls, 1);
  });
});

test('a reader that holds the end of its answer keeps no connection, and frees no other reader', async (t) => {
  const { get, server } = await scripted(t, (socket) => socket.write(answer('x'.repeat(10_000))));
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const taken: number[] = [];
  const reads = [];
  for (const [size, { promise }] of [
    [10_000, first],
    [1000, second],
  ] as const) {
    const { socket } = await get();
    reads.push(
      socket.read({
        room: () => Buffer.alloc(size),
        took(bytes) {
          taken.push(bytes);
          return promise;
        },
      }),
    );
    for (let i = 0; i < 5; i++) await turn();
  }
  assert.equal(server.connections(), 1);
  first.resolve();
  await reads[0];
  assert.deepEqual(taken, [10_000, 1000]);
  second.resolve();
  await reads[1];
  assert.equal(taken.length, 11);
});

describe('TLS', () => {
  /** As TLS servers may: a record for each piece. */
  const inRecords =
    (size: number, say: Saying): Saying =>
    (socket, request) => {
      (socket as TLSSocket).setMaxSendFragment(size);
      return say(socket, request);
    };

  test('gives what it has decrypted though nobody reads: it is kept, in order', needsOpenssl, async (t) => {
    const { server: identity } = await temporaryAuthority();
    const body = Buffer.from(Array.from({ length: 400_000 }, (_, i) => i % 251));
    const { get, server } = await scripted(
      t,
      inRecords(512, (socket) => socket.write(answer(body))),
      identity,
    );
    for (let round = 0; round < 3; round++) {
      const { socket } = await get();
      await turn();
      let holding = false;
      const taken: Buffer[] = [];
      let memory: Buffer = Buffer.alloc(0);
      await socket.read({
        room() {
          memory = Buffer.alloc(700);
          return memory;
        },
        took(bytes) {
          assert.ok(!holding, 'it was asked to wait');
          taken.push(memory.subarray(0, bytes));
          if (taken.length % 7 !== 0) return undefined;
          holding = true;
          return turn().then(() => {
            holding = false;
          });
        },
      });
      assert.ok(Buffer.concat(taken).equals(body));
    }
    assert.equal(server.connections(), 1);
  });

  test(
    'writes nothing into the memory of a reader that was stopped, from that on',
    needsOpenssl,
    async (t) => {
      const { server: identity } = await temporaryAuthority();
      const body = Buffer.alloc(400_000, 1);
      const { get } = await scripted(
        t,
        inRecords(512, (socket) => socket.write(answer(body))),
        identity,
      );
      const stops: ((abort: AbortController) => void)[] = [
        (abort) => abort.abort(),
        // Between two records that were decrypted together.
        (abort) => queueMicrotask(() => abort.abort()),
        () => assert.fail('mine'),
      ];
      for (const stop of stops) {
        const abort = new AbortController();
        const { socket } = await get('/', abort.signal);
        const memory = Buffer.alloc(body.length + 1);
        let at = 0;
        await assert.rejects(
          socket.read({
            room: () => memory.subarray(at),
            took(bytes) {
              at += bytes;
              if (at > 200_000) stop(abort);
              return undefined;
            },
          }),
        );
        memory.fill(2);
        for (let i = 0; i < 10; i++) await turn();
        assert.ok(!memory.includes(1));
      }
    },
  );

  test('is asked for the name, and for HTTP/1.1 alone', needsOpenssl, async (t) => {
    const { server: identity } = await temporaryAuthority();
    const asked: unknown[] = [];
    const { server, sockets, get } = await scripted(
      t,
      (socket) => {
        const { servername, alpnProtocol } = socket as TLSSocket & { servername: unknown };
        asked.push([servername, alpnProtocol]);
        socket.write(answer('good'));
      },
      { ...identity, ALPNProtocols: ['h2', 'http/1.1'] } as ServerIdentity,
    );
    await bodyOf(await get());
    const byName = new URL(server.url.replace('127.0.0.1', 'localhost'));
    const got = await sockets.get(byName, {}, undefined, never);
    await bodyOf(got ?? assert.fail('not understood'));
    assert.deepEqual(asked, [
      [false, 'http/1.1'],
      ['localhost', 'http/1.1'],
    ]);
  });

  test(
    'that ends behind an answer is told before that was read: all the same it is',
    needsOpenssl,
    async (t) => {
      const { server: identity } = await temporaryAuthority();
      const body = 'abc'.repeat(3000);
      const { get, server } = await scripted(
        t,
        inRecords(512, (socket) => socket.end(answer(body))),
        identity,
      );
      const got = await get();
      while (server.open.size > 0) await turn();
      for (let i = 0; i < 20; i++) await turn();
      assert.equal(await bodyOf(got, 100), body);
      assert.equal(await bodyOf(await get()), body);
      assert.equal(server.connections(), 2);
    },
  );
});
