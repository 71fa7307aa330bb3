import { homedir } from 'node:os';
import { join } from 'node:path';
import { BoxcarError } from '../../errors.ts';
import { credentialsInEntry } from './auth-entry.ts';
import { type AuthFile, readAuthFile } from './auth-file.ts';
import { askHelper } from './credential-helper.ts';
import { bestEntry, isDockerHub } from './entry-match.ts';

/** Who we are to a registry. `source` says where that was found, never what it is. */
export type Credentials =
  | { kind: 'anonymous'; source: string }
  | { kind: 'basic'; username: string; password: string; source: string }
  /** Exchanged for access tokens at the registry's token server; the user name may be empty. */
  | { kind: 'identity'; token: string; username: string; source: string }
  /** An access token, used as it is. */
  | { kind: 'bearer'; token: string; source: string };

export interface CredentialsQuestion {
  /** `host[:port]`. */
  registry: string;
  repository: string;
  env: NodeJS.ProcessEnv;
  /** Default: `HOME`, or the system's word. */
  home?: string;
  signal?: AbortSignal | undefined;
}

/**
 * Credentials for a repository: `OCI_USERNAME` and `OCI_PASSWORD`, then Docker's file, then Podman's; in a file the helper of
 * that registry, the entry by longest prefix, and the store for everything else. An entry that holds a secret counts
 * before the store, unlike in docker, which knows no entries with a path. A file that is not there or may not be read is
 * passed over; the answer `anonymous` tells of one that `REGISTRY_AUTH_FILE` names or that is there and cannot be read.
 * @throws BoxcarError `usage` for half a pair, a malformed file, or a helper that is missing or fails.
 */
export async function findCredentials(question: CredentialsQuestion): Promise<Credentials> {
  const { env } = question;
  const given = fromEnvironment(env);
  if (given) return given;
  const unread: string[] = [];
  for (const path of authFiles(question)) {
    const file = await readAuthFile(path);
    const found = await fromFile(file, question);
    if (found) return found;
    const absent = file.unread === 'ENOENT' || file.unread === 'ENOTDIR';
    if (file.unread && (!absent || path === env.REGISTRY_AUTH_FILE))
      unread.push(`; ${path} could not be read: ${file.unread}`);
  }
  const source = `none found (OCI_USERNAME and OCI_PASSWORD, docker login, podman login${unread.join('')})`;
  return { kind: 'anonymous', source };
}

/** The value of an Authorization header (RFC 7617). */
export function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function fromEnvironment(env: NodeJS.ProcessEnv): Credentials | undefined {
  const { OCI_USERNAME: username, OCI_PASSWORD: password } = env;
  if (!username && !password) return undefined;
  if (username && password)
    return { kind: 'basic', username, password, source: 'OCI_USERNAME and OCI_PASSWORD' };
  throw new BoxcarError(`${username ? 'OCI_USERNAME' : 'OCI_PASSWORD'} is set without the other`, {
    code: 'usage',
    side: 'local',
    hint: 'set both OCI_USERNAME and OCI_PASSWORD, or neither',
  });
}

function authFiles({ env, home = env.HOME || homedir() }: CredentialsQuestion): string[] {
  return [
    join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json'),
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    ...(env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json')] : []),
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json'),
  ];
}

async function fromFile(file: AuthFile, question: CredentialsQuestion): Promise<Credentials | undefined> {
  const { registry, repository } = question;
  const servers = isDockerHub(registry) ? ['https://index.docker.io/v1/', 'docker.io'] : [registry];
  const helper = bestEntry(file.credHelpers, registry);
  // A registry with a helper of its own is not looked for elsewhere in its file (containers/image, findCredentialsInFile).
  if (helper?.value) return fromHelper(helper.value, servers, `credHelpers of ${file.path}`, question);
  const entry = bestEntry(file.auths, registry, repository);
  const found = entry && credentialsInEntry(entry.value, file.path, entry.key);
  if (found || helper || !file.credsStore) return found;
  const keys = new Set([...(entry ? [entry.key] : []), ...servers]);
  return fromHelper(file.credsStore, keys, `credsStore of ${file.path}`, question);
}

/** @param servers the names under which the login may have been stored. */
async function fromHelper(
  name: string,
  servers: Iterable<string>,
  configured: string,
  { env, signal }: CredentialsQuestion,
): Promise<Credentials | undefined> {
  const source = `docker-credential-${name} (${configured})`;
  for (const server of servers) {
    const answer = await askHelper({ name, server, configured, env, signal });
    if (!answer) continue;
    const { username, secret } = answer;
    if (username === '<token>') return { kind: 'identity', token: secret, username: '', source };
    return { kind: 'basic', username, password: secret, source };
  }
  return undefined;
}
