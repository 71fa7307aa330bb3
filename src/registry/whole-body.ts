import type { BodyCursor } from './body-cursor.ts';
import type { ChunkMemory } from './chunk-pool.ts';
import { wholeSize } from './upload-manner.ts';

/** All bytes of a small body, gathered once: while the registry opens the session that they are for. */
export class WholeBody {
  readonly #cursor: BodyCursor;
  readonly #memory: ChunkMemory;
  readonly #size: number;
  #bytes: Promise<Uint8Array> | undefined;

  constructor(cursor: BodyCursor, memory: ChunkMemory, size: number) {
    this.#cursor = cursor;
    this.#memory = memory;
    this.#size = size;
  }

  /** Begins, if it has not. @returns fewer bytes when stopped. @throws the source's failure. */
  gather(): Promise<Uint8Array> {
    this.#bytes ??= this.#gather();
    // Whoever waits for it is told.
    this.#bytes.catch(() => {});
    return this.#bytes;
  }

  /** Forgets the bytes; what was begun ends first, as only one may take the cursor's. */
  async leave(): Promise<void> {
    await this.#bytes?.catch(() => {});
    this.#bytes = undefined;
  }

  async #gather(): Promise<Uint8Array> {
    this.#cursor.seek(0);
    const bytes = this.#memory.of(wholeSize).subarray(0, this.#size);
    await this.#cursor.gather(bytes);
    return bytes;
  }
}
