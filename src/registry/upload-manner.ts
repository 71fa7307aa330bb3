import { ChunkPool } from './chunk-pool.ts';
import { type Dialect, standard } from './dialects.ts';

const mib = 1024 * 1024;
const smallestChunk = mib;
/** Bytes of a chunk, unless the user or the dialect says otherwise. */
export const defaultChunkSize = 16 * mib;
/** Failures in a row without progress before another manner is tried, where the failure itself says nothing. */
const patienceWithManner = 2;
/** Sessions gone astray in a run after which none is gone on with. */
const patienceWithSessions = 3;

/** How bytes are sent to a registry. `auto` begins with what the dialect prefers: a stream, nearly everywhere. */
export type UploadChoice = 'auto' | 'stream' | 'chunked';

/**
 * Bytes of a body that goes whole into the closing PUT (distribution-spec, "POST then PUT"): a file of 1 MiB in its
 * archive. It saves a request and its round trip, and costs its memory.
 */
export const wholeSize = 1088 * 1024;

/** One stream a layer, chunks of so many bytes, or a small one whole. */
export interface Manner {
  readonly kind: 'stream' | 'chunked' | 'whole';
  readonly chunkSize: number;
}

/** What one failed PATCH, or the closing PUT after it, showed. */
export interface SendFailure {
  method: string;
  /** How the bytes were sent: another layer may have changed the manner meanwhile. */
  as: Manner;
  /** HTTP status; absent for a cut connection. */
  status: number | undefined;
  /** The session's first byte of that PATCH. */
  offset: number;
  /** Bytes handed over in that PATCH. */
  sent: number;
  /** Failures in a row in which this layer came no further, this one included. */
  failures: number;
  /** Sessions of this layer that the registry dropped with their bytes when a connection was cut. */
  lost: number;
}

/**
 * How a registry wants its bytes: what its dialect says, and what was learnt while uploading; used for every later layer.
 * One stream a layer is what every registry takes unless something before it limits a request's size; chunks where it
 * does, or where cut streams cost whole layers; smaller chunks where it still does; a stream again, and for good, where
 * chunks meet a balancer.
 */
export class UploadManner {
  readonly dialect: Dialect;
  /** The memory of all layers' chunks. */
  readonly chunks = new ChunkPool();
  #now: Manner;
  readonly #fixed: boolean;
  #chunksFail = false;
  #wholeFails = false;
  #astray = 0;

  /** @param chunkSize in bytes; kept within what the dialect takes. */
  constructor(choice: UploadChoice, chunkSize = defaultChunkSize, dialect = standard) {
    const { chunksFirst = false, onePatch = false } = dialect;
    const kind = choice === 'chunked' || (choice === 'auto' && chunksFirst) ? 'chunked' : 'stream';
    this.dialect = dialect;
    this.#now = { kind, chunkSize: this.#within(chunkSize) };
    this.#fixed = choice !== 'auto';
    this.#chunksFail = onePatch;
    if (onePatch) this.#astray = patienceWithSessions;
  }

  /** Another object after every change. */
  get now(): Manner {
    return this.#now;
  }

  /** The manner of the next request of a session that has `offset` bytes of a body of `size`. */
  for(offset: number, size: number): Manner {
    const { largestChunk = wholeSize } = this.dialect;
    if (offset === 0 && size <= Math.min(wholeSize, largestChunk) && !this.#fixed && !this.#wholeFails)
      return { kind: 'whole', chunkSize: wholeSize };
    // What is not the session's first PATCH must leave a last chunk for the closing PUT.
    if (offset > 0 && this.dialect.lastChunkInPut && this.#now.kind === 'stream')
      return { kind: 'chunked', chunkSize: this.#now.chunkSize };
    return this.#now;
  }

  /** Whether a session that has bytes already can be gone on with. */
  get goesOn(): boolean {
    return this.#astray < patienceWithSessions;
  }

  /** In words, for the user. */
  get words(): string {
    const { kind, chunkSize } = this.#now;
    return kind === 'stream' ? 'one stream a layer' : `chunks of ${Math.round(chunkSize / mib)} MiB`;
  }

  /** Learns from a failure. @returns whether there is now another manner than the one that failed. */
  learn(failure: SendFailure): boolean {
    const { method, status = 0, offset, as } = failure;
    // A session that was there a moment ago.
    if (method === 'PATCH' && offset > 0 && [400, 404, 405, 410].includes(status)) this.#astray += 1;
    const next = this.#better(failure);
    if (!next || (this.#fixed && next.kind !== as.kind)) return false;
    if (as.kind === 'whole') {
      this.#wholeFails = true;
      return true;
    }
    if (next.kind === 'stream') this.#chunksFail = true;
    // Layers in flight fail together: the first of them changes the manner, the others follow.
    if (as === this.#now) this.#now = next;
    return true;
  }

  /** The manner to try after a failure, where that is about the manner at all. */
  #better({ method, as, status = 0, offset, sent, failures, lost }: SendFailure): Manner | undefined {
    const { kind, chunkSize } = as;
    const stream: Manner = { kind: 'stream', chunkSize };
    const impatient = failures >= patienceWithManner;
    // A body limit of less than 1 MiB, or a server before the registry that spoils PUTs: what else there is may do.
    if (kind === 'whole')
      return [400, 405, 411, 413, 416, 501].includes(status) || impatient ? this.#now : undefined;
    // ECR under a name that nobody knows: it may not close what came in several parts, and says 500.
    if (method === 'PUT')
      return kind === 'chunked' && status === 500 && failures > patienceWithManner ? stream : undefined;
    const tooLarge = status === 413 || (status === 416 && offset === 0);
    const refused = offset === 0 && [400, 405, 411, 501].includes(status);
    if (kind === 'stream') {
      // A proxy's body limit may be a reset connection instead of a 413; and a bad line before a registry that drops
      // what was cut would never see a large layer through.
      const cut = status === 0 && sent > chunkSize && (impatient || lost >= patienceWithManner);
      return (tooLarge || refused || cut) && !this.#chunksFail ? { kind: 'chunked', chunkSize } : undefined;
    }
    if (tooLarge && chunkSize > this.#within(smallestChunk)) {
      let smaller = chunkSize / 4;
      while (smaller >= sent && smaller > smallestChunk) smaller /= 4;
      return { kind: 'chunked', chunkSize: this.#within(Math.max(smallestChunk, Math.floor(smaller))) };
    }
    // Chunks are not known here at all, or the second of a session has met a balancer's other node.
    const unknown = refused || (status === 416 && offset === 0);
    const astray = offset > 0 && [200, 400, 404, 405, 409, 410, 416, 500].includes(status);
    return unknown || (astray && impatient) ? stream : undefined;
  }

  #within(size: number): number {
    const { smallestChunk: least = 0, largestChunk: most = Number.POSITIVE_INFINITY } = this.dialect;
    return Math.min(Math.max(size, least), most);
  }
}
