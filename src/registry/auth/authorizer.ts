import type { Dispatcher } from 'undici';
import { HttpClient } from '../../http/client.ts';
import { fetchAccessToken, type TokenRequest } from './access-token.ts';
import { parseChallenges } from './challenge.ts';
import { basicHeader, type Credentials } from './credentials.ts';
import { HeldToken } from './held-token.ts';
import { tokenServer } from './realm.ts';
import { Scopes } from './scopes.ts';
import type { AccessToken } from './token-answer.ts';

/**
 * Two tokens in a row that are refused when they are younger than this (ms) are refused for good: a third of the same kind
 * will not help. One may be bad luck: a replica that lags, or a clock behind that of the token server.
 */
const freshMs = 1000;
/** Refusals of fresh tokens that are farther apart (ms) are not in a row. */
const inARowMs = 30_000;

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

/**
 * Gives the Authorization header for a registry's requests, as the registry's own challenges ask for it. Nothing is sent
 * unasked, but an access token that was given as such: it can be meant for nobody else.
 */
export class Authorizer {
  /** Where the credentials came from. */
  readonly source: string;
  readonly #options: AuthorizerOptions;
  readonly #now: () => number;
  readonly #repository: string;
  readonly #scopes: Scopes;
  #scheme: 'basic' | 'bearer' | undefined;
  /** Requests that were sent later than that went with Basic credentials. */
  #basicAfter = Number.POSITIVE_INFINITY;
  /** When `authorize` was called last. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #server: Omit<TokenRequest, 'scopes'> | undefined;
  /** When a request went whose fresh token was refused, the newest. */
  #freshRefusedAt = Number.NEGATIVE_INFINITY;
  readonly #token: HeldToken;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.source = options.credentials.source;
    this.#repository = `repository:${options.repository}:`;
    this.#scopes = new Scopes(`${this.#repository}pull,push`);
    this.#token = new HeldToken((signal) => this.#fetch(signal), this.#now);
  }

  /**
   * The header for the next request; a token that is about to expire is replaced first, once for all who wait.
   * @throws BoxcarError of the token server; the signal's reason.
   */
  async authorize(signal?: AbortSignal): Promise<string | undefined> {
    const { credentials } = this.#options;
    const askedBefore = this.#askedAt;
    this.#askedAt = this.#now();
    if (credentials.kind === 'bearer') return `Bearer ${credentials.token}`;
    if (this.#scheme === 'basic') return this.#basic();
    if (this.#scheme !== 'bearer') return undefined;
    return `Bearer ${(await this.#token.get(askedBefore, signal)).token}`;
  }

  /**
   * Learns from a 401.
   * @param header `WWW-Authenticate`, all of them where there are several.
   * @param sentAt when the refused request was handed to the HTTP client, by the same clock: just before `authorize` was
   * called for it, with no other call between. It tells what the request went with.
   * @returns whether the same request can succeed now.
   * @throws BoxcarError `registry-failed` for a realm that the credentials must not be sent to.
   */
  challenged(header: string | readonly string[] | undefined, sentAt: number): boolean {
    if (this.#options.credentials.kind === 'bearer') return false;
    const challenges = parseChallenges(header ?? '');
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
    if (bearer) return this.#challengedForToken(bearer.parameters, sentAt);
    if (this.#basic() === undefined || !challenges.some(({ scheme }) => scheme === 'basic')) return false;
    if (this.#scheme === 'basic') return sentAt <= this.#basicAfter;
    this.#scheme = 'basic';
    this.#basicAfter = this.#askedAt;
    return true;
  }

  /** Asks from now on for a token that may also read another repository, to mount its blobs. */
  addScope(repository: string): void {
    if (this.#scopes.add([`repository:${repository}:pull`])) this.#token.outdate();
  }

  /** @returns goes back to asking for what is asked for now. */
  rememberScopes(): () => void {
    const before = this.#scopes.list();
    return () => {
      if (this.#scopes.reset(before)) this.#token.outdate();
    };
  }

  /**
   * An identity token is not for registries, whatever they ask for: it goes to the token server only (distribution,
   * spec/auth/scope, "Refresh Tokens").
   */
  #basic(): string | undefined {
    const { credentials } = this.#options;
    return credentials.kind === 'basic' ? basicHeader(credentials.username, credentials.password) : undefined;
  }

  #challengedForToken(parameters: Record<string, string>, sentAt: number): boolean {
    const { realm = '', service, scope = '', error } = parameters;
    const server = { realm: tokenServer(realm, this.#options.registry), service };
    const moved = server.realm.href !== this.#server?.realm.href || service !== this.#server.service;
    this.#server = server;
    this.#scheme = 'bearer';
    // Before it has seen a token a registry may name anything: GHCR's first challenge has `repository:user/image:pull`
    // whoever asks, and its token server refuses what joins that (cloudflare/serverless-registry#148).
    const asked = scope
      .split(' ')
      .filter((each) => this.#token.anyUsedAt(sentAt) || each.startsWith(this.#repository));
    const more = this.#scopes.add(asked, true);
    // None if the request went with an older one: another request has met the same refusal.
    const refused = this.#token.usedAt(sentAt);
    if (moved || more) this.#token.outdate();
    else if (refused) this.#token.drop();
    // RFC 6750 section 3.1: the next token would have the same scopes.
    if (!more && refused && error === 'insufficient_scope') return false;
    return more || !refused || this.#anotherMayHelp(refused, sentAt);
  }

  #anotherMayHelp({ issuedAt }: AccessToken, sentAt: number): boolean {
    if (sentAt - issuedAt > freshMs) return true;
    const inARow = sentAt - this.#freshRefusedAt < inARowMs;
    this.#freshRefusedAt = sentAt;
    return !inARow;
  }

  #fetch(signal: AbortSignal): Promise<AccessToken> {
    const { registry, credentials, dispatcher, stallMs, userAgent } = this.#options;
    const server = this.#server as Omit<TokenRequest, 'scopes'>;
    const { origin } = server.realm;
    const namedBy = registry.origin;
    const http = new HttpClient({ side: 'registry', dispatcher, origin, namedBy, stallMs, userAgent });
    const request: TokenRequest = { ...server, scopes: this.#scopes.list() };
    return fetchAccessToken(http, credentials, request, this.#now, signal);
  }
}
