import type { LookupFunction } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type ByteHead, ByteSocket, NotUnderstood } from './byte-socket.ts';
import { requestHead } from './message-head.ts';

/** How long a connection waits for its next request, in ms: less than servers do. */
const restMs = 4000;
/** Connections that wait, at most: a store that answers under many names does not take all descriptors. */
const mostResting = 32;

/** An answer, and the connection that has the rest of it. */
export interface ByteAnswer {
  head: ByteHead;
  socket: ByteSocket;
}

export interface ByteSocketsOptions {
  /** PEM texts; Node's own certificates where left out. */
  ca: string[] | undefined;
  /** Time to connect, TLS included, in ms. */
  timeoutMs: number;
  /** How names are looked up for a request that a server has sent us to; throws where it may not. */
  lookupFor: (namedBy: string | undefined, to: URL) => Promise<LookupFunction | undefined>;
}

/** Connections for large answers, kept for the next window of the same file. */
export class ByteSockets {
  readonly #options: ByteSocketsOptions;
  /** All that are open, and who may use them. */
  readonly #keys = new Map<ByteSocket, string>();
  /** Those that wait, the last used last. */
  readonly #resting = new Set<ByteSocket>();
  /** Origins that answer otherwise than with a length: these are left to undici. */
  readonly #others = new Set<string>();
  /** Made once: reading some 150 certificates for each connection would cost more than the connection. */
  #secureContext: SecureContext | undefined;
  #isDestroyed = false;

  constructor(options: ByteSocketsOptions) {
    this.#options = options;
  }

  /**
   * A GET.
   * @returns `undefined` where request or answer are of a kind that is not understood here: ask another way. That may be
   * for a second time; but for a refusal, it is remembered of the origin.
   * @throws what the connection throws; the signal's reason.
   */
  async get(
    url: URL,
    headers: Record<string, string>,
    namedBy: string | undefined,
    signal: AbortSignal,
  ): Promise<ByteAnswer | undefined> {
    const request = requestHead(url, headers);
    if (request === undefined || this.#others.has(url.origin)) return undefined;
    // A connection is shared with nobody who may not go there: it was judged for who has named it.
    const key = `${url.origin} ${namedBy ?? ''}`;
    for (;;) {
      const kept = this.#wake(key);
      const socket = kept ?? (await this.#open(url, namedBy, key));
      try {
        return { head: await socket.get(request, signal), socket };
      } catch (error) {
        if (error instanceof NotUnderstood) {
          if (error.lasting) this.#others.add(url.origin);
          return undefined;
        }
        // A connection that waited may have been closed by the other side just then.
        if (!kept || signal.aborted) throw error;
      }
    }
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const socket of this.#keys.keys()) socket.destroy();
  }

  #wake(key: string): ByteSocket | undefined {
    const socket = [...this.#resting].findLast((each) => each.isOpen && this.#keys.get(each) === key);
    if (!socket) return undefined;
    this.#resting.delete(socket);
    socket.wake();
    return socket;
  }

  #rest(socket: ByteSocket): void {
    socket.rest(restMs);
    this.#resting.add(socket);
    const [oldest] = this.#resting;
    if (!oldest || this.#resting.size <= mostResting) return;
    this.#resting.delete(oldest);
    oldest.destroy();
  }

  async #open(url: URL, namedBy: string | undefined, key: string): Promise<ByteSocket> {
    const { ca, timeoutMs, lookupFor } = this.#options;
    const lookup = await lookupFor(namedBy, url);
    if (ca) this.#secureContext ??= createSecureContext({ ca });
    const socket = new ByteSocket({
      url,
      secureContext: this.#secureContext,
      lookup,
      timeoutMs,
      onFree: (free) => this.#rest(free),
      onGone: (gone) => {
        this.#keys.delete(gone);
        this.#resting.delete(gone);
      },
    });
    this.#keys.set(socket, key);
    if (this.#isDestroyed) socket.destroy();
    return socket;
  }
}
