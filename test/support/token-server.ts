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
  /** What a user may do, by repository; `*` stands for all others. Who is not named here may do everything. */
  rights?: Record<string, Record<string, string[]>>;
  /** What becomes of a request for more than that: a token for less, as specified, or 403 for all of it. Default: less. */
  overreach?: 'less' | 'refused';
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
  /** In the same form, what the token is good for; without what was refused, empty where there is no token. */
  granted: string[];
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
  /** May be changed while it runs. */
  overreach: 'less' | 'refused';
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
    overreach: options.overreach ?? 'less',
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
    const access = scopes.map((scope) => accessOf(scope, (name) => rightsOf(user, name)));
    const granted = access.filter(({ actions }) => actions.length > 0).map(scopeOf);
    const overreach = tokens.overreach === 'refused' && granted.join() !== scopes.join();
    const refusal = welcome ? (overreach ? 403 : undefined) : 401;
    const status = incoming.method === 'POST' && options.getOnly ? 405 : (refusal ?? 200);
    const service = form.get('service') ?? '';
    tokens.requests.push({
      method: incoming.method ?? '',
      service,
      scopes,
      granted: status === 200 ? granted : [],
      credentials: asked.kind,
      user,
      status,
    });
    const body = status === 200 ? await issue(service, access, user, form) : { details: 'refused' };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  /** Actions in a repository; undefined: all of them. */
  function rightsOf(user: string | undefined, repository: string): string[] | undefined {
    if (user === undefined) return anonymous;
    const rights = options.rights?.[user];
    return rights && (rights[repository] ?? rights['*'] ?? []);
  }

  async function issue(audience: string, access: Access[], user: string | undefined, form: URLSearchParams) {
    tokens.issued += 1;
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
function accessOf(scope: string, rightsOf: (name: string) => string[] | undefined): Access {
  const [type = '', ...rest] = scope.split(':');
  const actions = (rest.pop() ?? '').split(',');
  const name = rest.join(':');
  const allowed = rightsOf(name);
  return { type, name, actions: actions.filter((action) => allowed?.includes(action) ?? true) };
}

function scopeOf({ type, name, actions }: Access): string {
  return `${type}:${name}:${actions.join(',')}`;
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
