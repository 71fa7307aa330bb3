import { ownWords, withoutSecrets } from './secrets.ts';

/**
 * What went wrong, as a word a script can test. Each has one exit status (see {@link exitCodes}).
 */
export type ErrorCode =
  | 'unexpected'
  | 'usage'
  | 'unauthorized'
  | 'not-found'
  | 'hub-failed'
  | 'registry-failed'
  | 'layers-failed'
  | 'tag-exists'
  | 'content-mismatch'
  | 'unsafe'
  | 'stopped';

/** Which of the three parties failed: the Hugging Face Hub (or its CDN), the registry, or this machine. */
export type Side = 'hub' | 'registry' | 'local';

/** The request that failed, safe to show: the URL has no query, userinfo or fragment. */
export interface RequestFacts {
  method: string;
  url: string;
  /** HTTP status; absent when no answer came. */
  status?: number;
  /** The server's own words, bounded to one printable line; may be empty. */
  answer?: string;
}

export interface BoxcarErrorOptions {
  code: ErrorCode;
  side: Side;
  /** What the user can do about it. */
  hint?: string;
  request?: RequestFacts;
  cause?: unknown;
  /** True when the same request may succeed later without anyone changing anything. */
  transient?: boolean;
  /** How long the server asked to wait, in ms. */
  retryAfterMs?: number;
}

/** The one error type of boxcar: which side failed, with which request, why, and what to do. It shows no secret. */
export class BoxcarError extends Error {
  override readonly name = 'BoxcarError';
  readonly code: ErrorCode;
  readonly side: Side;
  readonly hint: string | undefined;
  readonly request: RequestFacts | undefined;
  readonly transient: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: BoxcarErrorOptions) {
    super(clean(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.side = options.side;
    this.hint = options.hint === undefined ? undefined : clean(options.hint);
    this.request = options.request && cleanFacts(options.request);
    this.transient = options.transient ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** Exit status of a command that ends with this error; a stop by signal is 130 or 143 instead. */
  get exitCode(): number {
    return exitCodes[this.code];
  }
}

export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  unexpected: 1,
  usage: 2,
  unauthorized: 3,
  'not-found': 4,
  'hub-failed': 5,
  'registry-failed': 6,
  'layers-failed': 7,
  'tag-exists': 8,
  'content-mismatch': 9,
  unsafe: 9,
  stopped: 130,
};

function clean(text: string): string {
  return withoutSecrets(text, ownWords);
}

/** The same object where there is nothing to hide: its status and answer may be filled in later. */
function cleanFacts(facts: RequestFacts): RequestFacts {
  const url = clean(facts.url);
  const answer = facts.answer === undefined ? undefined : clean(facts.answer);
  if (url === facts.url && answer === facts.answer) return facts;
  return { ...facts, url, ...(answer === undefined ? {} : { answer }) };
}

/** Any thrown value as a BoxcarError; what is not one already is `unexpected`. */
export function asBoxcarError(error: unknown): BoxcarError {
  if (error instanceof BoxcarError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BoxcarError(message, { code: 'unexpected', side: 'local', cause: error });
}

/** Text from elsewhere as one bounded line that cannot move the cursor, change colours or reorder itself. */
export function printable(text: string, maxLength = 300): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return line.length > maxLength ? `${line.slice(0, maxLength - 1)}…` : line;
}
