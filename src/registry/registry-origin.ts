import type { Dispatcher } from 'undici';
import { BoxcarError } from '../errors.ts';
import { HttpClient } from '../http/client.ts';
import { isUnreachable } from '../http/failure.ts';

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
  const [https, http] = ['https', 'http'].map((each) => new URL(`${each}://${host}`).origin) as [
    string,
    string,
  ];
  const ask = async (origin: string) => {
    const client = new HttpClient({ side: 'registry', dispatcher, origin, stallMs: 5000, userAgent });
    const answer = await client.request({ method: 'GET', url: new URL(`${origin}/v2/`), signal });
    await answer.discard();
    return answer.status;
  };
  try {
    await ask(https);
    return https;
  } catch (error) {
    signal?.throwIfAborted();
    if (speaksNoTls(error)) return http;
    // A certificate that is not trusted is TLS all the same: the next request says what is wrong with it.
    if (error instanceof BoxcarError && !error.transient) return https;
  }
  // It broke off, which may be its way of refusing TLS, or bad luck: http is taken where it is understood. What speaks
  // TLS answers it with 400, if at all.
  const status = await ask(http).catch((error: unknown) => (isUnreachable(error, http) ? 0 : 400));
  return status === 400 ? https : http;
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

function speaksNoTls(error: unknown): boolean {
  return error instanceof BoxcarError && /ERR_SSL_|EPROTO/.test(error.message);
}
