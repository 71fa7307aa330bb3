import { listCommits } from '@huggingface/hub';
import { BoxcarError } from '../errors.ts';
import { type Hub, hubFetch } from './hub.ts';

/** Commits on one page, the hub's largest. */
const pageSize = 1000;
/** Pages that are read for one full one. */
const shorterPages = 4;

/**
 * The commits that led to a revision, newest first, itself included.
 * @param most how many are asked for at most, 1,000 a page. Where a mirror's pages are shorter fewer are found: it is
 *   asked {@link shorterPages} times as often, no more.
 */
export async function listHistory(
  hub: Hub,
  model: string,
  revision: string,
  most: number,
  signal?: AbortSignal,
): Promise<string[]> {
  const lastPage = shorterPages * Math.ceil(most / pageSize);
  const fetch = hubFetch(hub, `the commits of ${model}`, areCommits, signal, lastPage);
  const repo = { type: 'model', name: model } as const;
  const batchSize = Math.min(most, pageSize);
  const found: string[] = [];
  for await (const { oid } of listCommits({ repo, revision, batchSize, hubUrl: hub.endpoint, fetch })) {
    if (/^[0-9a-f]{40}$/.test(oid)) found.push(oid);
    if (found.length >= most) break;
  }
  return found;
}

/** What the library reads of a page. */
function areCommits(page: unknown): boolean {
  const isObject = (value: unknown) => typeof value === 'object' && value !== null;
  const isCommit = (commit: { id?: unknown; authors?: unknown } | null) =>
    typeof commit?.id === 'string' && Array.isArray(commit.authors) && commit.authors.every(isObject);
  return Array.isArray(page) && page.every(isCommit);
}

/** How far back a shortened commit is searched for: commits of the default branch. */
const searchedCommits = 5000;

/**
 * The commit of the default branch that starts so; the hub's API takes whole ones only.
 * @throws BoxcarError `not-found` where several do.
 */
export async function findCommit(
  hub: Hub,
  model: string,
  start: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const history = await listHistory(hub, model, 'main', searchedCommits, signal);
  const found = history.filter((oid) => oid.startsWith(start));
  if (found.length > 1) {
    throw new BoxcarError(`the revision ${start} of ${model} is the start of ${found.length} commits`, {
      code: 'not-found',
      side: 'hub',
      hint: `give more of its digits: ${found.map((oid) => oid.slice(0, start.length + 4)).join(', ')}`,
    });
  }
  return found[0];
}
