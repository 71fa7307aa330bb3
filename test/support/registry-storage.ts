import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetch, type RequestInit } from 'undici';
import type { Registry } from './registries.ts';

export interface FetchedManifest {
  digest: string;
  mediaType: string;
  bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into manifests of any kind, and one with another shape shall fail there.
  json: any;
}

/** What a registry really holds: its disk, read without its help, and its manifests as any client gets them. */
export interface Inspection {
  /** Bytes of everything under its storage, uploads under way included. */
  bytesOnDisk(): number;
  /** Digests of its blobs, sorted; manifests are blobs, too. */
  blobs(): string[];
  /** Bytes of a blob, from its disk; throws where there is none. */
  blob(digest: string): Buffer;
  /** Uploads that were begun in a repository and neither finished nor cancelled. */
  uploads(repository: string): string[];
  tags(repository: string): string[];
  /** Digests of the blobs that were uploaded to a repository or mounted there, sorted. */
  blobsOf(repository: string): string[];
  /** By tag or digest; undefined where the registry answers 404. */
  manifest(repository: string, reference: string, init?: RequestInit): Promise<FetchedManifest | undefined>;
}

const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

const rootFolder = 'docker/registry/v2';

/** `init` of a call may bring an Authorization field, and a dispatcher that trusts the test's authority. */
export function inspectRegistry({ url, storageDir }: Pick<Registry, 'url' | 'storageDir'>): Inspection {
  const root = join(storageDir, rootFolder);
  const blobFolder = join(root, 'blobs/sha256');
  const inRepository = (repository: string, ...path: string[]): string[] =>
    list(join(root, 'repositories', repository, ...path));
  return {
    bytesOnDisk: () => sizeOf(storageDir),
    blobs: () =>
      list(blobFolder)
        .flatMap((prefix) => list(join(blobFolder, prefix)))
        .filter((hex) => existsSync(join(blobFolder, hex.slice(0, 2), hex, 'data')))
        .map((hex) => `sha256:${hex}`)
        .sort(),
    blob(digest) {
      const hex = digest.replace('sha256:', '');
      return readFileSync(join(blobFolder, hex.slice(0, 2), hex, 'data'));
    },
    uploads: (repository) => inRepository(repository, '_uploads'),
    tags: (repository) => inRepository(repository, '_manifests/tags').sort(),
    blobsOf: (repository) =>
      inRepository(repository, '_layers/sha256')
        .map((hex) => `sha256:${hex}`)
        .sort(),
    async manifest(repository, reference, init = {}) {
      const headers = { accept: manifestTypes.join(', '), ...(init.headers as Record<string, string>) };
      const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { ...init, headers });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`manifest ${repository}:${reference}: ${response.status} ${bytes}`);
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const mediaType = response.headers.get('content-type') ?? '';
      return { digest, mediaType, bytes, json: JSON.parse(bytes.toString()) };
    },
  };
}

/**
 * Collects a blob of a repository as garbage, whatever refers to it: it is out of the repository, and its bytes off the
 * disk when no other repository has it. The registries of the tests keep nothing in memory (no `storage.cache`).
 */
export function forgetBlob(
  { storageDir }: Pick<Registry, 'storageDir'>,
  repository: string,
  digest: string,
): void {
  const root = join(storageDir, rootFolder);
  const hex = digest.replace('sha256:', '');
  rmSync(join(root, 'repositories', repository, '_layers/sha256', hex), { recursive: true });
  const links = readdirSync(join(root, 'repositories'), { recursive: true, encoding: 'utf8' });
  if (links.some((path) => path.endsWith(`_layers/sha256/${hex}/link`))) return;
  rmSync(join(root, 'blobs/sha256', hex.slice(0, 2), hex), { recursive: true });
}

/** Gives a manifest that is there so many more tags, faster than a client could. */
export function addTags(
  { storageDir }: Pick<Registry, 'storageDir'>,
  repository: string,
  digest: string,
  tags: string[],
): void {
  for (const tag of tags) {
    const folder = join(
      storageDir,
      rootFolder,
      'repositories',
      repository,
      '_manifests/tags',
      tag,
      'current',
    );
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'link'), digest);
  }
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function sizeOf(folder: string): number {
  let size = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) size += statSync(join(entry.parentPath, entry.name)).size;
  }
  return size;
}
