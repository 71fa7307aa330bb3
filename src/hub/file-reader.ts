import type { ByteSink } from '../http/byte-socket.ts';
import { Patience, type PatienceOptions } from '../http/retry.ts';
import { FileLocation } from './file-location.ts';
import type { Hub } from './hub.ts';
import type { ModelFile } from './model-file.ts';
import { PieceQueue } from './piece-queue.ts';
import type { PrefetchBudget } from './prefetch.ts';
import { RangeIgnored, readWindow } from './window.ts';

/** Reads one file of a model from any offset: windows of it are fetched ahead over several connections, given in order. */
export class FileReader {
  readonly #file: ModelFile;
  readonly #location: FileLocation;
  readonly #budget: PrefetchBudget;
  readonly #patience: PatienceOptions;
  readonly #onRead: (bytes: number) => void;

  constructor(
    hub: Hub,
    { model, commit }: { model: string; commit: string },
    file: ModelFile,
    budget: PrefetchBudget,
    {
      patience = hub.patience,
      onRead = () => {},
    }: { patience?: PatienceOptions; onRead?: (bytes: number) => void } = {},
  ) {
    this.#file = file;
    this.#location = new FileLocation(hub, model, commit, file.path);
    this.#budget = budget;
    this.#patience = patience;
    this.#onRead = onRead;
  }

  /**
   * The file's bytes from `from` on, in pieces that are valid until the next one is asked for.
   * @throws BoxcarError as `readWindow` does.
   */
  async *open(from: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const abort = new AbortController();
    const stop = () => abort.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    this.#budget.enter();
    let at = from;
    try {
      for await (const piece of this.#windows(from, abort.signal)) {
        at += piece.length;
        yield piece;
      }
    } catch (error) {
      if (!(error instanceof RangeIgnored)) throw error;
      yield* this.#skipping(at, abort.signal);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#budget.leave();
      abort.abort(new Error('the reader has moved on'));
    }
  }

  async *#windows(from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const ahead: PieceQueue[] = [];
    let next = from;
    for (;;) {
      const { windows, windowSize } = this.#budget.share(this.#file.size, next - from);
      while (ahead.length < windows && next < this.#file.size) {
        const to = Math.min(this.#file.size, next + windowSize);
        ahead.push(this.#read(next, to, windowSize, signal));
        next = to;
      }
      const window = ahead.shift();
      if (!window) return;
      yield* window.read();
    }
  }

  /** From a server without ranges: an answer from the file's start, whose first `from` bytes are dropped. */
  async *#skipping(from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const patience = new Patience(this.#patience);
    let given = from;
    for (;;) {
      try {
        let at = 0;
        const whole = this.#read(0, this.#file.size, this.#budget.share(this.#file.size).windowSize, signal);
        for await (const piece of whole.read()) {
          const skipped = Math.min(piece.length, Math.max(0, given - at));
          at += piece.length;
          if (skipped === piece.length) continue;
          given = at;
          patience.progress();
          yield piece.subarray(skipped);
        }
        return;
      } catch (error) {
        await patience.wait(error instanceof RangeIgnored ? error.asFailure() : error, signal);
      }
    }
  }

  /** Begins to read a window; at most `limit` bytes of it wait for their reader. */
  #read(from: number, to: number, limit: number, signal: AbortSignal): PieceQueue {
    const onRead = (bytes: number) => {
      this.#budget.took(bytes);
      this.#onRead(bytes);
    };
    const options = { patience: this.#patience, onRead, signal };
    const source = (sink: ByteSink) => readWindow(this.#location, this.#file, from, to, options, sink);
    return new PieceQueue(source, limit, this.#budget.pool, (ms) => this.#budget.waited(ms));
  }
}
