import { once } from 'node:events';
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { type Fault, takeFault } from './faults.ts';
import { headerRecord, listen, type ServerIdentity } from './listen.ts';
import { createPace, pieceSize } from './pace.ts';

/** What can go wrong between a client and its registry. `after` counts bytes of the request's body. */
export type ProxyFault =
  /** The client's connection ends after so many bytes; the registry gets those, and then its end is cut, too. */
  | { kind: 'cut'; after: number }
  /** Nothing more is read after so many bytes, and both connections stay open. */
  | { kind: 'stall'; after: number }
  /** The registry never sees the request. `early`: the answer comes before the body was read, and then the connection ends. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string; early?: boolean }
  /** The registry does what it was asked to, and its answer is lost with the connection. */
  | { kind: 'lose-answer' }
  /** The registry's answer, worded differently; a field of null is left out. */
  | { kind: 'rewrite'; status?: number; headers?: Record<string, string | null> };

export interface ProxyRequest {
  method: string;
  /** Decoded, without query. */
  path: string;
  /** As sent. */
  url: string;
  headers: Record<string, string>;
  /** Bytes of its body that were taken from the client. */
  requestBytes: number;
  /** What the client was answered; 0 where it was not. */
  status: number;
}

export interface FaultProxy extends AsyncDisposable {
  url: string;
  host: string;
  faults: Fault<ProxyRequest, ProxyFault>[];
  requests: ProxyRequest[];
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** Bytes per second of each request's body. Default unlimited. */
  bytesPerSecond?: number;
  tls?: ServerIdentity;
}

/** A reverse proxy before a real registry (plain HTTP) that misbehaves on script and writes down how much work was done. */
export async function startFaultProxy(
  upstreamUrl: string,
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const listener = await listen(answer, options.tls);
  const close = async (): Promise<void> => {
    await listener.close();
    agent.destroy();
  };
  const proxy: FaultProxy = {
    url: listener.url,
    host: `127.0.0.1:${listener.port}`,
    faults: [],
    requests: [],
    close,
    [Symbol.asyncDispose]: close,
  };

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const log = requestOf(incoming);
    proxy.requests.push(log);
    const fault = takeFault(proxy.faults, log);
    if (fault?.kind === 'status') await refuse(incoming, response, log, fault);
    else await forward(incoming, response, log, fault);
  }

  async function forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    log: ProxyRequest,
    fault: ProxyFault | undefined,
  ): Promise<void> {
    // The client's Host field goes along, so that the registry's Locations lead back here.
    const { connection: _hop, ...headers } = incoming.headers;
    const upstream = httpRequest(new URL(log.url, upstreamUrl), { method: log.method, headers, agent });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve).once('error', reject);
    });
    // A registry may answer before it has read everything; that is relayed at once, as a proxy in the wild would.
    sendBody(incoming, upstream, log, fault, options.bytesPerSecond).catch(() => upstream.destroy());
    let reply: IncomingMessage;
    try {
      reply = await answered;
    } catch {
      response.destroy();
      return;
    }
    if (fault?.kind === 'lose-answer') {
      reply.resume();
      response.destroy();
      return;
    }
    relay(reply, response, log, fault);
  }

  return proxy;
}

function requestOf(incoming: IncomingMessage): ProxyRequest {
  const url = incoming.url ?? '/';
  const path = decodeURIComponent(url.split('?')[0] ?? '');
  const headers = headerRecord(incoming);
  return { method: incoming.method ?? '', path, url, headers, requestBytes: 0, status: 0 };
}

async function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  log: ProxyRequest,
  fault: ProxyFault & { kind: 'status' },
): Promise<void> {
  if (!fault.early) for await (const chunk of incoming) log.requestBytes += chunk.length;
  log.status = fault.status;
  response.writeHead(fault.status, { ...fault.headers, ...(fault.early && { connection: 'close' }) });
  response.end(fault.body ?? '');
}

async function sendBody(
  incoming: IncomingMessage,
  upstream: ClientRequest,
  log: ProxyRequest,
  fault: ProxyFault | undefined,
  bytesPerSecond: number | undefined,
): Promise<void> {
  const ends = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault : undefined;
  const pace = bytesPerSecond === undefined ? undefined : createPace(bytesPerSecond);
  const largest = pieceSize(bytesPerSecond, 1024 * 1024);
  for await (const chunk of incoming) {
    for (let start = 0; start < chunk.length; ) {
      const room = Math.min(largest, (ends?.after ?? Infinity) - log.requestBytes);
      const piece = (chunk as Buffer).subarray(start, start + room);
      await pace?.(piece.length);
      start += piece.length;
      log.requestBytes += piece.length;
      await written(upstream, piece);
      if (log.requestBytes !== ends?.after) continue;
      if (ends.kind === 'stall') await once(incoming.socket, 'close');
      incoming.socket.destroy();
      upstream.destroy();
      return;
    }
  }
  upstream.end();
}

/** Resolves when the bytes are the system's, so that a cut right after loses none of them. */
function written(upstream: ClientRequest, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    upstream.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

function relay(
  reply: IncomingMessage,
  response: ServerResponse,
  log: ProxyRequest,
  fault: ProxyFault | undefined,
): void {
  const rewrite = fault?.kind === 'rewrite' ? fault : undefined;
  log.status = rewrite?.status ?? reply.statusCode ?? 502;
  const { connection: _hop, ...headers } = reply.headers;
  const fields = Object.entries({ ...headers, ...rewrite?.headers }).filter(([, value]) => value !== null);
  response.writeHead(log.status, Object.fromEntries(fields) as Record<string, string>);
  reply.pipe(response);
}
