import { homedir } from 'node:os';
import { join } from 'node:path';
import { BoxcarError } from '../../errors.ts';
import { type AuthEntry, type AuthFile, longestPrefix, readAuthFile } from './auth-file.ts';
import { askHelper, type HelperAnswer } from './credential-helper.ts';

/** Who we are to a registry. `source` says where that was found, never what it is. */
export type Credentials =
  | { kind: 'anonymous'; source: string }
  | { kind: 'basic'; username: string; password: string; source: string }
  /** Exchanged for access tokens at the registry's token server. */
  | { kind: 'identity'; token: string; username: string; source: string }
  /** An access token, used as it is. */
  | { kind: 'bearer'; token: string; source: string };

/** Names Docker Hub's credentials have in Docker's stores. */
const dockerHubServer = 'https://index.docker.io/v1/';

/**
 * Credentials for a repository: `OCI_USERNAME` and `OCI_PASSWORD`, then Docker's files, then Podman's; in a file an own
 * helper for the registry, an entry by longest prefix, and the store for everything.
 * @throws BoxcarError `usage` for half a pair, a malformed file, or a helper that is missing or fails.
 */
export async function findCredentials({
  registry,
  repository,
  env,
}: {
  registry: string;
  repository: string;
  env: NodeJS.ProcessEnv;
}): Promise<Credentials> {
  const given = fromEnvironment(env);
  if (given) return given;
  for (const path of authFiles(env)) {
    const file = await readAuthFile(path);
    const found = file && (await fromFile(file, registry, repository, env));
    if (found) return found;
  }
  return {
    kind: 'anonymous',
    source: 'none found (OCI_USERNAME and OCI_PASSWORD, docker login, podman login)',
  };
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

function authFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME || homedir();
  return [
    join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json'),
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    ...(env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json')] : []),
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json'),
  ];
}

async function fromFile(
  file: AuthFile,
  registry: string,
  repository: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  const server = /^(index\.|registry-1\.)?docker\.io$/.test(registry) ? dockerHubServer : registry;
  const helper = longestPrefix(file.credHelpers, registry, '');
  if (helper) {
    const configured = `credHelpers of ${file.path}`;
    const answer = await askHelper(helper.value, server, configured, env);
    return answer && fromHelper(answer, `docker-credential-${helper.value} (${configured})`);
  }
  const entry = longestPrefix(file.auths, registry, repository);
  const found = entry && fromEntry(entry.value, `${file.path}, entry ${entry.key}`);
  if (found) return found;
  if (!file.credsStore) return undefined;
  const configured = `credsStore of ${file.path}`;
  const answer = await askHelper(file.credsStore, entry?.key ?? server, configured, env);
  return answer && fromHelper(answer, `docker-credential-${file.credsStore} (${configured})`);
}

function fromHelper({ username, secret }: HelperAnswer, source: string): Credentials {
  if (username === '<token>') return { kind: 'identity', token: secret, username, source };
  return { kind: 'basic', username, password: secret, source };
}

/** `undefined` for an empty entry, which docker leaves where a store has the secret. */
function fromEntry(entry: AuthEntry, source: string): Credentials | undefined {
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  if (text(entry.registrytoken)) return { kind: 'bearer', token: text(entry.registrytoken), source };
  // Old dockers pad `auth` with NULs (docker/cli, decodeAuth).
  const decoded = Buffer.from(text(entry.auth), 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  const username = text(entry.username) || decoded.slice(0, Math.max(0, colon));
  const password = text(entry.password) || (colon < 0 ? '' : decoded.slice(colon + 1));
  if (text(entry.identitytoken))
    return { kind: 'identity', token: text(entry.identitytoken), username, source };
  return username && password ? { kind: 'basic', username, password, source } : undefined;
}
