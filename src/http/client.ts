import { type Dispatcher, request } from 'undici';
import { BoxcarError, type BoxcarErrorOptions, printable, type RequestFacts, type Side } from '../errors.ts';
import { keepAuthorization } from '../secrets.ts';
import { type Asked, byteResponse, failed, type HttpResponse, response } from './answer.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { ByteSockets } from './byte-sockets.ts';
import { AddressRefused, type NamedRequest } from './elsewhere.ts';
import { failureOf } from './failure.ts';
import type { Headers } from './message-head.ts';
import { isTransientStatus, retryAfter } from './retry.ts';
import { StallWatch } from './stall.ts';

/** Why something failed is worth so many ms. */
const wordsMs = 10_000;

export type { HttpResponse } from './answer.ts';
export type { Headers } from './message-head.ts';

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  url: URL;
  headers?: Record<string, string>;
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  signal?: AbortSignal | undefined;
  /** How long the server may think before it answers once it has the whole request, in ms. Default: the stall limit. */
  answerMs?: number;
  /** A large answer is hoped for: it is worth a connection that reads into the receiver's memory. */
  large?: boolean;
}

export interface HttpClientOptions {
  side: 'hub' | 'registry';
  dispatcher: Dispatcher;
  /** For large answers. */
  sockets?: ByteSockets | undefined;
  /** The origin whose requests may carry credentials. Redirect targets elsewhere never get them. */
  origin: string;
  /** The server that has named `origin`; left out where the user has. */
  namedBy?: string;
  /** Value of the Authorization header for a request to `origin`. */
  authorize?: (url: URL, signal?: AbortSignal) => Promise<string | undefined> | string | undefined;
  /** No byte in either direction for this long is a stall, in ms. */
  stallMs: number;
  /** Holds back what `HttpResponse.into` reads. The wait is ours, and no stall. */
  down?: Bandwidth | undefined;
  /** Holds back request bodies that are streams. */
  up?: Bandwidth | undefined;
  userAgent: string;
}

/**
 * Sends one request and gives one answer: no redirect is followed, no status is an error, nothing is retried.
 * What it does hold: credentials belong to one origin, and silence is an error.
 */
export class HttpClient {
  readonly side: Side;
  readonly origin: string;
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.side = options.side;
    this.origin = options.origin;
  }

  /** @throws BoxcarError of this side when no complete answer head came; `transient` unless it is certain to happen again. */
  async request(req: HttpRequest): Promise<HttpResponse> {
    const { side, stallMs, dispatcher, up } = this.#options;
    const facts: RequestFacts = { method: req.method, url: bareUrl(req.url) };
    const own = req.url.origin === this.origin;
    const namedBy = own ? this.#options.namedBy : (this.#options.namedBy ?? this.origin);
    if (!own && req.url.protocol === 'http:' && this.origin.startsWith('https:'))
      throw leavesTls(side, facts);
    const headers: Record<string, string> = { 'user-agent': this.#options.userAgent, ...req.headers };
    if (own) {
      const authorization = await this.#options.authorize?.(req.url, req.signal);
      if (authorization !== undefined) headers.authorization = authorization;
    }
    if (headers.authorization !== undefined) keepAuthorization(headers.authorization);
    const watch = new StallWatch(stallMs, req.signal);
    const asked: Asked = { facts, watch, side, signal: req.signal, stallMs, query: req.url.search };
    try {
      if (req.large && req.method === 'GET') {
        const found = await this.#options.sockets?.get(req.url, headers, namedBy, watch.waiting());
        if (found) {
          facts.status = found.head.status;
          return this.#heldBack(byteResponse(found, asked), req.signal);
        }
      }
      const stream = req.body instanceof Uint8Array ? undefined : req.body;
      const signal = watch.waiting(stream ? undefined : req.answerMs);
      const paced = stream && (up?.sending(stream, signal) ?? stream);
      const answer = await request(req.url, {
        method: req.method,
        headers,
        body: (paced ? watch.sending(paced, req.answerMs) : (req.body ?? null)) as Uint8Array | null,
        signal,
        dispatcher,
        ...((namedBy === undefined ? {} : { namedBy }) satisfies NamedRequest),
      });
      facts.status = answer.statusCode;
      return this.#heldBack(response(answer, asked), req.signal);
    } catch (error) {
      watch.done();
      if (error instanceof AddressRefused) throw reachesInside(side, facts, error);
      throw failureOf(watch.reasonFor(error), side, facts, req.signal);
    }
  }

  #heldBack(answer: HttpResponse, signal: AbortSignal | undefined): HttpResponse {
    const { down } = this.#options;
    return down ? { ...answer, into: (sink) => answer.into(down.reading(sink, signal)) } : answer;
  }
}

function leavesTls(side: 'hub' | 'registry', request: RequestFacts): BoxcarError {
  return failed(side, request, `the ${side} is https and names an address of http, which is not followed`, {
    hint: 'does it know its own address (its external URL)?',
  });
}

function reachesInside(side: 'hub' | 'registry', request: RequestFacts, cause: AddressRefused): BoxcarError {
  return failed(side, request, `the ${side} names an address that is not followed: ${cause.message}`, {
    hint: 'a server may send us to addresses as public as its own; docs/threat-model.md says more',
    cause,
  });
}

const notFollowed = 'a redirect is not followed that leads nowhere, out of https, or is one of too many';

export function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** An answer that is not the one hoped for, as an error. Reads a bounded part of the body for the server's own words. */
export async function statusError(
  side: 'hub' | 'registry',
  answer: HttpResponse,
  what: string,
  options: Partial<BoxcarErrorOptions> = {},
): Promise<BoxcarError> {
  answer.facts.answer ??= printable(answer.discreet(await serverWords(answer)));
  const after = retryAfter(answer.headers);
  return new BoxcarError(what, {
    code: side === 'hub' ? 'hub-failed' : 'registry-failed',
    side,
    request: answer.facts,
    transient: isTransientStatus(answer.status),
    ...(isRedirect(answer.status) ? { hint: notFollowed } : {}),
    ...(after === undefined ? {} : { retryAfterMs: after }),
    ...options,
  });
}

/** `CODE "message"` of a registry's error document (distribution-spec, "Error Codes"), `error` of the hub's, else the text. */
async function serverWords(answer: HttpResponse): Promise<string> {
  const fallback = header(answer.headers, 'x-error-message') ?? '';
  let text: string;
  try {
    text = (await answer.bytes(64 * 1024, wordsMs)).toString('utf8');
  } catch {
    return fallback;
  }
  try {
    const document = JSON.parse(text) as {
      errors?: { code?: unknown; message?: unknown }[];
      error?: unknown;
    };
    const first = document.errors?.[0];
    if (first) return `${String(first.code ?? '')} "${String(first.message ?? '')}"`.trim();
    if (typeof document.error === 'string') return document.error;
  } catch {
    // Not JSON: a proxy's page or plain text.
  }
  return fallback || text.replace(/<[^>]*>/g, ' ');
}

/** The one value of a header, the first where it was sent more than once. */
export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** A URL that can be shown: signed queries, userinfo and fragments are secrets. */
export function bareUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
