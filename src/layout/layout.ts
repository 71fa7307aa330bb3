import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import writeFileAtomic from 'write-file-atomic';
import { BoxcarError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { LayoutIndex } from './layout-index.ts';

/** What is written: as an upload to a registry takes it. */
interface BlobBody {
  readonly size: number;
  open(from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  digest(): Digest;
}

interface BlobOptions {
  saved?: { location: string; offset: number } | undefined;
  onSaved?: (saved: { location: string; offset: number } | undefined) => void;
  onOffset?: (offset: number) => void;
  stop: AbortSignal;
}

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

  async hasBlob(digest: Digest): Promise<boolean> {
    return stat(this.#blob(digest)).then(
      (found) => found.isFile(),
      () => false,
    );
  }

  /**
   * Writes a blob under a temporary name, goes on where an earlier process ended, and renames it when it is right.
   * @throws BoxcarError `content-mismatch`; the reason of `stop` when stopped.
   */
  async upload(body: BlobBody, options: BlobOptions): Promise<Digest> {
    const saved = options.saved?.location;
    const path =
      saved && isPartial(saved) ? join(this.directory, saved) : join(this.directory, partialName());
    return this.#onDisk(async () => {
      const file = await open(path, 'a', 0o644);
      try {
        return await this.#write(file, path, body, options);
      } finally {
        await file.close().catch(() => {});
      }
    });
  }

  async #write(file: FileHandle, path: string, body: BlobBody, options: BlobOptions): Promise<Digest> {
    const location = path.slice(this.directory.length + 1);
    let offset = (await file.stat()).size;
    if (offset > body.size) {
      offset = 0;
      await file.truncate(0);
    }
    const resumed = offset > 0;
    options.onSaved?.({ location, offset });
    options.onOffset?.(offset);
    for await (const piece of body.open(offset, options.stop)) {
      await file.writeFile(piece);
      offset += piece.length;
      options.onSaved?.({ location, offset });
      options.onOffset?.(offset);
    }
    if (options.stop.aborted) throw options.stop.reason;
    try {
      const digest = body.digest();
      await file.sync();
      if (resumed && (await digestOfFile(path)) !== digest) throw damaged(path);
      await rename(path, this.#blob(digest));
      options.onSaved?.(undefined);
      return digest;
    } catch (error) {
      await rm(path, { force: true });
      options.onSaved?.(undefined);
      throw error;
    }
  }

  async putBlob(bytes: Buffer): Promise<void> {
    await this.#onDisk(() =>
      writeFileAtomic(this.#blob(digestOf(bytes)), bytes, { fsync: true, mode: 0o644 }),
    );
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

const partialPattern = /^\.boxcar-[0-9a-f-]{36}\.partial$/;

function partialName(): string {
  return `.boxcar-${randomUUID()}.partial`;
}

/** A state file may have been altered: only a name of ours, inside the directory, is written to. */
function isPartial(location: string): boolean {
  return partialPattern.test(location);
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return `sha256:${hash.digest('hex')}`;
}

function damaged(path: string): BoxcarError {
  return new BoxcarError(`the unfinished file ${path} was altered on the disk`, {
    code: 'registry-failed',
    side: 'local',
    hint: 'it was removed: run the same command to write it anew',
  });
}
