import { connect as connectPlain, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext } from 'node:tls';

export interface ConnectOptions {
  /** Its origin is connected to. */
  url: URL;
  /** Certificates that are trusted; Node's where it is left out. */
  secureContext: SecureContext | undefined;
  lookup: LookupFunction | undefined;
}

/** A connection by the rules of undici's: Node's for certificates and for hosts of several addresses, and no HTTP/2. */
export function connect({ url, secureContext, lookup }: ConnectOptions, onread: OnReadOpts): Socket {
  const isTls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (isTls ? 443 : 80);
  const where = { host, port, onread, ...(lookup ? { lookup } : {}) };
  if (!isTls) return connectPlain(where);
  // A name is sent as SNI (RFC 6066 section 3), an address is not.
  const name = isIP(host) ? {} : { servername: host };
  const trust = secureContext ? { secureContext } : {};
  return connectTls({ ...where, ...name, ...trust, ALPNProtocols: ['http/1.1'] } as ConnectionOptions);
}
