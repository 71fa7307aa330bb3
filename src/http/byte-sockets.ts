import type { LookupFunction } from 'node:net';
import { type ByteHead, ByteSocket, NotUnderstood } from './byte-socket.ts';

/** How long a connection waits for its next request, in ms: less than servers do. */
const restMs = 4000;

/** An answer, and the connection that has the rest of it. */
export interface ByteAnswer {
  head: ByteHead;
  socket: ByteSocket;
}

export interface ByteSocketsOptions {
  ca: string[] | undefined;
  timeoutMs: number;
  /** How names are looked up for a request that a server has sent us to; throws where it may not. */
  lookupFor: (namedBy: string | undefined, to: URL) => Promise<LookupFunction | undefined>;
}

/** Connections for large answers, kept for the next window of the same file. */
export class ByteSockets {
  readonly #options: ByteSocketsOptions;
  readonly #resting = new Map<string, { socket: ByteSocket; timer: NodeJS.Timeout }[]>();
  readonly #all = new Set<ByteSocket>();
  /** Origins that answer otherwise than with a length: these are left to undici. */
  readonly #others = new Set<string>();

  constructor(options: ByteSocketsOptions) {
    this.#options = options;
  }

  /**
   * A GET. @returns `undefined` where the answer is of a kind that is not understood here: ask another way.
   * @throws what the connection throws; the signal's reason.
   */
  async get(
    url: URL,
    headers: Record<string, string>,
    namedBy: string | undefined,
    signal: AbortSignal,
  ): Promise<ByteAnswer | undefined> {
    if (this.#others.has(url.origin)) return undefined;
    for (;;) {
      signal.throwIfAborted();
      const socket = await this.#take(url, namedBy);
      const wasUsed = socket.used;
      const stop = () => socket.destroy(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      try {
        const head = await socket.get(url, headers);
        this.#whenFree(socket, keyOf(url, namedBy), () => signal.removeEventListener('abort', stop));
        return { head, socket };
      } catch (error) {
        signal.removeEventListener('abort', stop);
        if (error instanceof NotUnderstood) {
          this.#others.add(url.origin);
          return undefined;
        }
        // A connection that waited may have been closed by the other side just then: nothing was answered.
        if (!wasUsed || signal.aborted) throw error;
      }
    }
  }

  destroy(): void {
    for (const socket of this.#all) socket.destroy();
    for (const each of this.#resting.values()) for (const { timer } of each) clearTimeout(timer);
    this.#resting.clear();
  }

  async #take(url: URL, namedBy: string | undefined): Promise<ByteSocket> {
    const resting = this.#resting.get(keyOf(url, namedBy)) ?? [];
    for (let found = resting.pop(); found; found = resting.pop()) {
      clearTimeout(found.timer);
      if (found.socket.isOpen) return found.socket;
    }
    const { ca, timeoutMs } = this.#options;
    const lookup = await this.#options.lookupFor(namedBy, url);
    const socket = new ByteSocket({ url, ca, lookup, timeoutMs });
    this.#all.add(socket);
    socket.whenGone(() => this.#all.delete(socket));
    return socket;
  }

  #whenFree(socket: ByteSocket, key: string, answered: () => void): void {
    socket.whenFree(() => {
      answered();
      const resting = this.#resting.get(key) ?? [];
      this.#resting.set(key, resting);
      const timer = setTimeout(() => socket.destroy(), restMs);
      timer.unref();
      socket.rest();
      resting.push({ socket, timer });
    });
  }
}

/** A connection is shared with nobody who may not go there: it was judged for who has named it. */
function keyOf(url: URL, namedBy = ''): string {
  return `${url.origin} ${namedBy}`;
}
