import type { Dialect } from './dialects.ts';
import type { Exchange } from './exchange.ts';
import type { Storage } from './storage.ts';

/** HEAD or GET of a blob: itself, or where in the storage it is. */
export function blob(
  exchange: Exchange,
  repository: string,
  digest: string,
  { dialect, storage, storageUrl }: { dialect: Dialect; storage: Storage; storageUrl: string },
): Promise<void> {
  const { method } = exchange.log;
  if (method !== 'GET' && method !== 'HEAD') return exchange.refuse(405, 'UNSUPPORTED');
  const bytes = storage.blob(repository, digest);
  if (!bytes) return exchange.refuse(404, 'BLOB_UNKNOWN');
  if (dialect.headBlob === 200) return send(exchange, digest, bytes, dialect);
  return exchange.reply(307, { location: `${storageUrl}/blob/${digest}?${signature(method)}` });
}

/** The object store's side: no repositories, and a URL that is good for what it was signed for. */
export function storedObject(
  exchange: Exchange,
  digest: string,
  { dialect, storage }: { dialect: Dialect; storage: Storage },
): Promise<void> {
  const { method, url } = exchange.log;
  if (!url.endsWith(`?${signature(method)}`)) return exchange.refuse(403, 'SignatureDoesNotMatch');
  const bytes = storage.blobs.get(digest);
  return bytes ? send(exchange, digest, bytes, dialect) : exchange.refuse(404, 'NoSuchKey');
}

/** Object stores sign the method, too: what was signed for HEAD cannot be read. */
function signature(method: string): string {
  return `method=${method}&sig=a%2Fb+c~%27`;
}

/** One range, or the whole (RFC 9110, 14.2); several at once, which nobody asks for, get the whole. */
function send(exchange: Exchange, digest: string, bytes: Buffer, { blobRanges }: Dialect): Promise<void> {
  const size = bytes.length;
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    ...(blobRanges && { 'accept-ranges': 'bytes' }),
  };
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(exchange.log.headers.range ?? '') ?? [];
  if (!blobRanges || size === 0 || first + last === '')
    return exchange.reply(200, { ...headers, 'content-length': `${size}` }, bytes);
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (from >= to)
    return exchange.refuse(416, 'invalid range: failed to overlap\n', {
      ...headers,
      'content-range': `bytes */${size}`,
    });
  const told = { 'content-length': `${to - from}`, 'content-range': `bytes ${from}-${to - 1}/${size}` };
  return exchange.reply(206, { ...headers, ...told }, bytes.subarray(from, to));
}
