import { Growth } from '../http/growth.ts';
import { PiecePool } from './piece-pool.ts';

/** Connections for all files together: a CDN gives each of them less than the link has. */
const firstConnections = 8;
const mostConnections = 32;
/** Readers that wait so much of their time for the hub would take more. */
const starving = 0.25;

const mib = 1024 * 1024;
const smallestWindow = mib;
/** What is fetched ahead is lost when the process is killed: windows are small, and an eighth of a file at most. */
const largestWindow = 3 * mib;

/**
 * Shares connections and a bounded memory among the files being read: few files get several windows each, because one
 * connection to a CDN is slower than the link; many files get two, and smaller ones.
 */
export class PrefetchBudget {
  readonly pool = new PiecePool();
  readonly #connections = new Growth(firstConnections, mostConnections);
  readonly #bytes: number;
  #files = 0;
  #waitedMs = 0;

  /** @param bytes held by all windows together, at most. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * Windows that a file of `size` bytes may have in flight now, and the size of its next one in bytes.
   * @param read bytes of it asked for so far: windows begin small, so that a process killed soon has not fetched much for
   *   nothing.
   */
  share(size: number, read = size): { windows: number; windowSize: number } {
    const files = Math.max(1, this.#files);
    this.#connections.look((ms) => {
      const waiting = this.#waitedMs / ms / files;
      this.#waitedMs = 0;
      return waiting >= starving;
    });
    const memory = this.#bytes / files;
    // A small file gains nothing from many.
    const worth = Math.max(4, size / 8 / smallestWindow);
    const most = Math.min(this.#connections.now / files, memory / smallestWindow, worth);
    const windows = Math.max(2, Math.floor(most));
    const largest = Math.min(largestWindow, memory / windows, size / 8 / windows, read / 16);
    return { windows, windowSize: Math.max(smallestWindow, Math.floor(largest)) };
  }

  /** So many bytes of a file have come. */
  took(bytes: number): void {
    this.#connections.took(bytes);
  }

  /** A reader has waited so many ms for them. */
  waited(ms: number): void {
    this.#waitedMs += ms;
  }

  enter(): void {
    this.#files += 1;
  }

  leave(): void {
    this.#files -= 1;
  }
}
