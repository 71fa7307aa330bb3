import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Something that waits for the end of a test. */
interface Lifetime {
  after(cleanup: () => void): void;
}

export interface HostileServer {
  url: string;
  host: string;
  /** Request lines so far. */
  requests: string[];
}

/** What a connection is answered: bytes as they go over the wire, for as long as there are any and it is open. */
export type Script = (request: string) => Iterable<string | Buffer> | AsyncIterable<string | Buffer>;

/** A server of raw bytes: says what no HTTP server would. */
export async function startHostile(t: Lifetime, script: Script): Promise<HostileServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    let head = '';
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      const request = head;
      head = '';
      requests.push(request.split('\r\n')[0] ?? '');
      void say(socket, script(request));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, requests };
}

async function say(socket: Socket, pieces: ReturnType<Script>): Promise<void> {
  for await (const piece of pieces) {
    if (socket.destroyed) return;
    const taken = socket.write(piece);
    // A loop that never waits would never see the connection end.
    if (taken) await new Promise((resolve) => setImmediate(resolve));
    else {
      await new Promise<void>((resolve) => {
        socket.once('drain', resolve);
        socket.once('close', resolve);
      });
    }
  }
}

const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const kib64 = ' '.repeat(65536);

/** Answers without an end, each in another part of HTTP. */
export const endless: Record<string, Script> = {
  *'headers without end'() {
    yield 'HTTP/1.1 200 OK\r\n';
    for (;;) yield `x-more: ${'y'.repeat(1000)}\r\n`;
  },
  *'thousands of small headers'() {
    yield 'HTTP/1.1 200 OK\r\n';
    for (let i = 0; i < 100_000; i++) yield `x${i}:1\r\n`;
    yield '\r\n';
  },
  *'one header without end'() {
    yield 'HTTP/1.1 200 OK\r\nx: ';
    for (;;) yield kib64;
  },
  *'provisional answers without end'() {
    for (;;) yield 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n';
  },
  *'a body without end'() {
    yield chunked;
    for (;;) yield `10000\r\n${kib64}\r\n`;
  },
  *'a body of 9 PB'() {
    yield 'HTTP/1.1 200 OK\r\ncontent-length: 9000000000000000\r\n\r\n';
    for (;;) yield kib64;
  },
  async *'a body that drips'() {
    yield chunked;
    for (;;) {
      yield '1\r\n \r\n';
      await delay(20);
    }
  },
  async *'headers that drip'() {
    yield 'HTTP/1.1 200 OK\r\nx: ';
    for (;;) {
      yield 'y';
      await delay(20);
    }
  },
  async *'a chunk extension that drips'() {
    yield `${chunked}1;`;
    for (;;) {
      yield 'y';
      await delay(20);
    }
  },
  *'trailers without end'() {
    yield `${chunked}1\r\n \r\n0\r\n`;
    for (;;) yield `x-more: ${'y'.repeat(1000)}\r\n`;
  },
  *'nothing at all'() {},
};

/** Most that a hostile answer may make the process grow by, in MiB: twice the largest document, and what the tests take. */
export function growth(): () => number {
  const before = process.memoryUsage().rss;
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 10).unref();
  return () => {
    clearInterval(timer);
    return (Math.max(most, process.memoryUsage().rss) - before) / 1024 / 1024;
  };
}
