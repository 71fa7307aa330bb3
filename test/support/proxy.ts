import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { headerRecord, listen } from './listen.ts';

export interface ProxiedRequest {
  /** `CONNECT`, or the method of a request in absolute form. */
  method: string;
  /** `host:port` of a CONNECT, the whole URL otherwise. */
  target: string;
  headers: Record<string, string>;
  status: number;
}

export interface ForwardProxy extends AsyncDisposable {
  /** What HTTPS_PROXY and HTTP_PROXY are set to; without the credentials it may demand. */
  url: string;
  requests: ProxiedRequest[];
  close(): Promise<void>;
}

/** A forward proxy that does its work and writes down for whom. `credentials` (`user:password`): others get 407. */
export async function startProxy(options: { credentials?: string } = {}): Promise<ForwardProxy> {
  const demanded = options.credentials && `Basic ${Buffer.from(options.credentials).toString('base64')}`;
  const requests: ProxiedRequest[] = [];
  const tunnels = new Set<Duplex>();
  const listener = await listen(forward);
  listener.server.on('connect', (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
    const log = record(incoming);
    if (refused(incoming)) {
      log.status = 407;
      client.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm="test"\r\n\r\n',
      );
      return;
    }
    const { hostname, port } = new URL(`http://${incoming.url}`);
    const upstream: Socket = connect(Number(port || 80), hostname, () => {
      log.status = 200;
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      // Each side's end is the other's; how it ended is for the two to tell each other.
      pipeline(client, upstream, client).catch(() => {});
    });
    upstream.once('error', () => client.destroy());
    client.once('error', () => upstream.destroy());
    for (const socket of [client, upstream]) {
      tunnels.add(socket);
      socket.once('close', () => tunnels.delete(socket));
    }
  });

  function record(incoming: IncomingMessage): ProxiedRequest {
    const headers = headerRecord(incoming);
    const entry = { method: incoming.method ?? '', target: incoming.url ?? '', headers, status: 0 };
    requests.push(entry);
    return entry;
  }

  function refused(incoming: IncomingMessage): boolean {
    return demanded !== undefined && incoming.headers['proxy-authorization'] !== demanded;
  }

  async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const log = record(incoming);
    log.status = refused(incoming) ? 407 : /^http:/.test(log.target) ? 0 : 400;
    if (log.status !== 0) {
      response.writeHead(log.status).end();
      return;
    }
    const {
      'proxy-authorization': _credentials,
      'proxy-connection': _connection,
      ...headers
    } = incoming.headers;
    const upstream = httpRequest(log.target, { method: log.method, headers });
    upstream.once('response', (answer) => {
      log.status = answer.statusCode ?? 0;
      response.writeHead(log.status, answer.headers);
      pipeline(answer, response).catch(() => response.destroy());
    });
    await pipeline(incoming, upstream);
  }

  const close = async (): Promise<void> => {
    for (const socket of tunnels) socket.destroy();
    await listener.close();
  };
  return { url: listener.url, requests, close, [Symbol.asyncDispose]: close };
}
