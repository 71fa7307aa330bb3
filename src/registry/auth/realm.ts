import { BoxcarError, printable } from '../../errors.ts';
import { isLoopback } from '../registry-origin.ts';

/**
 * The token server that a challenge names, which credentials will be sent to. It may be of another origin than the registry
 * (auth.docker.io is); but secrets of an https registry stay within TLS, or on this machine.
 * @throws BoxcarError `registry-failed`.
 */
export function tokenServer(realm: string, registry: URL): URL {
  const url = URL.parse(realm, registry.href);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && mayBePlain(url, registry))) {
    return url;
  }
  const bare = url?.protocol === 'http:' ? `${url.origin}${url.pathname}` : realm.replace(/\/\/.*@/s, '//');
  const where = printable(bare, 100);
  throw new BoxcarError('the registry names a token server that credentials cannot be sent to', {
    code: 'registry-failed',
    side: 'registry',
    hint:
      url?.protocol === 'http:'
        ? `its realm ${where} is http although the registry is https`
        : `its realm ${JSON.stringify(where)} is no http(s) URL`,
  });
}

function mayBePlain(realm: URL, registry: URL): boolean {
  return registry.protocol === 'http:' || (isLoopback(registry.host) && isLoopback(realm.host));
}
