import { createRequire } from 'node:module';
import type cliProgress from 'cli-progress';
import { barLine, type Layout, type Row, widestBar } from './bar-line.ts';
import type { Stderr } from './reporter.ts';

/** What the board shows at one moment, top to bottom; never more rows than the terminal has lines to spare. */
export interface Frame {
  rows: Row[];
  layout: Layout;
}

/** Lines at the bottom of a terminal that are redrawn in place, with text scrolling up above them (cli-progress). */
export class BarBoard {
  readonly #stderr: Stderr;
  readonly #frame: () => Frame;
  readonly #bars: cliProgress.MultiBar;
  readonly #lines: cliProgress.SingleBar[] = [];
  #layout: Layout;
  /** Output of the frame being drawn: one write a frame does not flicker. */
  #held: string[] | undefined;
  /** Set while lines are taken away, which draws a frame for each of them. */
  #shrinking = false;
  readonly #onExit = () => this.close();

  constructor(stderr: Stderr, frame: () => Frame) {
    this.#stderr = stderr;
    this.#frame = frame;
    // Only a terminal pays for it.
    const progress = createRequire(import.meta.url)('cli-progress') as typeof cliProgress;
    const bar = progress.Format.BarFormat;
    this.#bars = new progress.MultiBar({
      stream: this.#stream(),
      format: (options, { progress: share }, { row }: { row: Row | undefined }) =>
        row ? barLine(row, this.#layout, (barsize) => bar(share, { ...options, barsize })) : '',
      barCompleteChar: '#',
      barIncompleteChar: '-',
      barsize: widestBar,
      fps: 5,
      hideCursor: true,
      clearOnComplete: true,
      // Text that scrolls up moves the lines, so those that did not change must be drawn again as well.
      forceRedraw: true,
    });
    this.#layout = frame().layout;
    this.#bars.on('update-pre', () => this.#beforeDrawing());
    this.#bars.on('update-post', () => this.#afterDrawing());
    this.#beforeDrawing();
    this.#release();
    process.once('exit', this.#onExit);
  }

  /** Lets lines scroll up above the board with the next frame. Long ones wrap: the board itself has that switched off. */
  log(lines: string[]): void {
    for (const line of lines) this.#bars.log(`\x1b[?7h${line}\x1b[K\n\x1b[?7l`);
  }

  /** Clears the board and gives cursor and wrapping back. */
  close(): void {
    process.removeListener('exit', this.#onExit);
    if (!this.#bars.isActive) return;
    this.#bars.update();
    this.#bars.stop();
  }

  #beforeDrawing(): void {
    this.#held ??= [];
    const { rows, layout } = this.#frame();
    this.#layout = layout;
    for (const [index, row] of rows.entries()) this.#show(index, row);
    for (const line of this.#lines.slice(rows.length)) line.update({ row: undefined });
  }

  #show(index: number, row: Row): void {
    const line = this.#lines[index];
    if (!line) {
      this.#lines.push(this.#bars.create(row.size, row.offset, { row }));
      return;
    }
    line.setTotal(row.size);
    line.update(row.offset, { row });
  }

  /** Takes lines away only here, between two frames, where a layer that ended and one that began even out. */
  #afterDrawing(): void {
    this.#release();
    if (this.#shrinking) return;
    this.#shrinking = true;
    for (const line of this.#lines.splice(this.#frame().rows.length)) this.#bars.remove(line);
    this.#shrinking = false;
  }

  #release(): void {
    const text = this.#held?.join('') ?? '';
    this.#held = undefined;
    if (text !== '') this.#stderr.write(text);
  }

  #stream(): NodeJS.WritableStream {
    const stderr = this.#stderr;
    const write = (text: string) => {
      if (this.#held) this.#held.push(text);
      else stderr.write(text);
      return true;
    };
    const stream = {
      isTTY: true,
      get columns() {
        return stderr.columns;
      },
      write,
    };
    return stream as unknown as NodeJS.WritableStream;
  }
}
