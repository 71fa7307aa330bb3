import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCACertificates, TLSSocket } from 'node:tls';
import { buildConnector, EnvHttpProxyAgent } from 'undici';
import { BoxcarError } from '../errors.ts';
import { keepSecret } from '../secrets.ts';
import { ByteSockets } from './byte-sockets.ts';
import { type Elsewhere, elsewhere, type Lookup, systemLookup } from './elsewhere.ts';

/** Time to open a connection, TLS included, in ms. */
const connectTimeoutMs = 15_000;

/**
 * The one way out of the process: connections kept alive, proxied by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`,
 * trusting Node's certificates (with `NODE_EXTRA_CA_CERTS`) and those of `SSL_CERT_FILE`. Requests to where a server has
 * sent us (`namedBy`) go to no address that is more private than that server's own (`zone.ts`).
 *
 * undici's own time limits are off: they are total or per-phase, and a stall is found by no progress (`stall.ts`).
 * HTTP/1.1 only: a cut stream of an HTTP/2 connection would take its neighbours' windows with it, and registries
 * behind proxies limit concurrent streams in their own ways.
 *
 * @throws BoxcarError `usage` when `SSL_CERT_FILE` cannot be read, or a proxy's variable is no URL of one.
 */
export function createDispatcher(
  env: NodeJS.ProcessEnv = process.env,
  lookup: Lookup = systemLookup,
): Elsewhere {
  const ca = extraCertificates(env);
  const tls = { timeout: connectTimeoutMs, ...(ca ? { ca } : {}) };
  const proxied = proxies(env);
  const agent = (connect: object): EnvHttpProxyAgent =>
    new EnvHttpProxyAgent({
      allowH2: false,
      bodyTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 10_000,
      connect: connector({ ...tls, ...connect }),
      requestTls: tls,
      proxyTls: tls,
      ...proxied,
    });
  return elsewhere(agent, lookup);
}

/**
 * Node's TLS copies a piece and its frame into one before it encrypts them: there every part is written by itself. A
 * tenth of what sending costs (bench/NOTES.md).
 */
function connector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector({ ...options, allowH2: false });
  return (to, done) =>
    connect(to, (...result) => {
      const [, socket] = result;
      if (socket instanceof TLSSocket) Object.assign(socket, { _writev: undefined });
      done(...result);
    });
}

/**
 * Connections for large answers beside those of `dispatcher`, by the same rules; none where any proxy is set, whose
 * protocols are undici's affair. That is so for hosts of `NO_PROXY`, too: what it covers is decided within undici, and two
 * readings of it could differ. There large answers cost more CPU time, and are right.
 */
export function createByteSockets(env: NodeJS.ProcessEnv, dispatcher: Elsewhere): ByteSockets | undefined {
  const { httpProxy, httpsProxy } = proxies(env);
  if (httpProxy !== '' || httpsProxy !== '') return undefined;
  const lookupFor = dispatcher.lookupFor.bind(dispatcher);
  return new ByteSockets({ ca: extraCertificates(env), timeoutMs: connectTimeoutMs, lookupFor });
}

/** `SSL_CERT_FILE` added to the default certificates; Node reads that variable only with `--use-openssl-ca`. */
function extraCertificates(env: NodeJS.ProcessEnv): string[] | undefined {
  const file = env.SSL_CERT_FILE;
  if (!file) return undefined;
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (cause) {
    throw unusable(file, 'cannot be read', cause);
  }
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? [];
  if (!certificates.some(isCertificate)) throw unusable(file, 'holds no certificate');
  return [...getCACertificates('default'), pem];
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function unusable(file: string, why: string, cause?: unknown): BoxcarError {
  return new BoxcarError(`SSL_CERT_FILE names a file that ${why}: ${file}`, {
    code: 'usage',
    side: 'local',
    hint: 'give the path of a PEM file with the certificates to trust, or unset SSL_CERT_FILE',
    cause,
  });
}

/** In curl's order, which is undici's: lower case first. An empty one is none. */
function proxies(env: NodeJS.ProcessEnv): { httpProxy: string; httpsProxy: string; noProxy: string } {
  return {
    httpProxy: proxy(env, 'http_proxy', 'HTTP_PROXY'),
    httpsProxy: proxy(env, 'https_proxy', 'HTTPS_PROXY'),
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
  };
}

function proxy(env: NodeJS.ProcessEnv, ...names: string[]): string {
  const name = names.find((each) => env[each] !== undefined);
  const given = env[name ?? ''] ?? '';
  if (given === '') return '';
  // `proxy:3128` is what curl takes as well.
  const text = given.includes('://') ? given : `http://${given}`;
  const url = URL.parse(text);
  const password = url && decoded(url.password);
  if (!url || !/^(https?|socks5?):$/.test(url.protocol) || url.hostname === '' || password === undefined) {
    // Not even in part: whatever stands there may be a password.
    throw new BoxcarError(`${name} is not the address of a proxy`, {
      code: 'usage',
      side: 'local',
      hint: 'write it as http://host:port, https://... or socks5://..., with user:password@ where the proxy wants that',
    });
  }
  if (password) keepSecret(password, decoded(url.username));
  return text;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
