const mib = 1024 * 1024;
const smallestChunk = mib;
/** Failures in a row without progress before another manner is tried, where the failure itself says nothing. */
const patienceWithManner = 2;

/** How bytes are sent to a registry. `auto` begins with a stream. */
export type UploadChoice = 'auto' | 'stream' | 'chunked';

/** One stream a layer, or chunks of so many bytes. */
export interface Manner {
  readonly kind: 'stream' | 'chunked';
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
}

/**
 * How a registry wants its bytes, learnt while uploading and used for every later layer (registries.md, "Dialects"):
 * one stream a layer, which every registry takes unless something before it limits a request's size; chunks where it
 * does; smaller chunks where it still does; a stream again where chunks meet a balancer.
 */
export class UploadManner {
  #now: Manner;
  readonly #fixed: boolean;

  constructor(choice: UploadChoice, chunkSize: number) {
    this.#now = { kind: choice === 'chunked' ? 'chunked' : 'stream', chunkSize };
    this.#fixed = choice !== 'auto';
  }

  /** Another object after every change. */
  get now(): Manner {
    return this.#now;
  }

  /** In words, for the user. */
  get words(): string {
    const { kind, chunkSize } = this.#now;
    return kind === 'stream' ? 'one stream a layer' : `chunks of ${Math.round(chunkSize / mib)} MiB`;
  }

  /** Learns from a failure. @returns whether there is now another manner than the one that failed. */
  learn(failure: SendFailure): boolean {
    const next = better(failure);
    if (!next || (this.#fixed && next.kind !== failure.as.kind)) return false;
    // Layers in flight fail together: the first of them changes the manner, the others follow.
    if (failure.as === this.#now) this.#now = next;
    return true;
  }
}

/** The manner to try after a failure, where that is about the manner at all. */
function better({ method, as, status, offset, sent, failures }: SendFailure): Manner | undefined {
  const { kind, chunkSize } = as;
  // ECR may not close what came in several parts, and says 500 (aws/containers-roadmap#2831).
  if (method === 'PUT')
    return kind === 'chunked' && status === 500 && failures > patienceWithManner
      ? { kind: 'stream', chunkSize }
      : undefined;
  const tooLarge = status === 413 || (status === 416 && offset === 0);
  const refused = offset === 0 && [400, 405, 411, 501].includes(status ?? 0);
  if (kind === 'stream') {
    // A proxy's body limit may be a reset connection instead of a 413.
    const cut = status === undefined && sent > chunkSize && failures >= patienceWithManner;
    return tooLarge || refused || cut ? { kind: 'chunked', chunkSize } : undefined;
  }
  if (tooLarge && chunkSize > smallestChunk) {
    let smaller = chunkSize / 4;
    while (smaller >= sent && smaller > smallestChunk) smaller /= 4;
    return { kind: 'chunked', chunkSize: Math.max(smallestChunk, Math.floor(smaller)) };
  }
  // Chunks are not known here at all, or the second of a session has met a balancer's other node.
  const unknown = refused || (status === 416 && offset === 0);
  const astray = offset > 0 && [200, 400, 404, 405, 409, 410, 416, 500].includes(status ?? 0);
  return unknown || (astray && failures >= patienceWithManner) ? { kind: 'stream', chunkSize } : undefined;
}
