import { BoxcarError } from '../../errors.ts';
import { type HttpResponse, statusError } from '../../http/client.ts';
import type { Credentials } from './credentials.ts';

/** Lifetime of a token whose server does not say, in seconds (distribution, spec/auth/token). */
const defaultLifetime = 60;
/** Tokens of some KiB are common, where a cloud puts its claims in; an endless answer must not fill the memory. */
const answerLimit = 1024 * 1024;

/** An access token, and until when it is good by our own monotonic clock (ms). */
export interface AccessToken {
  token: string;
  issuedAt: number;
  expiresAt: number;
}

/** Before it expires: by half a minute, or by a quarter of a short life; by a second at least, a JWT's unit of time. */
export function refreshAt({ issuedAt, expiresAt }: AccessToken): number {
  return expiresAt - Math.min(30_000, Math.max(1000, (expiresAt - issuedAt) / 4));
}

/**
 * The token in an answer of 200 (spec/auth/token, "Token Response Fields").
 * @param issuedAt when it was asked for. The server's `issued_at` is not used: it is by another clock, and some servers
 * write a zero there.
 * @throws BoxcarError `registry-failed` when there is none.
 */
export async function tokenInAnswer(answer: HttpResponse, issuedAt: number): Promise<AccessToken> {
  const document = parse(await answer.bytes(answerLimit));
  const token = document.token || document.access_token;
  // What cannot stand in a header is no token.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new BoxcarError("the registry's token server gave no token", {
      code: 'registry-failed',
      side: 'registry',
      request: answer.facts,
      // A proxy's page, as likely as not.
      transient: true,
    });
  }
  const given = Number(document.expires_in);
  const lifetime = Number.isFinite(given) && given > 0 ? given : defaultLifetime;
  return { token, issuedAt, expiresAt: issuedAt + lifetime * 1000 };
}

/** The parser's own message quotes what it read: it is dropped. */
function parse(bytes: Buffer): { token?: unknown; access_token?: unknown; expires_in?: unknown } {
  try {
    return JSON.parse(bytes.toString('utf8')) ?? {};
  } catch {
    return {};
  }
}

/** Any other answer as an error. */
export async function tokenRefusal(answer: HttpResponse, credentials: Credentials): Promise<BoxcarError> {
  const { status, facts } = answer;
  // An identity token that is revoked or too old gets 400 invalid_grant (RFC 6749 section 5.2).
  const refused = status === 401 || status === 403 || (status === 400 && facts.method === 'POST');
  if (!refused) return statusError('registry', answer, "the registry's token server gave no token");
  const anonymous = credentials.kind === 'anonymous';
  const error = await statusError(
    'registry',
    answer,
    anonymous
      ? "the registry's token server gives no token without credentials"
      : "the registry's token server refused the credentials",
    {
      code: 'unauthorized',
      hint: `credentials: ${credentials.source}${anonymous ? '' : '; are they still valid?'}`,
    },
  );
  // GHCR limits the rate with a 403 (registries.md).
  if (status !== 403 || !/rate limit|too many/i.test(facts.answer ?? '')) return error;
  return statusError('registry', answer, "the registry's token server limits the rate of requests", {
    transient: true,
  });
}
