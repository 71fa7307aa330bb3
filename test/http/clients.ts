import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import type { Dispatcher } from 'undici';
import { HttpClient, type HttpClientOptions } from '../../src/http/client.ts';
import { createDispatcher } from '../../src/http/dispatcher.ts';
import { type Listener, listen } from '../support/listen.ts';

/** A dispatcher for one test, with that environment and no other. */
export function dispatcherFor(t: TestContext, env: NodeJS.ProcessEnv = {}): Dispatcher {
  const dispatcher = createDispatcher(env);
  t.after(() => dispatcher.destroy());
  return dispatcher;
}

export function clientFor(
  t: TestContext,
  origin: string,
  { env = {}, ...options }: Partial<HttpClientOptions> & { env?: NodeJS.ProcessEnv } = {},
): HttpClient {
  return new HttpClient({
    side: 'hub',
    dispatcher: dispatcherFor(t, env),
    origin,
    stallMs: 10_000,
    userAgent: 'boxcar-test',
    ...options,
  });
}

export type Answering = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A server for one test. */
export async function serve(t: TestContext, answer: Answering): Promise<Listener> {
  const listener = await listen(answer);
  t.after(() => listener.close());
  return listener;
}
