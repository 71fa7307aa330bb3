import type { Digest } from '../oci/digest.ts';

/** What is uploaded: bytes of a known size that can be opened at any offset, and their digest when all have passed. */
export interface UploadBody {
  /** Bytes. */
  readonly size: number;
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
  #pending: Promise<IteratorResult<Uint8Array>> | undefined;
  #rest: Uint8Array = new Uint8Array();
  /** Byte of the body that comes next. */
  position = 0;
  failure: unknown;

  /** @param stop ends the bytes cleanly wherever they are. */
  constructor(body: UploadBody, stop: AbortSignal) {
    this.#body = body;
    this.#stop = stop;
  }

  async seek(offset: number): Promise<void> {
    if (this.#source && this.position === offset && this.failure === undefined) return;
    await this.close();
    this.position = offset;
    this.failure = undefined;
    this.#abort = new AbortController();
    const signal = AbortSignal.any([this.#stop, this.#abort.signal]);
    this.#source = this.#body.open(offset, signal)[Symbol.asyncIterator]();
  }

  /** Waits for the next bytes. @throws the source's failure, before any request is made for nothing. */
  async ready(): Promise<void> {
    if (this.#rest.length === 0 && !(await this.#fill())) {
      throw this.failure ?? new Error(`the body ended at byte ${this.position} of ${this.#body.size}`);
    }
  }

  /** The bytes from here on: at most `limit`, fewer when stopped, when the source fails or when it falls silent. */
  async *take(limit: number): AsyncGenerator<Uint8Array> {
    let left = limit;
    while (left > 0 && !this.#stop.aborted) {
      if (this.#rest.length === 0 && !(await this.#fill(idleMs))) return;
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      this.position += piece.length;
      left -= piece.length;
      yield piece;
    }
  }

  /** Forgets the source; the next `seek` opens it anew. */
  async close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    void this.#pending?.catch(() => {});
    this.#pending = undefined;
    this.#rest = new Uint8Array();
    this.#abort?.abort(new Error('the upload goes on elsewhere'));
    void source?.return?.()?.catch(() => {});
  }

  /** @returns whether there are bytes; false also when none came for `limitMs`. */
  async #fill(limitMs?: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    try {
      this.#pending ??= this.#source?.next();
      const idle = new Promise<'idle'>((resolve) => {
        if (limitMs !== undefined) timer = setTimeout(resolve, limitMs, 'idle');
      });
      const next = await Promise.race([this.#pending, idle]);
      if (next === 'idle') return false;
      this.#pending = undefined;
      if (!next || next.done) return false;
      this.#rest = next.value;
      return true;
    } catch (error) {
      this.#pending = undefined;
      this.failure = error;
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
