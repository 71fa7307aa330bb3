import type { Dispatcher } from 'undici';
import { BoxcarError } from '../../errors.ts';
import { HttpClient } from '../../http/client.ts';
import { type AccessToken, basicOf, fetchAccessToken, type TokenRequest } from './access-token.ts';
import { parseChallenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';

/** A token this young (ms) that is refused is refused for good: another one of the same kind will not help. */
const freshMs = 1000;

export interface AuthorizerOptions {
  /** Origin of the registry. */
  registry: URL;
  repository: string;
  credentials: Credentials;
  dispatcher: Dispatcher;
  stallMs: number;
  userAgent: string;
  /** Monotonic clock in ms. */
  now?: () => number;
}

/** Gives the Authorization header for a registry's requests, as the registry's own challenges ask for it. */
export class Authorizer {
  /** Where the credentials came from. */
  readonly source: string;
  readonly #options: AuthorizerOptions;
  readonly #now: () => number;
  readonly #scopes: Set<string>;
  #scheme: 'basic' | 'bearer' | undefined;
  #tokens: Omit<TokenRequest, 'scopes'> | undefined;
  #token: AccessToken | undefined;
  #fetching: Promise<AccessToken> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.source = options.credentials.source;
    this.#scopes = new Set([`repository:${options.repository}:pull,push`]);
  }

  /** The header for the next request; a token that is about to expire is replaced first, once for all who wait. */
  async authorize(signal?: AbortSignal): Promise<string | undefined> {
    const { credentials } = this.#options;
    if (credentials.kind === 'bearer') return `Bearer ${credentials.token}`;
    if (this.#scheme === 'basic') return basicOf(credentials);
    if (this.#scheme !== 'bearer') return undefined;
    if (this.#token && this.#now() < refreshAt(this.#token)) return `Bearer ${this.#token.token}`;
    this.#fetching ??= this.#fetch(signal).finally(() => {
      this.#fetching = undefined;
    });
    this.#token = await this.#fetching;
    return `Bearer ${this.#token.token}`;
  }

  /**
   * Learns from a 401.
   * @param sentAt when the refused request was sent, by the same clock.
   * @returns whether the same request can succeed now.
   * @throws BoxcarError `registry-failed` for a realm that the credentials must not be sent to.
   */
  challenged(header: string | undefined, sentAt: number): boolean {
    const challenges = parseChallenges(header ?? '');
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
    const { credentials } = this.#options;
    if (credentials.kind === 'bearer') return false;
    if (bearer) return this.#challengedForToken(bearer.parameters, sentAt);
    const helps = challenges.some(({ scheme }) => scheme === 'basic') && this.#scheme !== 'basic';
    this.#scheme = 'basic';
    return helps && basicOf(credentials) !== undefined;
  }

  #challengedForToken(parameters: Record<string, string>, sentAt: number): boolean {
    this.#tokens = { realm: this.#realm(parameters.realm ?? ''), service: parameters.service };
    this.#scheme = 'bearer';
    const missing = (parameters.scope ?? '')
      .split(' ')
      .filter((scope) => scope !== '' && !this.#covers(scope));
    for (const scope of missing) this.#scopes.add(scope);
    const refused = this.#token;
    // Another request has met the same refusal and got a new token since.
    if (refused && refused.issuedAt > sentAt) return true;
    this.#token = undefined;
    return !refused || missing.length > 0 || sentAt - refused.issuedAt > freshMs;
  }

  #covers(scope: string): boolean {
    const [type, name, actions = ''] = split(scope);
    return [...this.#scopes].map(split).some(([ourType, ourName, ours = '']) => {
      return (
        type === ourType &&
        name === ourName &&
        actions.split(',').every((action) => ours.split(',').includes(action))
      );
    });
  }

  /** The realm may be of another origin (auth.docker.io), but secrets of an https registry stay within TLS. */
  #realm(text: string): URL {
    const { registry } = this.#options;
    const realm = URL.parse(text, registry.href);
    if (
      realm &&
      (realm.protocol === 'https:' || (realm.protocol === 'http:' && registry.protocol === 'http:'))
    )
      return realm;
    throw new BoxcarError('the registry names a token server that credentials cannot be sent to', {
      code: 'registry-failed',
      side: 'registry',
      hint:
        realm?.protocol === 'http:'
          ? 'its realm is http although the registry is https'
          : 'its realm is no URL',
    });
  }

  #fetch(signal: AbortSignal | undefined): Promise<AccessToken> {
    const { credentials, dispatcher, stallMs, userAgent } = this.#options;
    const request: TokenRequest = {
      ...(this.#tokens as Omit<TokenRequest, 'scopes'>),
      scopes: [...this.#scopes],
    };
    const http = new HttpClient({
      side: 'registry',
      dispatcher,
      origin: request.realm.origin,
      stallMs,
      userAgent,
    });
    return fetchAccessToken(http, credentials, request, this.#now, signal);
  }
}

/** Before it expires: by half a minute, or by a quarter of a short life; by a second at least, a JWT's unit of time. */
function refreshAt({ issuedAt, expiresAt }: AccessToken): number {
  return expiresAt - Math.min(30_000, Math.max(1000, (expiresAt - issuedAt) / 4));
}

/** `repository:host:5000/name:pull,push` -> type, name, actions: names may hold colons. */
function split(scope: string): [string, string, string?] {
  const first = scope.indexOf(':');
  const last = scope.lastIndexOf(':');
  return [scope.slice(0, first), scope.slice(first + 1, last), scope.slice(last + 1)];
}
