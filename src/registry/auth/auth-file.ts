import { readFile } from 'node:fs/promises';
import { BoxcarError } from '../../errors.ts';

/** An entry of `auths` (docker/cli, cli/config/types/authconfig.go). */
export interface AuthEntry {
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
}

/** Docker's config.json or Podman's auth.json, as far as credentials go (containers-auth.json(5)). */
export interface AuthFile {
  path: string;
  auths: Record<string, AuthEntry>;
  credHelpers: Record<string, string>;
  credsStore?: string;
}

/**
 * Reads a credentials file.
 * @returns `undefined` where there is none, or none that may be read.
 * @throws BoxcarError `usage` when it is not JSON of the right shape; its content is never shown.
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined || text.trim() === '') return undefined;
  let content: Record<string, unknown>;
  try {
    content = JSON.parse(text);
  } catch {
    throw malformed(path);
  }
  if (!isRecord(content)) throw malformed(path);
  const { auths = {}, credHelpers = {}, credsStore } = content;
  if (
    !isRecord(auths) ||
    !isRecord(credHelpers) ||
    (credsStore !== undefined && typeof credsStore !== 'string')
  ) {
    throw malformed(path);
  }
  return {
    path,
    auths: Object.fromEntries(
      Object.entries(auths).filter(([, entry]) => isRecord(entry)),
    ) as AuthFile['auths'],
    credHelpers: Object.fromEntries(
      Object.entries(credHelpers).filter(([, name]) => typeof name === 'string'),
    ) as AuthFile['credHelpers'],
    ...(credsStore ? { credsStore } : {}),
  };
}

/** The value whose key is the longest prefix of `registry/repository`, segment by segment. */
export function longestPrefix<T>(
  entries: Record<string, T>,
  registry: string,
  repository: string,
): { key: string; value: T } | undefined {
  const byName = new Map(Object.entries(entries).map(([key, value]) => [canonical(key), { key, value }]));
  const segments = [canonical(registry), ...repository.split('/')];
  for (let length = segments.length; length > 0; length--) {
    const found = byName.get(segments.slice(0, length).join('/'));
    if (found) return found;
  }
  return undefined;
}

/** Entries may have a scheme, a trailing slash, an API version, and for Docker Hub any of its names. */
function canonical(key: string): string {
  const name = key
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/\/v[12]$/, '');
  return name.replace(
    /^(index\.docker\.io|registry-1\.docker\.io|registry\.hub\.docker\.com)(?=\/|$)/,
    'docker.io',
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(path: string): BoxcarError {
  return new BoxcarError(`the credentials file ${path} is malformed`, {
    code: 'usage',
    side: 'local',
    hint: 'repair it or log in anew (docker login, podman login), or set OCI_USERNAME and OCI_PASSWORD',
  });
}
