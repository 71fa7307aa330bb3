import { type Dispatcher, request } from 'undici';
import { BoxcarError, printable, type RequestFacts, type Side } from '../errors.ts';
import { failureOf } from './failure.ts';
import { isTransientStatus, retryAfter } from './retry.ts';
import { StallWatch } from './stall.ts';

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
  /** The body; must be read or dropped with `discard`. Ends with an error when cut or when no byte comes for the stall limit. */
  body: AsyncIterable<Buffer>;
  discard(): Promise<void>;
  /** @throws BoxcarError when the body is longer than `limit` bytes: endless answers must not fill the memory. */
  bytes(limit: number): Promise<Buffer>;
}

export interface HttpClientOptions {
  side: 'hub' | 'registry';
  dispatcher: Dispatcher;
  /** The origin whose requests may carry credentials. Redirect targets elsewhere never get them. */
  origin: string;
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
    const headers: Record<string, string> = { 'user-agent': this.#options.userAgent, ...req.headers };
    if (req.url.origin === this.origin) {
      const authorization = await this.#options.authorize?.(req.url, req.signal);
      if (authorization !== undefined) headers.authorization = authorization;
    }
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
      });
      facts.status = answer.statusCode;
      return response(answer, facts, watch, (error) => failureOf(error, side, facts, req.signal));
    } catch (error) {
      watch.done();
      throw failureOf(watch.reasonFor(error), side, facts, req.signal);
    }
  }
}

function response(
  answer: Dispatcher.ResponseData,
  facts: RequestFacts,
  watch: StallWatch,
  failure: (error: unknown) => unknown,
): HttpResponse {
  async function* body(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of watch.receiving(answer.body)) yield chunk;
    } catch (error) {
      throw failure(watch.reasonFor(error));
    } finally {
      watch.done();
    }
  }
  return {
    status: answer.statusCode,
    headers: answer.headers,
    facts,
    body: { [Symbol.asyncIterator]: body },
    async discard() {
      watch.done();
      await answer.body.dump().catch(() => {});
    },
    async bytes(limit) {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of body()) {
        size += chunk.length;
        if (size > limit) throw failure(new Error(`the answer is longer than ${limit} bytes`));
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    },
  };
}

/** An answer that is not the one hoped for, as an error. Reads a bounded part of the body for the server's own words. */
export async function statusError(
  side: 'hub' | 'registry',
  answer: HttpResponse,
  what: string,
  options: Partial<ConstructorParameters<typeof BoxcarError>[1]> = {},
): Promise<BoxcarError> {
  answer.facts.answer ??= printable(await serverWords(answer));
  const after = retryAfter(answer.headers);
  return new BoxcarError(what, {
    code: side === 'hub' ? 'hub-failed' : 'registry-failed',
    side,
    request: answer.facts,
    transient: isTransientStatus(answer.status),
    ...(after === undefined ? {} : { retryAfterMs: after }),
    ...options,
  });
}

/** `CODE "message"` of a registry's error document (distribution-spec, "Error Codes"), `error` of the hub's, else the text. */
async function serverWords(answer: HttpResponse): Promise<string> {
  const fallback = header(answer.headers, 'x-error-message') ?? '';
  let text: string;
  try {
    text = (await answer.bytes(64 * 1024)).toString('utf8');
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
