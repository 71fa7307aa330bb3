import { setTimeout as sleep } from 'node:timers/promises';
import { BoxcarError } from '../errors.ts';

/** Wait before the first retry, in ms; doubled at each further one. */
export const defaultBackoffMs = 500;
const maxBackoffMs = 30_000;
/** A server that asks for longer than this (ms) is not obeyed but reported. */
const maxRetryAfterMs = 15 * 60_000;

/** Statuses after which the same request may succeed: RFC 9110 section 15, RFC 6585, and proxies' 52x. */
export function isTransientStatus(status: number): boolean {
  return (
    status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505)
  );
}

/**
 * Wait before retry number `attempt` (1 for the first), in ms: full jitter under an exponential cap
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or as long as the server said.
 */
export function retryDelay(
  attempt: number,
  retryAfterMs: number | undefined,
  baseMs: number,
  random = Math.random,
): number {
  const backoff = Math.round(random() * Math.min(maxBackoffMs, baseMs * 2 ** (attempt - 1)));
  return Math.min(retryAfterMs ?? 0, maxRetryAfterMs) + backoff;
}

/**
 * The wait that a server asks for, in ms: `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3), or
 * `t=` of `RateLimit: "resolvers";r=0;t=57` where nothing remains (draft-ietf-httpapi-ratelimit-headers; the hub sends it).
 */
export function retryAfter(
  headers: Record<string, string | string[] | undefined>,
  now = serverTime(headers),
): number | undefined {
  const after = headers['retry-after'];
  if (typeof after === 'string' && after !== '') {
    const seconds = Number(after);
    if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
    const date = Date.parse(after);
    if (!Number.isNaN(date)) return Math.max(0, date - now);
  }
  const limit = headers.ratelimit;
  const text = Array.isArray(limit) ? limit.join(', ') : (limit ?? '');
  const spent = /\br=0\b[^,]*?\bt=(\d+)|\bt=(\d+)[^,]*?\br=0\b/.exec(text);
  const seconds = spent?.[1] ?? spent?.[2];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** The server's own clock, which its dates are by; ours may be hours off. */
function serverTime({ date }: Record<string, string | string[] | undefined>): number {
  const stated = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isNaN(stated) ? Date.now() : stated;
}

export interface RetryNotice {
  error: BoxcarError;
  /** Attempts in a row without progress, this one included. */
  attempt: number;
  of: number;
  delayMs: number;
}

export interface PatienceOptions {
  /** Attempts in a row without progress before the error is final. */
  limit: number;
  baseMs?: number;
  onRetry?: (notice: RetryNotice) => void;
}

/** Counts attempts without progress: any progress starts the count anew, so a long transfer is never given up for its length. */
export class Patience {
  #attempt = 0;
  readonly #options: PatienceOptions;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Failures in a row without progress so far. */
  get failures(): number {
    return this.#attempt;
  }

  progress(): void {
    this.#attempt = 0;
  }

  /**
   * Waits before the next attempt.
   * @param worthwhile whether another attempt can help although the error does not say so itself.
   * @throws the error itself when it is not transient or patience has run out; the signal's reason when stopped.
   */
  async wait(error: unknown, signal?: AbortSignal, worthwhile = false): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    const transient = error instanceof BoxcarError && (error.transient || worthwhile);
    if (transient && (error.retryAfterMs ?? 0) > maxRetryAfterMs) throw asksTooMuch(error);
    if (!transient || this.#attempt >= this.#options.limit) throw error;
    this.#attempt += 1;
    const delayMs = retryDelay(this.#attempt, error.retryAfterMs, this.#options.baseMs ?? defaultBackoffMs);
    this.#options.onRetry?.({ error, attempt: this.#attempt, of: this.#options.limit, delayMs });
    await sleep(delayMs, undefined, signal ? { signal } : {}).catch((aborted) => {
      throw signal?.reason ?? aborted;
    });
  }
}

function asksTooMuch(error: BoxcarError): BoxcarError {
  const { message, code, side, request, cause, retryAfterMs = 0 } = error;
  const minutes = Math.ceil(retryAfterMs / 60_000);
  return new BoxcarError(message, {
    code,
    side,
    ...(request ? { request } : {}),
    cause,
    retryAfterMs,
    hint: `it asks to wait ${minutes} minutes: everything sent so far is saved, run the same command then`,
  });
}
