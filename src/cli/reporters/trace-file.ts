import { closeSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { Trace } from './trace.ts';

/** What is gathered before it is written: at most so many characters, for at most so long (ms). */
const gathered = 64 * 1024;
const writeEveryMs = 1000;

/**
 * A trace as a file: the JSON array of the Trace Event Format, whose closing bracket may be missing ("JSON Array Format"),
 * so that what a killed process has left is read, too.
 */
export class TraceFile {
  readonly #trace: Trace;
  readonly #warn: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #file: number | undefined;
  #text = '';
  #isFirst = true;
  /** Bytes in the file. */
  #length = 0;

  /** @throws BoxcarError `usage` where no file can be written there. */
  constructor(path: string, title: string, warn: (message: string) => void) {
    this.#file = opened(path);
    this.#warn = warn;
    this.#trace = new Trace(title, (record) => {
      this.#text += `${this.#isFirst ? '[\n' : ',\n'}${JSON.stringify(record)}`;
      this.#isFirst = false;
      if (this.#text.length >= gathered) this.#flush();
    });
    this.#flush();
    this.#timer = setInterval(() => this.#flush(), writeEveryMs);
    this.#timer.unref();
  }

  event(event: PublishEvent): void {
    if (this.#file !== undefined) this.#trace.event(event);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#trace.close();
    this.#text += '\n]\n';
    this.#flush();
    this.#close();
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    if (this.#file === undefined || text === '') return;
    try {
      writeFileSync(this.#file, text);
      this.#length += Buffer.byteLength(text);
    } catch (error) {
      this.#warn(`the trace ends here, it cannot be written: ${(error as Error).message}`);
      this.#close(this.#length);
    }
  }

  /** @param length to which the file is cut: a full disk may have taken a part of a record. */
  #close(length?: number): void {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      if (length !== undefined) ftruncateSync(file, length);
      closeSync(file);
    } catch {
      // Told already, or of no consequence.
    }
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'w', 0o644);
  } catch (error) {
    throw new BoxcarError(`--trace ${path} cannot be written: ${(error as Error).message}`, {
      code: 'usage',
      side: 'local',
    });
  }
}
