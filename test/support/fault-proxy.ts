import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { refuse, relay } from './fault-proxy/answer.ts';
import type { ProxyFault } from './fault-proxy/faults.ts';
import { sendBody } from './fault-proxy/request-body.ts';
import { type Fault, takeFault } from './faults.ts';
import { reset } from './hub/transmit.ts';
import { headerRecord, listen, type ServerIdentity } from './listen.ts';

export type { ProxyFault } from './fault-proxy/faults.ts';

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
  /** Done to the header fields of every answer of the registry. */
  rewriteHeaders: (headers: Record<string, string>) => Record<string, string>;
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** Bytes per second of each request's body. Default unlimited. */
  bytesPerSecond?: number;
  tls?: ServerIdentity;
  /** What every request reaches the registry with, whatever the client sent. */
  addHeaders?: () => Record<string, string>;
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
    rewriteHeaders: (headers) => headers,
    close,
    [Symbol.asyncDispose]: close,
  };

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const log = requestOf(incoming);
    proxy.requests.push(log);
    const fault = takeFault(proxy.faults, log);
    switch (fault?.kind) {
      case 'status':
        return refuse(incoming, response, log, fault);
      case 'down':
        listener.down(fault.ms);
        return;
      case 'reset':
        return reset(incoming.socket);
      case 'hold':
        return;
      case 'garbage':
        incoming.socket.end('220 mail.example.com ESMTP ready\r\n');
        return;
      default:
        return forward(incoming, response, log, fault);
    }
  }

  async function forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    log: ProxyRequest,
    fault: ProxyFault | undefined,
  ): Promise<void> {
    // The client's Host field goes along, so that the registry's Locations lead back here.
    const { connection: _hop, ...headers } = incoming.headers;
    const scheme = options.tls && { 'x-forwarded-proto': 'https' };
    const upstream = httpRequest(new URL(log.url, upstreamUrl), {
      method: log.method,
      headers: { ...headers, ...scheme, ...options.addHeaders?.() },
      agent,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve).once('error', reject);
    });
    // A registry may answer before it has read everything; that is relayed at once, as a proxy in the wild would.
    sendBody(incoming, upstream, log, fault, options.bytesPerSecond).catch(() => {
      upstream.destroy();
      // It answered before it had everything: the rest is dropped, or the connection would stand still.
      incoming.resume();
    });
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
    await relay(reply, response, log, fault, proxy.rewriteHeaders);
  }

  return proxy;
}

function requestOf(incoming: IncomingMessage): ProxyRequest {
  const url = incoming.url ?? '/';
  const path = decodeURIComponent(url.split('?')[0] ?? '');
  const headers = headerRecord(incoming);
  return { method: incoming.method ?? '', path, url, headers, requestBytes: 0, status: 0 };
}
