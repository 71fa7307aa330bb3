import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { tryLock } from '../disk/lock.ts';
import type { Digest } from '../oci/digest.ts';

const pattern = /^\.boxcar-[0-9a-f-]{36}\.partial$/;

/** A blob that is being written, under a name of its own; locked as long as its process lives. */
export class PartialFile {
  readonly path: string;
  readonly file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.file = file;
  }

  /** A name in an image layout, for a new one. */
  static newName(): string {
    return `.boxcar-${randomUUID()}.partial`;
  }

  static async create(directory: string, name: string): Promise<PartialFile> {
    const path = join(directory, name);
    const file = await open(path, 'ax', 0o644);
    await tryLock(file);
    return new PartialFile(path, file);
  }

  /**
   * One that an earlier process has left; `undefined` where it is gone, or another process writes to it. A state file may
   * have been altered: only a name of ours, inside the directory, is opened.
   */
  static async reopen(directory: string, name: string): Promise<PartialFile | undefined> {
    if (!pattern.test(name)) return undefined;
    const path = join(directory, name);
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file && (await tryLock(file))) return new PartialFile(path, file);
    await file?.close();
    return undefined;
  }

  /** What the disk really has. */
  async digest(): Promise<Digest> {
    const hash = createHash('sha256');
    await pipeline(createReadStream(this.path, { highWaterMark: 1024 * 1024 }), hash);
    return `sha256:${hash.digest('hex')}`;
  }
}
