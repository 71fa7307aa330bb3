import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { ServerIdentity } from '../support/listen.ts';

export interface RawServer {
  url: string;
  /** Connections so far. */
  connections: () => number;
  /** Those that are open. */
  open: Set<Socket>;
  /** Heads of requests so far. */
  requests: string[];
}

/** What is said to a request, of which its head is given. */
export type Saying = (socket: Socket, request: string) => unknown;

/** A server for one test that writes what it likes to its connections. */
export async function rawServer(t: TestContext, say: Saying, tls?: ServerIdentity): Promise<RawServer> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const listener = (socket: Socket): void => {
    connections += 1;
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    let head = '';
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      for (let end = head.indexOf('\r\n\r\n'); end >= 0; end = head.indexOf('\r\n\r\n')) {
        const request = head.slice(0, end);
        head = head.slice(end + 4);
        requests.push(request);
        void say(socket, request);
      }
    });
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    connections: () => connections,
    open,
    requests,
  };
}

/** An answer with a length. */
export function answer(body: string | Buffer, head = ''): Buffer {
  const length = Buffer.byteLength(body);
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\n${head}content-length: ${length}\r\n\r\n`),
    Buffer.from(body),
  ]);
}
