import type { HttpClient, HttpRequest } from '../../http/client.ts';
import { redirectTarget } from '../../http/redirect.ts';
import { keepSecret } from '../../secrets.ts';
import { basicHeader, type Credentials } from './credentials.ts';
import { type AccessToken, tokenInAnswer, tokenRefusal } from './token-answer.ts';

/** How often a token server may send us elsewhere. */
const maxRedirects = 3;

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
 * @param now a monotonic clock in ms.
 * @throws BoxcarError `unauthorized`, or `registry-failed` when the server fails or its answer makes no sense.
 */
export async function fetchAccessToken(
  http: HttpClient,
  credentials: Credentials,
  request: TokenRequest,
  now: () => number,
  signal?: AbortSignal,
): Promise<AccessToken> {
  if (credentials.kind === 'identity') {
    const issuedAt = now();
    const answer = await http.request({ ...oauthRequest(credentials.token, request), signal });
    if (answer.status === 200) return tokenInAnswer(answer, issuedAt);
    // "Not all token servers implement oauth2" (spec/auth/oauth): 404 by the specification, 405 by some servers
    // (containerd, docker/authorizer.go). Those take the identity token as a password.
    if (answer.status !== 404 && answer.status !== 405) throw await tokenRefusal(answer, credentials);
    await answer.discard();
  }
  const authorization = passwordHeader(credentials);
  let url = tokenUrl(request, credentials);
  for (let redirects = 0; ; redirects++) {
    const issuedAt = now();
    const headers: Record<string, string> =
      authorization && url.origin === request.realm.origin ? { authorization } : {};
    const answer = await http.request({ method: 'GET', url, headers, signal });
    if (answer.status === 200) return tokenInAnswer(answer, issuedAt);
    const target = redirectTarget(answer, url);
    if (!target || redirects === maxRedirects) throw await tokenRefusal(answer, credentials);
    await answer.discard();
    url = target;
  }
}

function passwordHeader(credentials: Credentials): string | undefined {
  if (credentials.kind === 'identity') {
    return basicHeader(credentials.username || '<token>', credentials.token);
  }
  return credentials.kind === 'basic' ? basicHeader(credentials.username, credentials.password) : undefined;
}

function tokenUrl({ realm, service, scopes }: TokenRequest, credentials: Credentials): URL {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credentials.kind === 'basic') url.searchParams.set('account', credentials.username);
  return url;
}

function oauthRequest(refreshToken: string, { realm, service, scopes }: TokenRequest): HttpRequest {
  keepSecret(refreshToken);
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
