import { printable } from '../../errors.ts';
import { isRecord, malformedFile } from './auth-file.ts';
import type { Credentials } from './credentials.ts';

/**
 * The credentials in an entry of `auths` (docker/cli, cli/config/types/authconfig.go): an access token, an identity token,
 * `auth`, or user name and password in the clear.
 * @returns `undefined` for an empty entry, which docker leaves where a store has the secret.
 * @throws BoxcarError `usage` that names file and entry when they make no sense.
 */
export function credentialsInEntry(entry: unknown, path: string, key: string): Credentials | undefined {
  const name = printable(key);
  const malformed = () => malformedFile(path, ` at its entry ${name}`);
  if (!isRecord(entry)) throw malformed();
  const text = (field: string): string => {
    const value = entry[field] ?? '';
    if (typeof value !== 'string') throw malformed();
    return value;
  };
  const source = `${path}, entry ${name}`;
  if (text('registrytoken')) return { kind: 'bearer', token: text('registrytoken'), source };
  const login = text('auth') ? decodeAuth(text('auth')) : [text('username'), text('password')];
  if (text('identitytoken')) {
    return { kind: 'identity', token: text('identitytoken'), username: login?.[0] ?? '', source };
  }
  if (!login) throw malformed();
  const [username = '', password = ''] = login;
  if (username === '' && password === '') return undefined;
  if (username === '') throw malformed();
  return { kind: 'basic', username, password, source };
}

/**
 * `user:password` in base64, where only the password may hold a colon; old dockers padded it with NULs (docker/cli, decodeAuth).
 * Kubernetes' tools leave out the `=` (go-containerregistry, decodeDockerConfigFieldAuth).
 */
function decodeAuth(auth: string): [string, string] | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(auth.replace(/\s+/g, ''))) return undefined;
  const decoded = Buffer.from(auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0) return undefined;
  return [decoded.slice(0, colon), decoded.slice(colon + 1).replace(/^\0+|\0+$/g, '')];
}
