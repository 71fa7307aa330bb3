import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { replaceFile } from '../disk/replace-file.ts';
import { BoxcarError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { LayoutIndex } from './layout-index.ts';
import { PartialFile } from './partial-file.ts';

/** What is written: as an upload to a registry takes it. */
interface BlobBody {
  readonly size: number;
  open(from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  digest(): Digest;
}

interface SavedBlob {
  location: string;
  offset: number;
  digest?: Digest;
}

interface BlobOptions {
  saved?: SavedBlob | undefined;
  onSaved?: (saved: SavedBlob | undefined) => Promise<void> | undefined | void;
  onOffset?: (offset: number) => void;
  onRetry?: (notice: { error: BoxcarError; attempt: number; of: number; delayMs: number }) => void;
  stop: AbortSignal;
}

/** A blob whose bytes were wrong is written once more from its first byte: the way may have been at fault. */
const freshStarts = 1;

/** An OCI image layout directory (image-spec, image-layout.md), as a target. */
export class Layout {
  readonly directory: string;
  /** As messages name it. */
  readonly name: string;
  readonly uploadWords = 'one file a layer';
  readonly limits = {};
  readonly #index: LayoutIndex;

  constructor(directory: string) {
    this.directory = resolve(directory);
    this.name = `oci:${directory}`;
    this.#index = new LayoutIndex(this.directory);
  }

  imageRef(tag: string): string {
    return `${this.name}:${tag}`;
  }

  imageRefDigest(digest: Digest): string {
    return `${this.name}@${digest}`;
  }

  /** Makes the directory, or checks the image layout that is there. */
  async connect(): Promise<void> {
    await this.#onDisk(async () => {
      await mkdir(join(this.directory, 'blobs', 'sha256'), { recursive: true });
      await this.#index.prepare();
    });
  }

  async hasBlob(digest: Digest, _signal?: AbortSignal, size?: number): Promise<boolean> {
    return stat(this.#blob(digest)).then(
      (found) => found.isFile() && (size === undefined || found.size === size),
      () => false,
    );
  }

  /** The bytes of a blob of at most `limit` bytes. */
  async blob(digest: Digest, limit: number): Promise<Buffer | undefined> {
    const path = this.#blob(digest);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile() || found.size > limit) return undefined;
    return readFile(path).catch(() => undefined);
  }

  /** There is nothing beside this directory. */
  lookup(path?: string): { source: Layout; forget: () => void } | undefined {
    return path === undefined ? { source: this, forget: () => {} } : undefined;
  }

  tags(): Promise<string[]> {
    return this.#onDisk(() => this.#index.tags());
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  /**
   * Writes a blob under a temporary name, goes on where an earlier process ended, and renames it when it is right.
   * @throws BoxcarError `content-mismatch`; the reason of `stop` when stopped.
   */
  async upload(body: BlobBody, options: BlobOptions): Promise<Digest> {
    const { saved } = options;
    // The process before may have ended between the two names.
    if (saved?.digest && (await this.hasBlob(saved.digest))) return saved.digest;
    return this.#onDisk(async () => {
      const partial = await this.#partial(options);
      try {
        return await this.#write(partial, body, options);
      } finally {
        await partial.file.close().catch(() => {});
      }
    });
  }

  async #partial({ saved, onSaved }: BlobOptions): Promise<PartialFile> {
    const left = saved && (await PartialFile.reopen(this.directory, saved.location));
    if (left) return left;
    const name = PartialFile.newName();
    // Before it is there: whoever is killed leaves no file that nobody knows of.
    await onSaved?.({ location: name, offset: 0 });
    return PartialFile.create(this.directory, name);
  }

  async #write(partial: PartialFile, body: BlobBody, options: BlobOptions): Promise<Digest> {
    const { onSaved, onRetry, stop } = options;
    const location = basename(partial.path);
    for (let attempt = 1; ; attempt++) {
      try {
        const resumed = await this.#append(partial, body, options);
        const digest = body.digest();
        await partial.file.sync();
        if (resumed && (await partial.digest()) !== digest) throw altered(partial.path);
        await onSaved?.({ location, offset: body.size, digest });
        await rename(partial.path, this.#blob(digest));
        onSaved?.(undefined);
        return digest;
      } catch (error) {
        if (stop.aborted || !(error instanceof BoxcarError) || !isWrong(error)) throw error;
        await partial.file.truncate(0);
        if (attempt <= freshStarts) {
          onRetry?.({ error, attempt, of: freshStarts, delayMs: 0 });
          continue;
        }
        await rm(partial.path, { force: true });
        onSaved?.(undefined);
        throw error;
      }
    }
  }

  /** Brings what is missing. @returns whether there was something already. */
  async #append({ file, path }: PartialFile, body: BlobBody, options: BlobOptions): Promise<boolean> {
    const { onSaved, onOffset, stop } = options;
    const location = basename(path);
    let offset = (await file.stat()).size;
    if (offset > body.size) {
      offset = 0;
      await file.truncate(0);
    }
    const resumed = offset > 0;
    onSaved?.({ location, offset });
    onOffset?.(offset);
    for await (const piece of body.open(offset, stop)) {
      await file.writeFile(piece);
      offset += piece.length;
      onSaved?.({ location, offset });
      onOffset?.(offset);
    }
    if (stop.aborted) throw stop.reason;
    return resumed;
  }

  async cancelUpload(location: string): Promise<boolean> {
    const partial = await this.#onDisk(() => PartialFile.reopen(this.directory, location));
    await partial?.file.close();
    if (partial) await rm(partial.path, { force: true });
    return true;
  }

  async putBlob(bytes: Buffer): Promise<void> {
    const path = this.#blob(digestOf(bytes));
    await this.#onDisk(() => this.#index.exclusively(() => replaceFile(path, bytes, 0o644), path));
  }

  async manifest(
    reference: string,
  ): Promise<{ digest: Digest; mediaType: string; bytes: Buffer } | undefined> {
    const entry = await this.#onDisk(() => this.#index.find(reference));
    if (!entry) return undefined;
    const bytes = await readFile(this.#blob(entry.digest)).catch(() => undefined);
    return bytes && { digest: digestOf(bytes), mediaType: entry.mediaType, bytes };
  }

  async putManifest(tag: string, bytes: Buffer, mediaType: string): Promise<void> {
    await this.putBlob(bytes);
    const descriptor: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await this.#onDisk(() => this.#index.tag(tag, descriptor));
  }

  #blob(digest: Digest): string {
    return join(this.directory, 'blobs', 'sha256', digest.slice('sha256:'.length));
  }

  /** Gives a system's error (full, read-only, not a directory) its place and its cure. */
  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (error instanceof BoxcarError || !code || !('syscall' in (error as object))) throw error;
      throw new BoxcarError(`the image layout ${this.directory} cannot be written: ${message}`, {
        code: code === 'ENOSPC' || code === 'EIO' ? 'registry-failed' : 'usage',
        side: 'local',
        hint:
          code === 'ENOSPC'
            ? 'make room: what is written already is kept'
            : 'give a directory that you may write to',
        cause: error,
      });
    }
  }
}

/** Neither the hub nor the disk is at fault for good: from its first byte the blob may be right. */
function isWrong({ code }: BoxcarError): boolean {
  return code === 'content-mismatch' || code === 'registry-failed';
}

function altered(path: string): BoxcarError {
  return new BoxcarError(`the unfinished file ${path} was altered on the disk`, {
    code: 'registry-failed',
    side: 'local',
    hint: 'it was removed: run the same command to write it anew',
  });
}
