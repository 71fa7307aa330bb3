import type { Digest } from '../oci/digest.ts';

/** What is uploaded: bytes of a known size that can be opened at any offset, and their digest when all have passed. */
export interface UploadBody {
  /** Bytes. */
  readonly size: number;
  /** Pieces are valid until the next one is asked for. */
  open(from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** @throws BoxcarError `content-mismatch` when the bytes that passed are not the right ones. */
  digest(): Digest;
}

/** No byte for so long ends a PATCH cleanly, in ms: an idle session is closed by registries and the proxies before them. */
const idleMs = 20_000;

/**
 * A place in a body. Successive requests of an upload go on reading the same source; it is opened again only where a
 * registry has kept less than it was sent. A failing source never cuts a request: the bytes end, and `failure` says why.
 */
export class BodyCursor {
  readonly #body: UploadBody;
  readonly #stop: AbortSignal;
  #source: AsyncIterator<Uint8Array> | undefined;
  #abort: AbortController | undefined;
  #pending: Promise<void> | undefined;
  #rest: Uint8Array = new Uint8Array();
  /** Counts the readers: only the newest may take bytes. */
  #reader = 0;
  /** Byte of the body that comes next. */
  position = 0;
  failure: unknown;

  /** @param stop ends the bytes cleanly wherever they are. */
  constructor(body: UploadBody, stop: AbortSignal) {
    this.#body = body;
    this.#stop = stop;
  }

  seek(offset: number): void {
    this.#reader += 1;
    if (this.#source && this.position === offset && this.failure === undefined) return;
    this.close();
    this.position = offset;
    this.failure = undefined;
    this.#abort = new AbortController();
    const signal = AbortSignal.any([this.#stop, this.#abort.signal]);
    this.#source = this.#body.open(offset, signal)[Symbol.asyncIterator]();
  }

  /** Waits for the next bytes. @throws the source's failure, before any request is made for nothing. */
  async ready(): Promise<void> {
    if (await this.#fill()) return;
    throw this.failure ?? new Error(`the body ended at byte ${this.position} of ${this.#body.size}`);
  }

  /**
   * The bytes from here on: at most `limit`, fewer when stopped, when the source fails, or when it falls silent and that
   * `ends` them.
   */
  async *take(limit: number, idle: 'ends' | 'waits' = 'ends'): AsyncGenerator<Uint8Array> {
    this.#reader += 1;
    const reader = this.#reader;
    let left = limit;
    while (left > 0 && !this.#stop.aborted) {
      const filled = await this.#fill(idle === 'ends' ? idleMs : undefined);
      // The body of a request that was cut still waits here when the next request has begun to read.
      if (!filled || reader !== this.#reader) return;
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      this.position += piece.length;
      left -= piece.length;
      yield piece;
    }
  }

  /** Fills `memory` with the next bytes; not to its end when stopped. @throws the source's failure */
  async gather(memory: Uint8Array): Promise<void> {
    for (let filled = 0; filled < memory.length && !this.#stop.aborted; ) {
      await this.ready();
      for await (const piece of this.take(memory.length - filled)) {
        memory.set(piece, filled);
        filled += piece.length;
      }
    }
  }

  /** Waits until the source has ended, however long that takes. @throws its failure */
  async finish(): Promise<void> {
    await this.#fill();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Forgets the source; the next `seek` opens it anew. */
  close(): void {
    const source = this.#source;
    this.#source = undefined;
    this.#pending = undefined;
    this.#rest = new Uint8Array();
    this.#abort?.abort(new Error('the upload goes on elsewhere'));
    void source?.return?.()?.catch(() => {});
  }

  /** @returns whether there are bytes; false also when none came for `limitMs`. */
  async #fill(limitMs?: number): Promise<boolean> {
    if (this.#rest.length > 0) return true;
    if (this.failure !== undefined) return false;
    this.#pending ??= this.#pull();
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<void>((resolve) => {
      if (limitMs !== undefined) timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([this.#pending, idle]);
    clearTimeout(timer);
    return this.#rest.length > 0;
  }

  /** Gets the source's next piece: once, however many wait for it, and for nobody when the source was left meanwhile. */
  async #pull(): Promise<void> {
    const source = this.#source;
    let piece: Uint8Array | undefined;
    let failure: unknown;
    try {
      do {
        const next = await source?.next();
        piece = next && !next.done ? next.value : undefined;
      } while (piece?.length === 0);
    } catch (error) {
      failure = error;
    }
    if (source !== this.#source) return;
    this.#pending = undefined;
    this.#rest = piece ?? new Uint8Array();
    this.failure = failure;
  }
}
