import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { headerRecord, listen, readText, type ServerIdentity } from './listen.ts';
import { type Access, createTokenSigner } from './token-signer.ts';

export interface TokenServerOptions {
  /** User names and passwords. */
  users?: Record<string, string>;
  /** How long a token is good for (see Claims). Default 300. Under zero: it has expired before it is given out. */
  expiresInSeconds?: number;
  /** What those who come without credentials get. Default: `pull`; an empty list refuses them with 401. */
  anonymous?: string[];
  /** As Docker's own: no POST, so that clients must fall back to GET. Default: POST is served. */
  getOnly?: boolean;
  tls?: ServerIdentity;
}

/** One request for a token. */
export interface TokenRequest {
  method: string;
  service: string;
  /** `repository:<name>:<actions>`, one each. */
  scopes: string[];
  credentials: 'anonymous' | 'basic' | 'password' | 'refresh_token';
  user: string | undefined;
  status: number;
}

export interface TokenServer extends AsyncDisposable {
  /** For `WWW-Authenticate: Bearer realm=`. */
  realm: string;
  service: string;
  issuer: string;
  /** The self-signed certificate a registry trusts it by. */
  certFile: string;
  requests: TokenRequest[];
  /** Tokens given out so far. */
  issued: number;
  /** May be changed while it runs. */
  expiresInSeconds: number;
  close(): Promise<void>;
}

/** A token server after the distribution project's specification (spec/auth/token, spec/auth/jwt, spec/auth/oauth). */
export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const { users = {}, anonymous = ['pull'] } = options;
  const signer = await createTokenSigner();
  const refreshTokens = new Map<string, string>();
  const server = await listen(answer, options.tls);
  const close = (): Promise<void> => server.close();
  const tokens: TokenServer = {
    realm: `${server.url}/token`,
    service: 'test-registry',
    issuer: 'test-issuer',
    certFile: signer.certFile,
    requests: [],
    issued: 0,
    expiresInSeconds: options.expiresInSeconds ?? 300,
    close,
    [Symbol.asyncDispose]: close,
  };

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await formOf(incoming);
    const asked = credentialsOf(incoming, form);
    const user = asked.kind === 'refresh_token' ? refreshTokens.get(asked.secret) : asked.user;
    const known = user !== undefined && users[user] !== undefined;
    const right = known && (asked.kind === 'refresh_token' || users[user] === asked.secret);
    const welcome = asked.kind === 'anonymous' ? anonymous.length > 0 : right;
    const scopes = form
      .getAll('scope')
      .flatMap((scope) => scope.split(' '))
      .filter(Boolean);
    const status = incoming.method === 'POST' && options.getOnly ? 405 : welcome ? 200 : 401;
    const service = form.get('service') ?? '';
    tokens.requests.push({
      method: incoming.method ?? '',
      service,
      scopes,
      credentials: asked.kind,
      user,
      status,
    });
    const body = status === 200 ? await issue(service, scopes, user, form) : { details: 'refused' };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  async function issue(audience: string, scopes: string[], user: string | undefined, form: URLSearchParams) {
    tokens.issued += 1;
    const access = scopes.map((scope) => accessOf(scope, user === undefined ? anonymous : undefined));
    const lifetime = tokens.expiresInSeconds;
    const token = await signer.sign({
      issuer: tokens.issuer,
      audience,
      subject: user ?? '',
      access,
      lifetime,
    });
    const answer: Record<string, unknown> = { token, access_token: token, expires_in: lifetime };
    answer.issued_at = new Date().toISOString();
    const wantsRefresh = form.get('access_type') === 'offline' || form.get('offline_token') === 'true';
    if (user !== undefined && wantsRefresh) {
      const refresh = randomUUID();
      refreshTokens.set(refresh, user);
      answer.refresh_token = refresh;
    }
    return answer;
  }

  return tokens;
}

/** Names may hold colons (`host:5000/name`), so the type ends at the first and the name at the last. */
function accessOf(scope: string, allowed: string[] | undefined): Access {
  const [type = '', ...rest] = scope.split(':');
  const actions = (rest.pop() ?? '').split(',');
  return {
    type,
    name: rest.join(':'),
    actions: allowed ? actions.filter((action) => allowed.includes(action)) : actions,
  };
}

async function formOf(incoming: IncomingMessage): Promise<URLSearchParams> {
  if (incoming.method === 'POST') return new URLSearchParams(await readText(incoming));
  return new URL(incoming.url ?? '/', 'http://localhost').searchParams;
}

function credentialsOf(
  incoming: IncomingMessage,
  form: URLSearchParams,
): { kind: TokenRequest['credentials']; user: string | undefined; secret: string } {
  const grant = form.get('grant_type');
  if (grant === 'refresh_token')
    return { kind: grant, user: undefined, secret: form.get('refresh_token') ?? '' };
  if (grant === 'password') {
    return { kind: grant, user: form.get('username') ?? undefined, secret: form.get('password') ?? '' };
  }
  const basic = /^Basic (.+)$/i.exec(headerRecord(incoming).authorization ?? '')?.[1];
  if (basic === undefined) return { kind: 'anonymous', user: undefined, secret: '' };
  const [user = '', ...secret] = Buffer.from(basic, 'base64').toString().split(':');
  return { kind: 'basic', user, secret: secret.join(':') };
}
