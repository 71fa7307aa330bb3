const mib = 1024 * 1024;
const smallestChunk = mib;
/** Failures in a row without progress before another manner is tried, where the failure itself says nothing. */
const patienceWithManner = 2;

/** How bytes are sent to a registry. `auto` begins with a stream. */
export type UploadChoice = 'auto' | 'stream' | 'chunked';

/** What one failed PATCH showed. */
export interface PatchFailure {
  /** HTTP status; absent for a cut connection. */
  status: number | undefined;
  /** The session's first byte of that PATCH. */
  offset: number;
  /** Bytes handed over in that PATCH. */
  sent: number;
}

/**
 * How a registry wants its bytes, learnt while uploading and used for every later layer (registries.md, "Dialects"):
 * one stream a layer, which every registry takes unless something before it limits a request's size; chunks where it
 * does; smaller chunks where it still does; a stream again where chunks meet a balancer.
 */
export class UploadManner {
  kind: 'stream' | 'chunked';
  /** Bytes. */
  chunkSize: number;
  readonly #fixed: boolean;
  #fruitless = 0;

  constructor(choice: UploadChoice, chunkSize: number) {
    this.kind = choice === 'chunked' ? 'chunked' : 'stream';
    this.#fixed = choice !== 'auto';
    this.chunkSize = chunkSize;
  }

  /** In words, for the user. */
  get words(): string {
    return this.kind === 'stream'
      ? 'one stream a layer'
      : `chunks of ${Math.round(this.chunkSize / mib)} MiB`;
  }

  progress(): void {
    this.#fruitless = 0;
  }

  /** Learns from a failure that brought no progress. @returns whether the manner has changed. */
  learn({ status, offset, sent }: PatchFailure): boolean {
    this.#fruitless += 1;
    if (this.kind === 'stream') {
      const tooLarge = status === 413 || (status === 416 && offset === 0);
      const refused = offset === 0 && [400, 405, 411, 501].includes(status ?? 0);
      // A proxy's body limit may be a reset connection instead of a 413.
      const cut = status === undefined && sent > this.chunkSize && this.#fruitless >= patienceWithManner;
      return (tooLarge || refused || cut) && this.#become('chunked');
    }
    const tooLarge = status === 413 || status === 416;
    if (tooLarge && this.chunkSize > smallestChunk) {
      this.chunkSize = Math.max(smallestChunk, Math.floor(this.chunkSize / 4));
      return true;
    }
    // A second request of a session that a balancer sends to another node.
    return offset > 0 && this.#fruitless >= patienceWithManner && this.#become('stream');
  }

  #become(kind: 'stream' | 'chunked'): boolean {
    if (this.#fixed) return false;
    this.kind = kind;
    this.#fruitless = 0;
    return true;
  }
}
