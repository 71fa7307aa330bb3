import type { Dialect } from './dialects.ts';
import type { Exchange } from './exchange.ts';
import { reported } from './reported.ts';
import { childrenOf, digestOf, isDigest, type Storage } from './storage.ts';

interface Kept {
  dialect: Dialect;
  storage: Storage;
}

export function manifest(
  exchange: Exchange,
  repository: string,
  reference: string,
  kept: Kept,
): Promise<void> {
  const { method } = exchange.log;
  if (method === 'PUT') return put(exchange, repository, reference, kept);
  if (method === 'DELETE') return remove(exchange, repository, reference, kept);
  const there = kept.storage.manifest(repository, reference);
  if (!there) return exchange.refuse(404, 'MANIFEST_UNKNOWN');
  const { bytes, mediaType } = there;
  const headers = { 'content-type': mediaType, 'content-length': `${bytes.length}` };
  const digest = kept.dialect.reportedDigest === 'none' ? {} : { 'docker-content-digest': digestOf(bytes) };
  return exchange.reply(200, { ...headers, ...digest }, bytes);
}

/** Any kind of manifest and artifact, once all that it names is in the repository; its subject need not be. */
async function put(
  exchange: Exchange,
  repository: string,
  reference: string,
  { dialect, storage }: Kept,
): Promise<void> {
  const { bytes } = await exchange.body(dialect.bodyLimit);
  const mediaType = exchange.log.headers['content-type'] ?? '';
  const digest = digestOf(bytes);
  const children = childrenOf(bytes);
  if (!children || !/^application\/vnd\.(oci\.image|docker\.distribution)\./.test(mediaType))
    return exchange.refuse(400, 'MANIFEST_INVALID');
  if (isDigest(reference) && reference !== digest) return exchange.refuse(400, 'DIGEST_INVALID');
  const complete =
    children.blobs.every((blob) => storage.blob(repository, blob)) &&
    children.manifests.every((child) => storage.manifest(repository, child));
  if (!complete) return exchange.refuse(400, 'MANIFEST_BLOB_UNKNOWN');
  const before = isDigest(reference) ? undefined : storage.manifest(repository, reference);
  if (dialect.immutableTags && before && !before.bytes.equals(bytes)) {
    const message = `The image tag '${reference}' already exists in the '${repository}' repository and cannot be overwritten because the repository is immutable.`;
    return exchange.refuse(400, 'TAG_INVALID', {}, message);
  }
  storage.putManifest(repository, reference, { bytes, mediaType });
  return exchange.reply(201, {
    location: `${exchange.ownOrigin}/v2/${repository}/manifests/${digest}`,
    ...reported(dialect, digest),
  });
}

async function remove(
  exchange: Exchange,
  repository: string,
  reference: string,
  { dialect, storage }: Kept,
): Promise<void> {
  if (dialect.deletes === 'refused') return exchange.refuse(405, 'UNSUPPORTED');
  if (dialect.deletes === 'digests' && !isDigest(reference)) return exchange.refuse(400, 'DIGEST_INVALID');
  if (!storage.manifest(repository, reference)) return exchange.refuse(404, 'MANIFEST_UNKNOWN');
  const tagged = isDigest(reference) && storage.tagsOf(repository, reference).length > 0;
  if (tagged && dialect.deletes === 'untagged digests')
    return exchange.refuse(400, 'GOOGLE_MANIFEST_DANGLING_TAG');
  storage.deleteManifest(repository, reference);
  return exchange.reply(202);
}
