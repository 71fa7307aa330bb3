import { readFile } from 'node:fs/promises';
import { BoxcarError } from '../../errors.ts';

/** Docker's config.json or Podman's auth.json, as far as credentials go (containers-auth.json(5)). */
export interface AuthFile {
  path: string;
  /** Values as they stand in the file: an entry is judged when it is the one that counts. */
  auths: Map<string, unknown>;
  /** Registry to the name of its helper; an empty name means the file itself (docker/cli, GetCredentialsStore). */
  credHelpers: Map<string, string>;
  credsStore?: string;
  /** Why it could not be read, in the system's word: `ENOENT`. It has no entries then. */
  unread?: string;
}

/**
 * Reads a credentials file; one that is not there, or that may not be read, has no entries.
 * @throws BoxcarError `usage` when it is not JSON of the right shape; its content is never shown.
 */
export async function readAuthFile(path: string): Promise<AuthFile> {
  const none = { path, auths: new Map(), credHelpers: new Map() };
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return { ...none, unread: (error as NodeJS.ErrnoException).code ?? 'unreadable' };
  }
  if (text.trim() === '') return none;
  const content = parse(text);
  if (!isRecord(content)) throw malformedFile(path);
  const { credsStore } = content;
  const auths = entries(content.auths);
  const helpers = entries(content.credHelpers);
  if (!auths || !helpers?.every(([, name]) => typeof name === 'string')) throw malformedFile(path);
  if (credsStore !== undefined && credsStore !== null && typeof credsStore !== 'string')
    throw malformedFile(path);
  return {
    path,
    auths: new Map(auths),
    credHelpers: new Map(helpers as [string, string][]),
    ...(credsStore ? { credsStore } : {}),
  };
}

/** The error of V8 quotes the text it stumbled over, which may be a password: it is dropped. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `undefined` for what is no object. Go, whose tools write these files, writes a missing map as null. */
function entries(value: unknown): [string, unknown][] | undefined {
  if (value === undefined || value === null) return [];
  return isRecord(value) ? Object.entries(value) : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function malformedFile(path: string, where = ''): BoxcarError {
  return new BoxcarError(`the credentials file ${path} is malformed${where}`, {
    code: 'usage',
    side: 'local',
    hint: 'repair it or log in anew (docker login, podman login), or set OCI_USERNAME and OCI_PASSWORD',
  });
}
