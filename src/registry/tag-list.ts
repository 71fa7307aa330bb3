import { header } from '../http/client.ts';
import { isBloated } from '../http/json-document.ts';
import { isTag } from '../oci/reference.ts';
import type { Repository } from './repository.ts';

const pageSize = 1000;
/** Pages that are read: 20,000 tags where the registry gives as many as it is asked for. */
const mostPages = 20;
/** Bytes of a page: some registries give all tags on the first, whatever they are asked. */
const pageLimit = 8 * 1024 * 1024;

/**
 * A repository's tags (distribution-spec, "Listing tags"), those that the bounded number of pages holds.
 * @returns `undefined` where the registry does not list them; none for a repository that does not exist yet.
 */
export async function listTags(repository: Repository, signal?: AbortSignal): Promise<string[] | undefined> {
  const tags: string[] = [];
  const pages = new Set<string>();
  let url: URL | undefined = repository.url(`tags/list?n=${pageSize}`);
  while (url && pages.size < mostPages && !pages.has(url.href)) {
    pages.add(url.href);
    const { status, found, next } = await tagPage(repository, url, signal);
    if (status === 404) return tags;
    if (status !== 200) return undefined;
    tags.push(...found);
    url = next;
  }
  return tags;
}

interface TagPage {
  status: number;
  found: string[];
  next?: URL | undefined;
}

function tagPage(repository: Repository, url: URL, signal: AbortSignal | undefined): Promise<TagPage> {
  return repository.retrying(async () => {
    const answer = await repository.request({ method: 'GET', url, signal });
    const { status } = answer;
    if (status >= 500 || status === 429)
      throw await repository.error(answer, `the registry did not list the tags of ${repository.path}`);
    if (status !== 200) {
      await answer.discard();
      return { status, found: [] };
    }
    const found = tagsIn(await answer.bytes(pageLimit));
    // Not a list of tags: a page of something in between.
    if (!found) return { status: 0, found: [] };
    return { status, found, next: nextPage(header(answer.headers, 'link'), url) };
  }, signal);
}

function tagsIn(body: Buffer): string[] | undefined {
  if (isBloated(body)) return undefined;
  try {
    const tags = JSON.parse(body.toString('utf8'))?.tags ?? [];
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string' && isTag(tag)) : undefined;
  } catch {
    return undefined;
  }
}

/** `Link: <url>; rel="next"` (RFC 8288), as far as it stays with this registry. */
function nextPage(link: string | undefined, url: URL): URL | undefined {
  const target = /<([^>]+)>\s*;[^,]*\brel="?next\b/i.exec(link ?? '')?.[1];
  const next = target === undefined ? null : URL.parse(target, url.href);
  // Registries behind a proxy may name themselves otherwise: the path and query are what counts.
  return next ? new URL(next.pathname + next.search, url.origin) : undefined;
}
