import { createHash } from 'node:crypto';

export interface StoredManifest {
  bytes: Buffer;
  mediaType: string;
}

/** What a registry keeps: each blob once, which repositories it is in, and their manifests. */
export class Storage {
  readonly blobs = new Map<string, Buffer>();
  /** By `repository:tag` and `repository@digest`. */
  readonly manifests = new Map<string, StoredManifest>();
  readonly #links = new Map<string, Set<string>>();
  /** Repositories that had a manifest once: they stay known when the last one is deleted. */
  readonly #known = new Set<string>();

  /** A blob, where it is in this repository: uploaded or mounted there. */
  blob(repository: string, digest: string): Buffer | undefined {
    return this.#links.get(repository)?.has(digest) ? this.blobs.get(digest) : undefined;
  }

  blobsOf(repository: string): string[] {
    const linked = [...(this.#links.get(repository) ?? [])];
    return linked.filter((digest) => this.blobs.has(digest)).sort();
  }

  add(repository: string, digest: string, bytes: Buffer): void {
    this.blobs.set(digest, bytes);
    this.link(repository, digest);
  }

  link(repository: string, digest: string): void {
    const linked = this.#links.get(repository) ?? new Set();
    this.#links.set(repository, linked.add(digest));
  }

  /** As garbage collection does, whatever refers to the blob: it is out of the repository, its bytes with the last one. */
  forget(repository: string, digest: string): void {
    this.#links.get(repository)?.delete(digest);
    const elsewhere = [...this.#links.values()].some((linked) => linked.has(digest));
    if (!elsewhere) this.blobs.delete(digest);
  }

  manifest(repository: string, reference: string): StoredManifest | undefined {
    return this.manifests.get(keyOf(repository, reference));
  }

  putManifest(repository: string, reference: string, manifest: StoredManifest): void {
    this.#known.add(repository);
    this.manifests.set(keyOf(repository, reference), manifest);
    this.manifests.set(keyOf(repository, digestOf(manifest.bytes)), manifest);
  }

  /** A digest goes with every tag that it has. */
  deleteManifest(repository: string, reference: string): void {
    for (const tag of isDigest(reference) ? this.tagsOf(repository, reference) : [])
      this.manifests.delete(keyOf(repository, tag));
    this.manifests.delete(keyOf(repository, reference));
  }

  /** In the order they came; undefined for a repository that never had a manifest. */
  tags(repository: string): string[] | undefined {
    const prefix = `${repository}:`;
    const keys = [...this.manifests.keys()].filter((key) => key.startsWith(prefix));
    if (keys.length === 0 && !this.#known.has(repository)) return undefined;
    return keys.map((key) => key.slice(prefix.length));
  }

  tagsOf(repository: string, digest: string): string[] {
    const tags = this.tags(repository) ?? [];
    return tags.filter((tag) => {
      const bytes = this.manifest(repository, tag)?.bytes;
      return bytes && digestOf(bytes) === digest;
    });
  }

  /** Whether a manifest of the repository refers to the blob. */
  refersTo(repository: string, digest: string): boolean {
    return [...this.manifests].some(
      ([key, { bytes }]) => key.startsWith(`${repository}@`) && childrenOf(bytes)?.blobs.includes(digest),
    );
  }
}

/** Digests of what a manifest needs in its repository; undefined where it is none. */
export function childrenOf(manifest: Buffer): { blobs: string[]; manifests: string[] } | undefined {
  try {
    const { config, layers = [], manifests = [] } = JSON.parse(manifest.toString());
    const digests = (descriptors: { digest: string }[]) => descriptors.map(({ digest }) => digest);
    return { blobs: digests(config ? [config, ...layers] : layers), manifests: digests(manifests) };
  } catch {
    return undefined;
  }
}

export function isDigest(reference: string): boolean {
  return reference.startsWith('sha256:');
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function keyOf(repository: string, reference: string): string {
  return `${repository}${isDigest(reference) ? '@' : ':'}${reference}`;
}
