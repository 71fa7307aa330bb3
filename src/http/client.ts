import { type Dispatcher, request } from 'undici';
import { BoxcarError, type BoxcarErrorOptions, printable, type RequestFacts, type Side } from '../errors.ts';
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
  /**
   * Gives the body chunk by chunk; a promise that `onChunk` returns holds the rest back, `false` ends it early. Events
   * instead of iteration: half of the cost of reading.
   * @throws BoxcarError when the body is cut, or no byte comes for the stall limit; whatever `onChunk` throws.
   */
  each(onChunk: (chunk: Buffer) => Promise<void> | false | undefined): Promise<void>;
  /** Drops the body, which must be read or dropped. */
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
      return response(answer, facts, watch, side, req.signal);
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
  side: 'hub' | 'registry',
  signal: AbortSignal | undefined,
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
    async bytes(limit) {
      const chunks: Buffer[] = [];
      let size = 0;
      await each((chunk) => {
        size += chunk.length;
        if (size > limit) throw tooLong(side, facts, limit);
        chunks.push(chunk);
        return undefined;
      });
      return Buffer.concat(chunks);
    },
  };
}

function tooLong(side: 'hub' | 'registry', request: RequestFacts, limit: number): BoxcarError {
  const code = side === 'hub' ? 'hub-failed' : 'registry-failed';
  return new BoxcarError(`the ${side}'s answer is longer than ${limit} bytes`, { code, side, request });
}

/** An answer that is not the one hoped for, as an error. Reads a bounded part of the body for the server's own words. */
export async function statusError(
  side: 'hub' | 'registry',
  answer: HttpResponse,
  what: string,
  options: Partial<BoxcarErrorOptions> = {},
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
