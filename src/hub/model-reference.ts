import { BoxcarError } from '../errors.ts';

/** A model as a user names it. */
export interface ModelReference {
  /** `org/name`; a few old models have a bare name. */
  model: string;
  /** Branch, tag, commit or the start of one. */
  revision?: string;
  /** Set when a URL names a hub. */
  endpoint?: string;
}

export const defaultEndpoint = 'https://huggingface.co';

const segment = /^[\w][\w.-]*$/;

/**
 * Reads `org/name`, `org/name@revision`, `hf://org/name@revision` and URLs of a model's page.
 * @throws BoxcarError `usage`, naming what was given.
 */
export function parseModelReference(text: string): ModelReference {
  const reference = /^https?:\/\//.test(text) ? fromUrl(text) : fromName(text.replace(/^hf:\/\//, ''));
  const segments = reference.model.split('/');
  if (segments.length > 2 || !segments.every((part) => segment.test(part))) throw malformed(text);
  if (reference.revision !== undefined && !isRevision(reference.revision)) throw malformed(text);
  return reference;
}

/** Whether git could have such a branch, tag or commit (git-check-ref-format(1), the parts that matter in a URL). */
export function isRevision(text: string): boolean {
  return (
    /^[^\s~^:?*[\\\0-\x1f\x7f]+$/.test(text) &&
    !text.includes('..') &&
    !text.startsWith('/') &&
    !text.endsWith('/')
  );
}

function fromName(text: string): ModelReference {
  const [model = '', ...revision] = text.split('@');
  return revision.length > 0 ? { model, revision: revision.join('@') } : { model };
}

/** `https://host/org/name[/tree|blob|resolve|commit/<revision>[/...]]`; only `refs/...` revisions have slashes there. */
function fromUrl(text: string): ModelReference {
  const url = URL.parse(text);
  // A login in it would be repeated with the command; the hub takes tokens.
  if (!url || url.username || url.password) throw malformed(text);
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const at = parts.findIndex((part) => ['tree', 'blob', 'resolve', 'commit'].includes(part));
  const name = at < 0 ? parts : parts.slice(0, at);
  const rest = at < 0 ? [] : parts.slice(at + 1);
  const revision = rest[0] === 'refs' ? rest.slice(0, 3).join('/') : rest[0];
  return {
    model: name.join('/'),
    ...(revision ? { revision: decoded(revision) ?? '' } : {}),
    endpoint: url.origin,
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function malformed(text: string): BoxcarError {
  return new BoxcarError(`not a model: ${JSON.stringify(withoutUserinfo(text))}`, {
    code: 'usage',
    side: 'local',
    hint: 'name it as org/name, org/name@revision, hf://org/name@revision, or by the URL of its page on the hub',
  });
}

/**
 * The hub's address without a trailing slash.
 * @throws BoxcarError `usage`.
 */
export function parseEndpoint(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new BoxcarError(`not the address of a hub: ${JSON.stringify(withoutUserinfo(text))}`, {
      code: 'usage',
      side: 'local',
      hint: 'give --hf-endpoint (HF_ENDPOINT) as https://host, without credentials',
    });
  }
  return url.href.replace(/\/+$/, '');
}

/** A URL is not repeated with a login or a token that someone has put into it. */
function withoutUserinfo(text: string): string {
  const url = URL.parse(text);
  return url?.host ? `${url.protocol}//${url.host}${url.pathname}` : text.replace(/\/\/.*@/s, '//');
}
