import { BoxcarError, printable, type RequestFacts } from '../errors.ts';

/** Codes that a wrong or unknown certificate gives; trying again changes nothing. */
const certificate = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY|DECRYPT)|CRL_|HOSTNAME_MISMATCH|INVALID_PURPOSE/;

const words: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'its host name is unknown',
  EAI_AGAIN: 'its host name could not be looked up just now',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while sending',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_CONNECT_TIMEOUT: 'no connection within 15 s',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no network to it',
  UND_ERR_HEADERS_OVERFLOW: 'its answer has too many headers',
};

/**
 * An error of the transport as one of ours: which side, which request, whether trying again can help.
 * An abort by the caller's signal stays what it is.
 */
export function failureOf(
  error: unknown,
  side: 'hub' | 'registry',
  request: RequestFacts,
  signal: AbortSignal | undefined,
): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof BoxcarError) return error;
  const cause = innermost(error);
  const code = cause.code ?? '';
  const tls = certificate.test(code) || code.startsWith('ERR_SSL_') || code === 'EPROTO';
  const why =
    words[code] ??
    (code.startsWith('HPE_') ? 'what it answered is not HTTP' : undefined) ??
    printable(cause.message || code || String(error));
  return new BoxcarError(`the ${side} could not be reached: ${tls ? `TLS failed: ${why} (${code})` : why}`, {
    code: side === 'hub' ? 'hub-failed' : 'registry-failed',
    side,
    request,
    cause: error,
    transient: !tls,
    ...(tls ? { hint: tlsHint(code) } : {}),
  });
}

/** Whether no connection to `origin` came to be: its name is unknown, or nothing listens there. */
export function isUnreachable(error: unknown, origin: string): 'unknown' | 'silent' | false {
  if (!(error instanceof BoxcarError) || !error.request?.url.startsWith(`${origin}/`)) return false;
  const { code = '' } = innermost(error.cause);
  if (code === 'ENOTFOUND') return 'unknown';
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code) && 'silent';
}

function tlsHint(code: string): string {
  return certificate.test(code)
    ? 'if its certificate is from your own authority, give that in NODE_EXTRA_CA_CERTS or SSL_CERT_FILE'
    : 'does it speak TLS on this port? --plain-http is for registries that do not';
}

/** The reason at the bottom of a chain of causes. */
export function innermost(error: unknown): { code?: string; message: string } {
  let at = error;
  // undici and Happy Eyeballs wrap the reason: AggregateError of one error per address.
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    const inner = at instanceof AggregateError && at.errors[0] ? at.errors[0] : at.cause;
    if (!(inner instanceof Error)) break;
    at = inner;
  }
  return at instanceof Error ? (at as Error & { code?: string }) : { message: String(at) };
}
