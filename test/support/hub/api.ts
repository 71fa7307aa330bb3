import { createHash } from 'node:crypto';
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { StoredCommit, StoredFile, StoredModel } from './model.ts';

/** What the answers of the API depend on, besides the model. */
export interface ApiRequest {
  url: URL;
  /** Entries of a tree on one page. */
  pageSize: number;
}

/** `GET /api/models/{name}/revision/{rev}`: everything, or what `expand` names. */
export function modelInfo(model: StoredModel, commit: StoredCommit, { url }: ApiRequest): Answer {
  const everything: Record<string, unknown> = {
    author: model.name.split('/')[0],
    sha: commit.id,
    lastModified: model.commits[0]?.date,
    createdAt: model.commits.at(-1)?.date,
    private: model.private ?? false,
    gated: model.gated ?? false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: model.modelTags ?? [],
    pipeline_tag: model.pipelineTag,
    library_name: model.libraryName,
    cardData: model.cardData,
    siblings: [...commit.files.keys()].map((rfilename) => ({ rfilename })),
  };
  const expand = [...url.searchParams.getAll('expand'), ...url.searchParams.getAll('expand[]')];
  const wanted = expand.length === 0 ? Object.keys(everything) : expand;
  const fields = Object.fromEntries(wanted.map((field) => [field, everything[field]]));
  const _id = createHash('sha1').update(model.name).digest('hex').slice(0, 24);
  return jsonAnswer({ _id, id: model.name, ...fields });
}

/** `GET /api/models/{name}/tree/{rev}/{path}`: files and directories, a page at a time. */
export function tree(model: StoredModel, commit: StoredCommit, folder: string, request: ApiRequest): Answer {
  const query = request.url.searchParams;
  const expand = query.get('expand') === 'true';
  const entries = treeEntries(commit, folder, query.get('recursive') === 'true');
  if (folder !== '' && entries.length === 0)
    return errorAnswer(404, `${folder} does not exist`, 'EntryNotFound');
  // The real hub, too, shortens its pages where it has more to say about each entry.
  const limit = Math.min(
    Number(query.get('limit') ?? Number.POSITIVE_INFINITY),
    request.pageSize,
    expand ? 50 : Infinity,
  );
  const from = Number(Buffer.from(query.get('cursor') ?? 'MA==', 'base64').toString());
  const page = entries.slice(from, from + limit);
  const body = expand ? page.map((entry) => ({ ...entry, ...expansion(model, commit, entry.path) })) : page;
  const cursor = Buffer.from(String(from + limit)).toString('base64');
  return jsonAnswer(body, from + limit < entries.length ? nextLink(request.url, { cursor }) : {});
}

/** `GET /api/models/{name}/commits/{rev}`: this commit and those before it. */
export function commits(model: StoredModel, commit: StoredCommit, { url }: ApiRequest): Answer {
  const history = model.commits.slice(model.commits.indexOf(commit));
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 50), 1000);
  const page = Number(url.searchParams.get('p') ?? 0);
  const body = history.slice(page * limit, (page + 1) * limit).map(({ id, title, date }) => {
    return { id, title, message: '', date, authors: [{ user: 'someone', avatar: '' }] };
  });
  const more = (page + 1) * limit < history.length;
  const headers = more ? nextLink(url, { p: String(page + 1) }) : {};
  return jsonAnswer(body, { 'x-total-count': String(history.length), ...headers });
}

interface TreeEntry {
  type: 'file' | 'directory';
  oid: string;
  size: number;
  path: string;
}

function treeEntries(commit: StoredCommit, folder: string, recursive: boolean): TreeEntry[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const entries = new Map<string, TreeEntry>();
  for (const file of commit.files.values()) {
    if (!file.path.startsWith(prefix)) continue;
    const names = file.path.slice(prefix.length).split('/');
    const depth = recursive ? names.length : 1;
    for (let length = 1; length <= depth; length++) {
      const path = prefix + names.slice(0, length).join('/');
      if (length === names.length) entries.set(path, fileEntry(file));
      else if (!entries.has(path)) entries.set(path, directoryEntry(path));
    }
  }
  return [...entries.values()];
}

function fileEntry({ path, oid, content, lfs, xetHash }: StoredFile): TreeEntry {
  return { type: 'file', oid, size: content.size, ...(lfs && { lfs, xetHash }), path };
}

/** No client looks at a directory's object id; it only has to look like one. */
function directoryEntry(path: string): TreeEntry {
  return { type: 'directory', oid: createHash('sha1').update(`tree ${path}`).digest('hex'), size: 0, path };
}

function expansion(model: StoredModel, commit: StoredCommit, path: string): Record<string, unknown> {
  const file = commit.files.get(path);
  let last = commit;
  for (const older of model.commits.slice(model.commits.indexOf(commit) + 1)) {
    if (older.files.get(path)?.oid !== file?.oid) break;
    last = older;
  }
  const lastCommit = { id: last.id, title: last.title, date: last.date };
  return file ? { lastCommit, securityFileStatus: { status: file.security } } : { lastCommit };
}

/** The link is absolute, as the hub's: a mirror that copies it sends its client elsewhere. */
function nextLink(url: URL, query: Record<string, string>): Record<string, string> {
  const next = new URL(url);
  for (const [name, value] of Object.entries(query)) next.searchParams.set(name, value);
  return { link: `<${next}>; rel="next"` };
}
