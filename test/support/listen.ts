import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What a server needs to speak TLS: PEM texts, see tls.ts. */
export interface ServerIdentity {
  key: string;
  cert: string;
}

export interface Listener {
  server: Server;
  port: number;
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  url: string;
  /** Cuts every open connection and closes the port, to listen there again after so many ms; never for `Infinity`. */
  down(ms: number): void;
  /** Cuts every open connection and frees the port. */
  close(): Promise<void>;
}

type Answering = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** An HTTP server on a free loopback port. A fault of the handler answers 500 with its text, so that a test shows it. */
export async function listen(answer: Answering, tls?: ServerIdentity): Promise<Listener> {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await answer(request, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'content-type': 'text/plain' }).end(`test server: ${error}`);
    }
  };
  const server = tls ? createTlsServer(tls, handle) : createServer(handle);
  // A stalled or throttled exchange is something tests do on purpose; the server's own clocks must not end it.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  let back: NodeJS.Timeout | undefined;
  return {
    server,
    port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    down(ms) {
      server.close();
      server.closeAllConnections();
      clearTimeout(back);
      if (Number.isFinite(ms)) back = setTimeout(() => server.listen(port, '127.0.0.1'), ms);
    },
    close: () =>
      new Promise((resolve) => {
        clearTimeout(back);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Header fields as one flat record of lower-case names. */
export function headerRecord(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries);
}

/** The whole body of a request, as text. */
export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
