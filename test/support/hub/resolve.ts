import { type Answer, errorAnswer, fileAnswer, jsonAnswer, textAnswer } from './answer.ts';
import type { SignedUrls } from './cdn.ts';
import type { StoredCommit, StoredFile, StoredModel } from './model.ts';

export interface ResolveOptions {
  /** Status of the redirect to the CDN. Default 302. */
  redirectStatus?: 302 | 307 | 308;
  /** As a mirror may do: large files, too, are on the hub's own origin, behind a relative Location. */
  relativeRedirects?: boolean;
  /** As the real hub does since 2025: small files are a relative 307 to `/api/resolve-cache/`. Default: answered at once. */
  resolveCache?: boolean;
  /** As some mirrors do: no X-Repo-Commit. */
  omitRepoCommit?: boolean;
}

export interface ResolveRequest {
  hubUrl: string;
  cdnUrl: string;
  signedUrls: SignedUrls;
  headers: Record<string, string>;
  options: ResolveOptions;
}

/** `GET /{org}/{name}/resolve/{rev}/{path}`: small files themselves, large ones by redirect to the CDN. */
export function resolve(
  model: StoredModel,
  commit: StoredCommit,
  path: string,
  request: ResolveRequest,
): Answer {
  const headers: Record<string, string> = request.options.omitRepoCommit
    ? {}
    : { 'x-repo-commit': commit.id };
  const file = commit.files.get(path);
  if (!file) {
    const answer = errorAnswer(404, 'Entry not found', 'EntryNotFound', true);
    return { ...answer, headers: { ...answer.headers, ...headers } };
  }
  if (file.lfs) return largeFile(model, commit, file, headers, request);
  const location = `/api/resolve-cache/models/${model.name}/${commit.id}/${encodePath(path)}`;
  if (request.options.resolveCache) {
    const linked = { ...headers, location, 'x-linked-etag': `"${file.oid}"`, 'accept-ranges': 'bytes' };
    return textAnswer(307, `Temporary Redirect. Redirecting to ${location}`, linked);
  }
  return smallFile(file, request.headers.range, headers);
}

export function smallFile(
  file: StoredFile,
  range: string | undefined,
  headers: Record<string, string>,
): Answer {
  return fileAnswer(file.path, file.content, range, { ...headers, etag: `"${file.oid}"` });
}

function largeFile(
  model: StoredModel,
  commit: StoredCommit,
  file: StoredFile,
  fields: Record<string, string>,
  request: ResolveRequest,
): Answer {
  const api = `${request.hubUrl}/api/models/${model.name}`;
  const xetHash = file.xetHash ?? '';
  const headers: Record<string, string> = {
    ...fields,
    'accept-ranges': 'bytes',
    'x-linked-size': String(file.content.size),
    'x-linked-etag': `"${file.lfs?.oid}"`,
    'x-xet-hash': xetHash,
    link: `<${api}/xet-read-token/${commit.id}>; rel="xet-auth", <${api}/reconstructions/${xetHash}>; rel="xet-reconstruction-info"`,
  };
  // A client that speaks Xet asks first for the file's address there; @huggingface/hub always does.
  if (request.headers.accept?.includes('application/vnd.xet-fileinfo+json')) {
    return jsonAnswer({ hash: xetHash }, { ...headers, 'content-type': 'application/vnd.xet-fileinfo+json' });
  }
  const signed = request.signedUrls.issue(`/xet-bridge/${model.name}/${commit.id}/${encodePath(file.path)}`);
  const location = request.options.relativeRedirects ? signed : request.cdnUrl + signed;
  const status = request.options.redirectStatus ?? 302;
  return textAnswer(status, `Found. Redirecting to ${location}`, { ...headers, location });
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
