import { BoxcarError } from '../../errors.ts';
import { type HttpClient, type HttpRequest, statusError } from '../../http/client.ts';
import { redirectTarget } from '../../http/redirect.ts';
import type { Credentials } from './credentials.ts';

/** Lifetime of a token whose server does not say, in seconds (distribution, spec/auth/token). */
const defaultLifetime = 60;
const answerLimit = 1024 * 1024;

/** An access token, and until when it is good by our own monotonic clock (ms). */
export interface AccessToken {
  token: string;
  issuedAt: number;
  expiresAt: number;
}

/** What to ask a token server for. */
export interface TokenRequest {
  realm: URL;
  service?: string | undefined;
  /** `repository:<name>:pull,push`, one each. */
  scopes: string[];
}

/**
 * Gets an access token: identity tokens by POST (distribution, spec/auth/oauth), everything else by GET with or without
 * Basic credentials (spec/auth/token).
 * @param http sends to the realm; the credentials are in the request, and no redirect takes them to another origin.
 * @throws BoxcarError `unauthorized`, or `registry-failed` when the server fails or its answer makes no sense.
 */
export async function fetchAccessToken(
  http: HttpClient,
  credentials: Credentials,
  request: TokenRequest,
  now: () => number,
  signal?: AbortSignal,
): Promise<AccessToken> {
  const issuedAt = now();
  if (credentials.kind === 'identity') {
    const answer = await http.request({ ...oauthRequest(credentials.token, request), signal });
    // A server without OAuth2 takes the identity token as a password (go-containerregistry, bearer.go).
    if (answer.status !== 404 && answer.status !== 405) return tokenOf(answer, issuedAt, credentials);
    await answer.discard();
  }
  const basic = basicOf(credentials);
  let url = tokenUrl(request, basic ? credentials : undefined);
  for (let hops = 0; ; hops++) {
    const headers: Record<string, string> =
      basic && url.origin === request.realm.origin ? { authorization: basic } : {};
    const answer = await http.request({ method: 'GET', url, headers, signal });
    const target = redirectTarget(answer, url);
    if (!target || hops === 3) return tokenOf(answer, issuedAt, credentials);
    await answer.discard();
    url = target;
  }
}

/** `Basic` and the credentials, where there are any of that kind. */
export function basicOf(credentials: Credentials): string | undefined {
  if (credentials.kind === 'anonymous' || credentials.kind === 'bearer') return undefined;
  const secret = credentials.kind === 'basic' ? credentials.password : credentials.token;
  return `Basic ${Buffer.from(`${credentials.username || '<token>'}:${secret}`).toString('base64')}`;
}

function tokenUrl({ realm, service, scopes }: TokenRequest, credentials: Credentials | undefined): URL {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credentials?.kind === 'basic') url.searchParams.set('account', credentials.username);
  return url;
}

function oauthRequest(refreshToken: string, { realm, service, scopes }: TokenRequest): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    service: service ?? '',
    client_id: 'boxcar',
    scope: scopes.join(' '),
    refresh_token: refreshToken,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return { method: 'POST', url: realm, headers, body: Buffer.from(form.toString()) };
}

async function tokenOf(
  answer: Awaited<ReturnType<HttpClient['request']>>,
  issuedAt: number,
  credentials: Credentials,
): Promise<AccessToken> {
  if (answer.status !== 200) {
    const refused = answer.status === 401 || answer.status === 403 || answer.status === 400;
    throw await statusError('registry', answer, "the registry's token server refused the credentials", {
      ...(refused ? { code: 'unauthorized' as const, transient: false } : {}),
      hint: `credentials: ${credentials.source}; are they still valid?`,
    });
  }
  const document = parse(await answer.bytes(answerLimit));
  const token = document.token ?? document.access_token;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new BoxcarError("the registry's token server gave no token", {
      code: 'registry-failed',
      side: 'registry',
      request: answer.facts,
    });
  }
  const given = Number(document.expires_in);
  const lifetime = Number.isFinite(given) && given > 0 ? given : defaultLifetime;
  return { token, issuedAt, expiresAt: issuedAt + lifetime * 1000 };
}

function parse(bytes: Buffer): { token?: unknown; access_token?: unknown; expires_in?: unknown } {
  try {
    return JSON.parse(bytes.toString('utf8')) ?? {};
  } catch {
    return {};
  }
}
