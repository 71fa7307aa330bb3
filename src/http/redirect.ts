import { type HttpResponse, header, isRedirect } from './client.ts';

/**
 * Where a redirect (RFC 9110 section 15.4) points, relative to the URL asked; `undefined` when the answer is none.
 * From https to http is not followed: it would take the bytes out of TLS.
 */
export function redirectTarget(answer: HttpResponse, url: URL): URL | undefined {
  if (!isRedirect(answer.status)) return undefined;
  const location = header(answer.headers, 'location');
  const target = location ? URL.parse(location, url.href) : undefined;
  if (!target || !/^https?:$/.test(target.protocol)) return undefined;
  return url.protocol === 'https:' && target.protocol === 'http:' ? undefined : target;
}
