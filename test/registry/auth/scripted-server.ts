import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { Agent } from 'undici';
import { HttpClient } from '../../../src/http/client.ts';
import { Authorizer, type AuthorizerOptions } from '../../../src/registry/auth/authorizer.ts';
import type { Credentials } from '../../../src/registry/auth/credentials.ts';
import { headerRecord, listen, readText } from '../../support/listen.ts';

/** A request as a server of a test saw it. */
export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  authorization: string | undefined;
  form: URLSearchParams;
}

export type Script = (seen: Seen, response: ServerResponse) => void | Promise<void>;

export interface ScriptedServer {
  url: string;
  seen: Seen[];
  /** What it answers from now on. */
  script: Script;
}

/** A server for one test that misbehaves as it is told, and remembers every request. */
export async function scriptedServer(t: TestContext, script: Script): Promise<ScriptedServer> {
  const server: ScriptedServer = { url: '', seen: [], script };
  const listener = await listen(async (incoming: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://x');
    const seen: Seen = {
      method: incoming.method ?? '',
      path: pathname,
      query: searchParams,
      authorization: headerRecord(incoming).authorization,
      form: new URLSearchParams(await readText(incoming)),
    };
    server.seen.push(seen);
    await server.script(seen, response);
  });
  t.after(() => listener.close());
  server.url = listener.url;
  return server;
}

/** Answers JSON. */
export function json(response: ServerResponse, document: unknown, status = 200, headers = {}): void {
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(typeof document === 'string' ? document : JSON.stringify(document));
}

/** Gives `token-1`, `token-2` and so on. */
export function counting(lifetime?: number): Script {
  let issued = 0;
  return (_seen, response) => {
    issued += 1;
    json(response, { token: `token-${issued}`, ...(lifetime === undefined ? {} : { expires_in: lifetime }) });
  };
}

export const anonymous: Credentials = { kind: 'anonymous', source: 'none found' };
export const ci: Credentials = { kind: 'basic', username: 'ci', password: 's3cret', source: 'the test' };
export const identity: Credentials = { kind: 'identity', token: 's3cret', username: '', source: 'the test' };

export function httpTo(t: TestContext, origin: string, stallMs = 10_000): HttpClient {
  return new HttpClient({ side: 'registry', dispatcher: agent(t), origin, stallMs, userAgent: 'test' });
}

export interface Requests {
  authorizer: Authorizer;
  /** Stands until it is moved (ms). */
  clock: { now: number };
  /** What the Authorizer gives one more request. */
  next(signal?: AbortSignal): Promise<SentRequest>;
}

export interface SentRequest {
  header: string | undefined;
  /** A 401 to it: whether it may be sent again. */
  refused(header: string | string[] | undefined): boolean;
}

/** Requests to `acme/model` of an http registry. */
export function requests(t: TestContext, options: Partial<AuthorizerOptions> = {}): Requests {
  const clock = { now: 1_000_000 };
  const authorizer = new Authorizer({
    registry: new URL('http://registry.test'),
    repository: 'acme/model',
    credentials: ci,
    dispatcher: agent(t),
    stallMs: 10_000,
    userAgent: 'test',
    now: () => clock.now,
    ...options,
  });
  return {
    authorizer,
    clock,
    async next(signal) {
      clock.now += 1;
      const sentAt = clock.now;
      const header = await authorizer.authorize(signal);
      return { header, refused: (challenge) => authorizer.challenged(challenge, sentAt) };
    },
  };
}

function agent(t: TestContext): Agent {
  const dispatcher = new Agent();
  t.after(() => dispatcher.destroy());
  return dispatcher;
}
