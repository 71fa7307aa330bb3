import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { Dispatcher } from 'undici';
import type { ByteSockets } from '../../src/http/byte-sockets.ts';
import { HttpClient, type HttpClientOptions } from '../../src/http/client.ts';
import { createByteSockets, createDispatcher } from '../../src/http/dispatcher.ts';
import type { Elsewhere, Lookup } from '../../src/http/elsewhere.ts';
import { type Listener, listen } from '../support/listen.ts';

/** A dispatcher for one test, with that environment and no other. */
export function dispatcherFor(t: TestContext, env: NodeJS.ProcessEnv = {}, lookup?: Lookup): Elsewhere {
  const dispatcher = createDispatcher(env, lookup);
  t.after(() => dispatcher.destroy());
  return dispatcher;
}

/** Connections for large answers, for one test. */
export function socketsFor(
  t: TestContext,
  env: NodeJS.ProcessEnv = {},
  dispatcher = dispatcherFor(t, env),
): ByteSockets {
  const sockets = createByteSockets(env, dispatcher);
  if (!sockets) throw new Error('there is a proxy');
  t.after(() => sockets.destroy());
  return sockets;
}

/** A way that must not be taken. */
export class NoDispatcher extends Dispatcher {
  override dispatch(_options: unknown, handler: Dispatcher.DispatchHandler): boolean {
    handler.onResponseError?.(undefined as never, new Error('undici was asked'));
    return true;
  }
}

type Options = Partial<HttpClientOptions> & { env?: NodeJS.ProcessEnv };

export function clientFor(
  t: TestContext,
  origin: string,
  { env = {}, ...options }: Options = {},
): HttpClient {
  return new HttpClient({
    side: 'hub',
    dispatcher: options.dispatcher ?? dispatcherFor(t, env),
    origin,
    stallMs: 10_000,
    userAgent: 'boxcar-test',
    ...options,
  });
}

export type Client = Pick<HttpClient, 'request'>;

/** Every GET of it is for a large answer, and goes over connections of our own; without `fallback` by no other way. */
export function largeClientFor(
  t: TestContext,
  origin: string,
  { env = {}, fallback = false, ...options }: Options & { fallback?: boolean } = {},
): Client {
  const sockets = socketsFor(t, env);
  const http = clientFor(t, origin, {
    sockets,
    ...(fallback ? { env } : { dispatcher: new NoDispatcher() }),
    ...options,
  });
  return { request: (req) => http.request({ ...req, large: true }) };
}

/** Both ways of a GET, which must not differ. */
export const ways = { undici: clientFor, 'connections of our own': largeClientFor };

export type Answering = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A server for one test. */
export async function serve(t: TestContext, answer: Answering): Promise<Listener> {
  const listener = await listen(answer);
  t.after(() => listener.close());
  return listener;
}
