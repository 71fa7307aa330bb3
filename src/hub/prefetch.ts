const mib = 1024 * 1024;
/** Connections in flight for all files together. */
const connections = 16;

/**
 * Shares a bounded memory among the files being read: few files get several wide windows each, because one connection
 * to a CDN is slower than the link; many files get fewer and smaller ones.
 */
export class PrefetchBudget {
  readonly #bytes: number;
  #files = 0;

  /** @param bytes held by all windows together, at most. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Windows a file may have in flight now, and the size of its next one in bytes. */
  get share(): { windows: number; windowSize: number } {
    const files = Math.max(1, this.#files);
    const windows = Math.min(4, Math.max(2, Math.floor(connections / files)));
    const windowSize = Math.min(16 * mib, Math.max(mib, Math.floor(this.#bytes / (files * windows))));
    return { windows, windowSize };
  }

  enter(): void {
    this.#files += 1;
  }

  leave(): void {
    this.#files -= 1;
  }
}
