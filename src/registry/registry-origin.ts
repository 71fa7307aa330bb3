import type { Dispatcher } from 'undici';
import { BoxcarError } from '../errors.ts';
import { HttpClient } from '../http/client.ts';

export interface OriginOptions {
  /** `host[:port]`. */
  registry: string;
  /** Set by `--plain-http`, or by a target written as a URL. */
  scheme?: 'http' | 'https' | undefined;
  dispatcher: Dispatcher;
  userAgent: string;
}

/**
 * The origin to speak to: https, unless told otherwise. A registry on loopback may have no TLS, so that there https is
 * tried once, as docker does for 127.0.0.0/8, and http taken where the other side does not speak TLS at all.
 */
export async function registryOrigin(options: OriginOptions, signal?: AbortSignal): Promise<string> {
  const { registry, scheme, dispatcher, userAgent } = options;
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  if (scheme || !isLoopback(host)) return new URL(`${scheme ?? 'https'}://${host}`).origin;
  const origin = new URL(`https://${host}`).origin;
  const http = new HttpClient({ side: 'registry', dispatcher, origin, stallMs: 5000, userAgent });
  try {
    await (await http.request({ method: 'GET', url: new URL(`${origin}/v2/`), signal })).discard();
    return origin;
  } catch (error) {
    // A certificate that is not trusted is TLS all the same: the next request says what is wrong with it.
    const certificate = error instanceof BoxcarError && !error.transient && !speaksNoTls(error);
    return certificate ? origin : new URL(`http://${host}`).origin;
  }
}

export function isLoopback(host: string): boolean {
  const { hostname } = new URL(`http://${host}`);
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname) ||
    hostname === '[::1]'
  );
}

function speaksNoTls(error: BoxcarError): boolean {
  return /ERR_SSL_|EPROTO/.test(error.message);
}
