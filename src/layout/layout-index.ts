import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { Lock } from '../disk/lock.ts';
import { replaceFile, sweepTemporary } from '../disk/replace-file.ts';
import { BoxcarError } from '../errors.ts';
import { type Descriptor, mediaTypes } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';

const layoutVersion = '{"imageLayoutVersion":"1.0.0"}';
/** The tag of an index entry (image-spec, annotations.md). */
const refName = 'org.opencontainers.image.ref.name';

interface Index {
  schemaVersion: 2;
  mediaType?: string;
  manifests: Descriptor[];
  [other: string]: unknown;
}

/** `oci-layout` and `index.json` of an image layout: which tag names which manifest. */
export class LayoutIndex {
  readonly #layout: string;
  readonly #path: string;
  readonly #one = pLimit(1);

  constructor(directory: string) {
    this.#layout = join(directory, 'oci-layout');
    this.#path = join(directory, 'index.json');
  }

  async prepare(): Promise<void> {
    await this.#read();
    const file = await open(this.#layout, 'a+', 0o644);
    try {
      // Whoever was killed while making it has left it empty.
      if ((await file.readFile('utf8')).trim() === '')
        await this.exclusively(() => begin(file), this.#layout);
    } finally {
      await file.close();
    }
  }

  /** The manifest that a tag or a digest names. */
  async find(reference: string): Promise<Descriptor | undefined> {
    const { manifests } = await this.#read();
    return manifests.find(
      (entry) => entry.annotations?.[refName] === reference || entry.digest === reference,
    );
  }

  async tags(): Promise<string[]> {
    const { manifests } = await this.#read();
    return manifests.flatMap((entry) => entry.annotations?.[refName] ?? []);
  }

  /** Points a tag to a manifest; other entries stay. Safe against other processes that do the same. */
  tag(tag: string, descriptor: Descriptor): Promise<void> {
    return this.exclusively(async () => {
      const index = await this.#read();
      const others = index.manifests.filter((entry) => entry.annotations?.[refName] !== tag);
      const entry = { ...descriptor, annotations: { [refName]: tag } };
      const text = JSON.stringify({ ...index, manifests: [...others, entry] }, undefined, 2);
      await replaceFile(this.#path, text, 0o644);
    }, this.#path);
  }

  /** Does `work` on a file of the layout while nobody else does any, and removes what dead processes have left of it. */
  exclusively<T>(work: () => Promise<T>, path: string): Promise<T> {
    return this.#one(async () => {
      const lock = await Lock.wait(this.#layout);
      try {
        await sweepTemporary(path);
        return await work();
      } finally {
        await lock.release();
      }
    });
  }

  async #read(): Promise<Index> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] };
    try {
      const index = JSON.parse(text) as Index;
      if (Array.isArray(index.manifests) && index.manifests.every((entry) => isDigest(entry.digest)))
        return index;
    } catch {
      // Told below.
    }
    throw new BoxcarError(`${this.#path} is no index of an image layout`, {
      code: 'usage',
      side: 'local',
      hint: 'give another directory, or repair or remove that file',
    });
  }
}

async function isEmpty(file: FileHandle): Promise<boolean> {
  return (await file.stat()).size === 0;
}

async function begin(file: FileHandle): Promise<void> {
  // Another process may have been sooner.
  if (!(await isEmpty(file))) return;
  await file.writeFile(layoutVersion);
  await file.sync();
}
