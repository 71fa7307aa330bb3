import type { Digest } from '../oci/digest.ts';
import { digestOf } from '../oci/digest.ts';
import type { UploadBody } from './body-cursor.ts';
import { type ChosenDialect, dialectShown, limitsOf } from './dialects.ts';
import { mountBlob } from './mount.ts';
import type { Repository, StoredManifest } from './repository.ts';
import { readBlob } from './stored-blob.ts';
import { listTags } from './tag-list.ts';
import { uploadBlob } from './upload.ts';
import { type UploadChoice, UploadManner } from './upload-manner.ts';
import type { UploadOptions } from './upload-options.ts';
import { cancelUpload } from './upload-session.ts';

export interface RegistryTargetOptions {
  choice: UploadChoice;
  /** Bytes. */
  chunkSize: number;
  /** Where it is known before the registry has answered. */
  dialect: ChosenDialect | undefined;
  onDialect: (chosen: ChosenDialect) => void;
}

/** Attempts at what can be done without. */
const littlePatience = 2;

/** A repository of a registry, as a target. */
export class RegistryTarget {
  readonly name: string;
  readonly #repository: Repository;
  /** The same, for what can be done without: given up sooner, and not told of each attempt. */
  readonly #impatient: Repository;
  readonly #options: RegistryTargetOptions;
  #manner = new UploadManner('auto');

  constructor(repository: Repository, options: RegistryTargetOptions) {
    this.name = repository.name;
    this.#repository = repository;
    const { onRetry: _, limit, ...patience } = repository.patience;
    this.#impatient = repository.sibling(repository.path, {
      ...patience,
      limit: Math.min(limit, littlePatience),
    });
    this.#options = options;
  }

  get origin(): string {
    return this.#repository.origin;
  }

  get uploadWords(): string {
    return this.#manner.words;
  }

  get limits() {
    return limitsOf(this.#manner.dialect);
  }

  imageRef(tag: string): string {
    return `${this.name}:${tag}`;
  }

  imageRefDigest(digest: Digest): string {
    return `${this.name}@${digest}`;
  }

  async connect(signal: AbortSignal): Promise<void> {
    const { choice, chunkSize, dialect, onDialect } = this.#options;
    const shown = await this.#repository.ping(signal);
    const chosen = dialect ?? dialectShown(shown);
    this.#manner = new UploadManner(choice, chunkSize, chosen.dialect);
    onDialect(chosen);
  }

  hasBlob(digest: Digest, signal: AbortSignal, size?: number): Promise<boolean> {
    return this.#repository.hasBlob(digest, signal, size);
  }

  blob(digest: Digest, limit: number, signal: AbortSignal): Promise<Buffer | undefined> {
    return readBlob(this.#repository, digest, limit, signal);
  }

  mountBlob(digest: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    return mountBlob(this.#impatient, digest, from, signal);
  }

  /** The tags; `undefined` where the registry does not list them. */
  tags(signal: AbortSignal): Promise<string[] | undefined> {
    return listTags(this.#repository, signal);
  }

  /** What is looked at on the chance: this repository or another of the registry. */
  lookup(path: string = this.#repository.path): { source: RegistryTarget; forget: () => void } {
    const forget = this.#repository.alsoRead(path);
    const sibling = this.#repository.sibling(path, this.#impatient.patience);
    return { source: new RegistryTarget(sibling, this.#options), forget };
  }

  upload(body: UploadBody, options: UploadOptions): Promise<Digest> {
    return uploadBlob(this.#repository, this.#manner, body, options);
  }

  async cancelUpload(location: string, signal: AbortSignal): Promise<boolean> {
    const url = URL.parse(location);
    return url !== null && cancelUpload(this.#repository, { location: url, offset: 0 }, signal);
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

  deleteManifest(reference: string, signal: AbortSignal): Promise<boolean> {
    return this.#repository.deleteManifest(reference, signal);
  }

  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void> {
    return this.#repository.putManifest(tag, bytes, mediaType, signal);
  }
}
