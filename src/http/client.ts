import { type Dispatcher, request } from 'undici';
import { BoxcarError, type BoxcarErrorOptions, printable, type RequestFacts, type Side } from '../errors.ts';
import { blanked, keepAuthorization, withoutSecrets } from '../secrets.ts';
import { AddressRefused, type NamedRequest } from './elsewhere.ts';
import { failureOf } from './failure.ts';
import { isTransientStatus, retryAfter } from './retry.ts';
import { StallWatch } from './stall.ts';

/** Stall limits that a document may take in all, two minutes by default: the largest has 16 MiB. */
const documentStalls = 4;
/** Why something failed is worth so many ms. */
const wordsMs = 10_000;
/** Values in a query from this length on may be signatures. */
const signatureLength = 16;

export type Headers = Record<string, string | string[] | undefined>;

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  url: URL;
  headers?: Record<string, string>;
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  signal?: AbortSignal | undefined;
  /** How long the server may think before it answers once it has the whole request, in ms. Default: the stall limit. */
  answerMs?: number;
}

export interface HttpResponse {
  status: number;
  headers: Headers;
  facts: RequestFacts;
  /**
   * Gives the body chunk by chunk; a promise that `onChunk` returns holds the rest back, `false` ends it early. Events
   * instead of iteration: half of the cost of reading.
   * @throws BoxcarError when the body is cut, or no byte comes for the stall limit; whatever `onChunk` throws.
   */
  each(onChunk: (chunk: Buffer) => Promise<void> | false | undefined): Promise<void>;
  /** Drops the body, which must be read or dropped. */
  discard(): Promise<void>;
  /**
   * The whole of a small document.
   * @param withinMs default: {@link documentStalls} times the stall limit.
   * @throws BoxcarError when it is longer than `limit` bytes, or takes longer than that: an endless answer must fill
   * neither the memory nor the day, however steadily it drips.
   */
  bytes(limit: number, withinMs?: number): Promise<Buffer>;
  /** The server's words as they may be shown: without secrets, and without the signed query that was asked with. */
  discreet(text: string): string;
}

export interface HttpClientOptions {
  side: 'hub' | 'registry';
  dispatcher: Dispatcher;
  /** The origin whose requests may carry credentials. Redirect targets elsewhere never get them. */
  origin: string;
  /** The server that has named `origin`; left out where the user has. */
  namedBy?: string;
  /** Value of the Authorization header for a request to `origin`. */
  authorize?: (url: URL, signal?: AbortSignal) => Promise<string | undefined> | string | undefined;
  /** No byte in either direction for this long is a stall, in ms. */
  stallMs: number;
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
    const { side, stallMs, dispatcher } = this.#options;
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
    try {
      const answer = await request(req.url, {
        method: req.method,
        headers,
        body: (req.body instanceof Uint8Array || !req.body
          ? (req.body ?? null)
          : watch.sending(req.body, req.answerMs)) as Uint8Array | null,
        signal: watch.waiting(req.body instanceof Uint8Array || !req.body ? req.answerMs : undefined),
        dispatcher,
        ...((namedBy === undefined ? {} : { namedBy }) satisfies NamedRequest),
      });
      facts.status = answer.statusCode;
      const documentMs = documentStalls * stallMs;
      return response(answer, facts, { watch, side, signal: req.signal, documentMs, query: req.url.search });
    } catch (error) {
      watch.done();
      if (error instanceof AddressRefused) throw reachesInside(side, facts, error);
      throw failureOf(watch.reasonFor(error), side, facts, req.signal);
    }
  }
}

interface Asked {
  watch: StallWatch;
  side: 'hub' | 'registry';
  signal: AbortSignal | undefined;
  documentMs: number;
  /** Of the URL. */
  query: string;
}

function response(
  answer: Dispatcher.ResponseData,
  facts: RequestFacts,
  { watch, side, signal, documentMs, query }: Asked,
): HttpResponse {
  const { body } = answer;
  const failure = (error: unknown) => failureOf(watch.reasonFor(error), side, facts, signal);
  const each: HttpResponse['each'] = async (onChunk) => {
    let held: Promise<void> | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const take = (chunk: Buffer) => {
          watch.progress();
          const goOn = onChunk(chunk);
          if (goOn === false) return resolve();
          if (!goOn) return;
          body.pause();
          watch.pause();
          held = goOn.then(() => {
            watch.progress();
            body.resume();
          });
          held.catch(reject);
        };
        // No event would come any more: it broke, or was dropped.
        if (body.errored) throw failure(body.errored);
        if (body.closed) return resolve();
        watch.progress();
        body.on('error', (error) => reject(failure(error)));
        body.on('end', resolve);
        body.on('data', (chunk: Buffer) => {
          try {
            take(chunk);
          } catch (error) {
            reject(error);
          }
        });
      });
      await held;
    } finally {
      watch.done();
      body.destroy();
    }
  };
  return {
    status: answer.statusCode,
    headers: answer.headers,
    facts,
    each,
    async discard() {
      // Read, so that its connection can be used again; an answer that goes on or stands still is cut instead.
      watch.progress();
      await body.dump().catch(() => {});
      watch.done();
    },
    async bytes(limit, withinMs = documentMs) {
      const chunks: Buffer[] = [];
      let size = 0;
      const until = performance.now() + withinMs;
      await each((chunk) => {
        size += chunk.length;
        if (size > limit) throw failed(side, facts, `the ${side}'s answer is longer than ${limit} bytes`);
        // Looked at when bytes come: where none come any more it is a stall.
        if (performance.now() > until) throw drips(side, facts, withinMs);
        chunks.push(chunk);
        return undefined;
      });
      return Buffer.concat(chunks);
    },
    discreet: (text) => discreet(text, query),
  };
}

function failed(
  side: 'hub' | 'registry',
  request: RequestFacts,
  message: string,
  options: Partial<BoxcarErrorOptions> = {},
): BoxcarError {
  const code = side === 'hub' ? 'hub-failed' : 'registry-failed';
  return new BoxcarError(message, { code, side, request, ...options });
}

function drips(side: 'hub' | 'registry', request: RequestFacts, ms: number): BoxcarError {
  return failed(side, request, `the ${side}'s answer was not complete after ${Math.round(ms / 1000)} s`, {
    transient: true,
  });
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

/**
 * Without the secrets of this process, what follows the `?` of any URL, logins in URLs, and the values of the query
 * that was asked with: object stores quote the signature that they refuse. What has a colon (a digest, a scope) is none.
 */
function discreet(text: string, query: string): string {
  const values = [...new URLSearchParams(query)]
    .map(([, value]) => value)
    .filter((value) => value.length >= signatureLength && !value.includes(':'));
  const raw = query
    .split(/[?&=]/)
    .filter((value) => value.length >= signatureLength && !/:|%3a/i.test(value));
  return blanked(withoutSecrets(text), [...values, ...raw])
    .replace(/(https?:\/\/)[^\s/@"'<>]*@/gi, '$1')
    .replace(/(https?:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/gi, '$1?***');
}

/** A URL that can be shown: signed queries, userinfo and fragments are secrets. */
export function bareUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
