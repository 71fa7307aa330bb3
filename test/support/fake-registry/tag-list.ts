import type { Dialect } from './dialects.ts';
import type { Exchange } from './exchange.ts';
import type { Storage } from './storage.ts';

/** `GET tags/list`: a page of tags after `last`, and a Link to the next. */
export function tagList(
  exchange: Exchange,
  repository: string,
  { dialect, storage }: { dialect: Dialect; storage: Storage },
): Promise<void> {
  if (dialect.tagsList === 'refused') return exchange.refuse(405, 'UNSUPPORTED');
  const tags = storage.tags(repository);
  if (!tags) return exchange.refuse(404, 'NAME_UNKNOWN');
  if (dialect.tagsList === 'all at once') return reply(exchange, repository, tags);
  const query = new URLSearchParams(exchange.log.url.split('?')[1]);
  const asked = query.get('n') ?? `${Number.MAX_SAFE_INTEGER}`;
  if (!/^\d+$/.test(asked)) return exchange.refuse(400, 'PAGINATION_NUMBER_INVALID');
  const size = Math.min(Number(asked), dialect.tagsPage);
  const token = Buffer.from(query.get('next_page') ?? '', 'base64url').toString();
  const after = query.get('last') ?? token;
  const page = tags
    .sort()
    .filter((tag) => tag > after)
    .slice(0, size);
  const last = page.length === size ? page.at(-1) : undefined;
  // As distribution 3 does: a full page names a next one, which may be empty.
  const link =
    last === undefined ? {} : { link: `<${next(exchange, repository, last, size, dialect)}>; rel="next"` };
  return reply(exchange, repository, page, link);
}

function reply(
  exchange: Exchange,
  name: string,
  tags: string[],
  headers: Record<string, string> = {},
): Promise<void> {
  // Both distributions: no tags are null, not an empty list.
  const document = JSON.stringify({ name, tags: tags.length > 0 ? tags : null });
  return exchange.reply(200, { 'content-type': 'application/json; charset=utf-8', ...headers }, document);
}

function next(
  exchange: Exchange,
  repository: string,
  last: string,
  size: number,
  { tagsNext }: Dialect,
): string {
  const query = new URLSearchParams(
    tagsNext === 'token' ? { next_page: Buffer.from(last).toString('base64url') } : { last },
  );
  query.set('n', `${size}`);
  return `${tagsNext === 'absolute' ? exchange.ownOrigin : ''}/v2/${repository}/tags/list?${query}`;
}
