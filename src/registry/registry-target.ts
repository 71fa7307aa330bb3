import { isUnreachable } from '../http/failure.ts';
import type { Digest } from '../oci/digest.ts';
import { digestOf } from '../oci/digest.ts';
import type { UploadBody } from './body-cursor.ts';
import type { Repository, StoredManifest } from './repository.ts';
import { type UploadOptions, uploadBlob } from './upload.ts';
import type { UploadManner } from './upload-manner.ts';

/** A repository of a registry, as a target. */
export class RegistryTarget {
  readonly name: string;
  readonly #repository: Repository;
  readonly #manner: UploadManner;

  constructor(repository: Repository, manner: UploadManner) {
    this.name = repository.name;
    this.#repository = repository;
    this.#manner = manner;
  }

  get uploadWords(): string {
    return this.#manner.words;
  }

  imageRef(tag: string): string {
    return `${this.name}:${tag}`;
  }

  imageRefDigest(digest: Digest): string {
    return `${this.name}@${digest}`;
  }

  async connect(signal: AbortSignal): Promise<void> {
    await this.#repository.ping(signal, isUnreachable);
  }

  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#repository.hasBlob(digest, signal);
  }

  upload(body: UploadBody, options: UploadOptions): Promise<Digest> {
    return uploadBlob(this.#repository, this.#manner, body, options);
  }

  /** A small blob whose digest is known: sent only where it is missing. */
  async putBlob(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const digest = digestOf(bytes);
    if (await this.#repository.hasBlob(digest, signal)) return;
    async function* open(from: number) {
      if (from < bytes.length) yield bytes.subarray(from);
    }
    await this.upload({ size: bytes.length, open, digest: () => digest }, { stop: signal, kill: signal });
  }

  manifest(reference: string, signal: AbortSignal): Promise<StoredManifest | undefined> {
    return this.#repository.manifest(reference, signal);
  }

  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void> {
    return this.#repository.putManifest(tag, bytes, mediaType, signal);
  }
}
