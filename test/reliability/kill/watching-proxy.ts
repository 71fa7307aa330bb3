import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen } from '../../support/listen.ts';

/** One request on its way through the proxy. */
export interface Exchange {
  method: string;
  /** Without query. */
  path: string;
  /** The digest that a closing PUT names. */
  digest: string | undefined;
  /** Bytes of its body that were taken from the client. */
  bytes: number;
  /** What the registry answered; 0 until it has. */
  status: number;
}

/** Called at the moments of an exchange; a promise holds it there. */
export interface Watch {
  arrived?(exchange: Exchange): Promise<void> | void;
  /** Bytes were taken from the client, and are passed on afterwards. */
  bytes?(exchange: Exchange): Promise<void> | void;
  /** The registry has acted, the client has not heard of it. */
  answered?(exchange: Exchange): Promise<void> | void;
  /** The client has its answer. */
  told?(exchange: Exchange): Promise<void> | void;
}

export interface WatchingProxy extends AsyncDisposable {
  url: string;
  host: string;
  exchanges: Exchange[];
  watch: Watch;
  /** Resolves when no exchange is under way any more. */
  quiet(): Promise<void>;
}

/** A reverse proxy before a real registry that does no harm of its own: it shows every moment at which a client can die. */
export async function startWatchingProxy(upstreamUrl: string): Promise<WatchingProxy> {
  const agent = new Agent({ keepAlive: true });
  const underWay = new Set<Promise<void>>();
  const listener = await listen((incoming, response) => {
    const exchange = forward(incoming, response).finally(() => underWay.delete(exchange));
    underWay.add(exchange);
    return exchange;
  });
  const proxy: WatchingProxy = {
    url: listener.url,
    host: `127.0.0.1:${listener.port}`,
    exchanges: [],
    watch: {},
    async quiet() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      agent.destroy();
    },
  };

  async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', upstreamUrl);
    const { method = '', headers } = incoming;
    const digest = url.searchParams.get('digest') ?? undefined;
    const exchange: Exchange = { method, path: url.pathname, digest, bytes: 0, status: 0 };
    proxy.exchanges.push(exchange);
    await proxy.watch.arrived?.(exchange);
    // The client's Host field goes along, so that the registry's Locations lead back here.
    const { connection: _hop, ...fieldsUp } = headers;
    const upstream = httpRequest(url, { method, headers: fieldsUp, agent });
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve).once('error', reject);
    });
    const passed = passOn(incoming, upstream, exchange).catch(() => {
      upstream.destroy();
    });
    try {
      const reply = await answer;
      exchange.status = reply.statusCode ?? 0;
      await proxy.watch.answered?.(exchange);
      const { connection: _other, ...fields } = reply.headers;
      response.writeHead(exchange.status, fields);
      reply.pipe(response);
      response.once('finish', () => void proxy.watch.told?.(exchange));
    } catch {
      response.destroy();
    }
    await passed;
  }

  /** What was taken from the client reaches the registry, even when the client's end is cut right after. */
  async function passOn(
    incoming: IncomingMessage,
    upstream: ReturnType<typeof httpRequest>,
    exchange: Exchange,
  ): Promise<void> {
    for await (const chunk of incoming) {
      exchange.bytes += chunk.length;
      await proxy.watch.bytes?.(exchange);
      await new Promise<void>((resolve, reject) => {
        upstream.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    upstream.end();
  }

  return proxy;
}
