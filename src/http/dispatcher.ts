import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { BoxcarError } from '../errors.ts';

/** Time to open a connection, TLS included, in ms. */
const connectTimeoutMs = 15_000;

/**
 * The one way out of the process: connections kept alive, proxied by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`,
 * trusting Node's certificates (with `NODE_EXTRA_CA_CERTS`) and those of `SSL_CERT_FILE`.
 *
 * undici's own time limits are off: they are total or per-phase, and a stall is found by no progress (`stall.ts`).
 * HTTP/1.1 only: a cut stream of an HTTP/2 connection would take its neighbours' windows with it, and registries
 * behind proxies limit concurrent streams in their own ways.
 *
 * @throws BoxcarError `usage` when `SSL_CERT_FILE` cannot be read.
 */
export function createDispatcher(env: NodeJS.ProcessEnv = process.env): Dispatcher {
  const ca = extraCertificates(env);
  const tls = ca ? { ca } : {};
  return new EnvHttpProxyAgent({
    allowH2: false,
    bodyTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 10_000,
    connect: { timeout: connectTimeoutMs, ...tls },
    requestTls: { timeout: connectTimeoutMs, ...tls },
    proxyTls: { timeout: connectTimeoutMs, ...tls },
    ...proxies(env),
  });
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
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw unusable(file, 'holds no certificate');
  return [...getCACertificates('default'), pem];
}

function unusable(file: string, why: string, cause?: unknown): BoxcarError {
  return new BoxcarError(`SSL_CERT_FILE names a file that ${why}: ${file}`, {
    code: 'usage',
    side: 'local',
    hint: 'give the path of a PEM file with the certificates to trust, or unset SSL_CERT_FILE',
    cause,
  });
}

/** undici reads the variables of `process.env`; a caller's own environment must win over those. */
function proxies(env: NodeJS.ProcessEnv): { httpProxy?: string; httpsProxy?: string; noProxy?: string } {
  if (env === process.env) return {};
  return {
    httpProxy: env.http_proxy ?? env.HTTP_PROXY ?? '',
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY ?? '',
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
  };
}
