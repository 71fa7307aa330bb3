import type { AccessOptions } from './access.ts';
import { refusal } from './access.ts';
import { type Answer, errorAnswer } from './answer.ts';
import { commits, modelInfo, tree } from './api.ts';
import { cdnAnswer } from './cdn.ts';
import { findCommit, type StoredFile, type StoredModel } from './model.ts';
import { type ResolveOptions, type ResolveRequest, resolve, smallFile } from './resolve.ts';

export interface Routing extends Omit<ResolveRequest, 'headers'> {
  models: Map<string, StoredModel>;
  pageSize: number;
  options: AccessOptions & ResolveOptions;
}

/** The hub's answer to `url`. */
export function hubAnswer(routing: Routing, url: URL, headers: Record<string, string>): Answer {
  const segments = url.pathname.split('/').slice(1).map(decodeURIComponent);
  if (segments[0] === 'xet-bridge') return bridgeAnswer(routing, url, headers);
  const inApi = segments[0] === 'api' && segments[1] === 'models';
  const inCache = segments[0] === 'api' && segments[1] === 'resolve-cache' && segments[2] === 'models';
  const [org, name, ...rest] = segments.slice(inApi ? 2 : inCache ? 3 : 0);
  const model = routing.models.get(`${org}/${name}`);
  const refused = refusal(routing.options, headers.authorization, model, inApi ? 'metadata' : 'content');
  if (refused || !model) return refused ?? errorAnswer(404, 'Repository not found', 'RepoNotFound');

  const kind = inCache ? 'resolve-cache' : rest.shift();
  const { revision, path } = splitRevision(rest);
  const commit = findCommit(model, revision);
  if (!commit) return errorAnswer(404, `Invalid rev id: ${revision}`, 'RevisionNotFound', !inApi);
  const request = { url: new URL(url.pathname + url.search, routing.hubUrl), pageSize: routing.pageSize };
  if (inApi && (kind === 'revision' || kind === undefined)) return modelInfo(model, commit, request);
  if (inApi && kind === 'tree') return tree(model, commit, path, request);
  if (inApi && kind === 'commits') return commits(model, commit, request);
  if (!inApi && kind === 'resolve') return resolve(model, commit, path, { ...routing, headers });
  const file = kind === 'resolve-cache' ? commit.files.get(path) : undefined;
  if (file) return smallFile(file, headers.range, { 'x-repo-commit': commit.id });
  return errorAnswer(404, `the test hub has no ${url.pathname}`);
}

/** The CDN's answer to `url`; where redirects are relative, the hub's own. */
export function bridgeAnswer(routing: Routing, url: URL, headers: Record<string, string>): Answer {
  return cdnAnswer(url, bridgeFile(routing, url), routing.signedUrls, headers.range);
}

function bridgeFile(routing: Routing, url: URL): StoredFile | undefined {
  const [, , org, name, id, ...path] = url.pathname.split('/').map(decodeURIComponent);
  const commit = routing.models.get(`${org}/${name}`)?.commits.find((each) => each.id === id);
  return commit?.files.get(path.join('/'));
}

/** One encoded segment is the revision; of those with slashes the hub knows `refs/pr/N` and `refs/convert/X` unencoded. */
function splitRevision(segments: string[]): { revision: string; path: string } {
  const special = segments[0] === 'refs' && (segments[1] === 'pr' || segments[1] === 'convert');
  const length = special ? 3 : 1;
  const revision = segments.slice(0, length).join('/') || 'HEAD';
  return { revision, path: segments.slice(length).join('/') };
}
