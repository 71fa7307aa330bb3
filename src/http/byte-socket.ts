import type { Socket } from 'node:net';
import { type ConnectOptions, connect } from './connect.ts';
import { type Headers, parseAnswerHead } from './message-head.ts';

/** Bytes of an answer's head; undici's limit as well. */
const headLimit = 16 * 1024;

/** Bytes of the memory that every connection has of its own, and what of it is read into at once: it is copied from there. */
const spareSize = 2 * headLimit;
const spareRead = headLimit;

/** Where an answer's bytes go, without a copy in between. */
export interface ByteSink {
  /**
   * Memory for what comes next, at least one byte of it; `undefined` when no more is wanted. It may be asked for again
   * before any of it was used.
   */
  room(): Buffer | undefined;
  /** So many bytes have come into it; a promise holds the rest back. */
  took(bytes: number): Promise<void> | undefined;
}

/** The head of an answer whose body has a length that is known. */
export interface ByteHead {
  status: number;
  headers: Headers;
  /** Of the body, in bytes. */
  length: number;
}

/** An answer that these sockets do not understand: its length is not known beforehand. */
export class NotUnderstood extends Error {
  /** Whether the next answer will be of that kind too: it was no refusal, and HTTP. */
  readonly lasting: boolean;

  constructor(lasting: boolean) {
    super('an answer without a length');
    this.lasting = lasting;
  }
}

/** The other side has closed the connection: undici's words for it, so that it is told the same. */
class Closed extends Error {
  readonly code = 'UND_ERR_SOCKET';

  constructor() {
    super('other side closed');
  }
}

export interface ByteSocketOptions extends ConnectOptions {
  /** Time to connect, TLS included, in ms. */
  timeoutMs: number;
  /** An answer has been read whole, and another may be asked for. */
  onFree: (socket: ByteSocket) => void;
  /** It is closed for good. */
  onGone: (socket: ByteSocket) => void;
}

interface Waiting<T> {
  resolve: (value: T | PromiseLike<T>) => void;
  reject: (error: unknown) => void;
}

interface Reading extends Waiting<void> {
  sink: ByteSink;
}

/**
 * A connection that reads answers straight into the memory of whoever wants them, one after the other. A stream of 64 KiB
 * buffers, which Node makes of a socket otherwise, costs twice as much CPU time; in TLS, where it has 16 KiB each, three
 * times (bench/NOTES.md). It speaks just enough HTTP/1.1 for that: GET, and answers with a Content-Length.
 *
 * What is asked of it fails only when the socket is closed: from then on nothing writes into a sink's memory any more.
 */
export class ByteSocket {
  readonly #options: ByteSocketOptions;
  readonly #socket: Socket;
  /** Memory for heads, and for what comes while no sink takes it. */
  #spare = Buffer.allocUnsafeSlow(spareSize);
  /** What lies in it and is still to be taken. */
  #from = 0;
  #to = 0;
  /** The sink's memory that is read into; the spare memory where there is none. */
  #direct: Buffer | undefined;
  #asked: Waiting<ByteHead> | undefined;
  #reading: Reading | undefined;
  /** Until this the sink takes no more. */
  #held: Promise<void> | undefined;
  /** Bytes of the answer's body that the sink has not got yet; `undefined` when there is no answer. */
  #left: number | undefined;
  #keepsOpen = true;
  #error: unknown;
  #isClosed = false;
  #timer: NodeJS.Timeout;
  #forget = () => {};

  constructor(options: ByteSocketOptions) {
    this.#options = options;
    this.#socket = connect(options, {
      buffer: () => this.#memory(),
      callback: (bytes, memory) => this.#took(bytes, memory),
    });
    this.#timer = setTimeout(() => this.destroy(timedOut()), options.timeoutMs);
    this.#socket
      .setNoDelay(true)
      .once(options.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(this.#timer))
      .on('error', (error) => this.destroy(error))
      .on('end', () => this.#ended())
      .on('close', () => {
        this.#isClosed = true;
        if (this.#error === undefined) this.#ended();
        else this.#gone();
      });
  }

  /** What has ended the connection. */
  get error(): unknown {
    return this.#error;
  }

  /** Whether another request can be made. */
  get isOpen(): boolean {
    return this.#error === undefined && this.#keepsOpen;
  }

  /**
   * Sends a request.
   * @param signal ends it, the answer's body included.
   * @throws what the socket throws; the signal's reason; NotUnderstood.
   */
  get(request: string, signal: AbortSignal): Promise<ByteHead> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#asked = { resolve, reject };
      const stop = () => this.destroy(signal.reason);
      this.#forget = () => signal.removeEventListener('abort', stop);
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      this.#socket.ref();
      this.#socket.write(request, 'latin1');
    });
  }

  /** Reads the body. Until then nothing is read: the other side waits. @throws as `get` does; whatever the sink throws. */
  read(sink: ByteSink): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#reading = { sink, resolve, reject };
      if (this.#fill()) this.#socket.resume();
    });
  }

  /** It waits for the next request, for so many ms at most, without keeping the process alive. */
  rest(ms: number): void {
    this.#socket.unref();
    this.#timer = setTimeout(() => this.destroy(), ms).unref();
  }

  /** Ends the rest. */
  wake(): void {
    clearTimeout(this.#timer);
  }

  destroy(error: unknown = new Closed()): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#direct = undefined;
    this.#socket.destroy();
    if (this.#isClosed) this.#gone();
  }

  #gone(): void {
    clearTimeout(this.#timer);
    this.#forget();
    this.#asked?.reject(this.#error);
    this.#reading?.reject(this.#error);
    this.#asked = undefined;
    this.#reading = undefined;
    this.#options.onGone(this);
  }

  /** Nothing more will come. In TLS that is told before what came has been taken. */
  #ended(): void {
    if (this.#left === undefined || this.#to - this.#from < this.#left) this.destroy();
    else this.#keepsOpen = false;
  }

  /** Where the socket is to read to: asked for after each read, for the next one. */
  #memory(): Uint8Array<ArrayBuffer> {
    if (this.#direct) return this.#direct as Uint8Array<ArrayBuffer>;
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
    if (this.#spare.length - this.#to < spareRead) this.#makeRoom();
    return this.#spare.subarray(this.#to, this.#to + spareRead);
  }

  /** In the spare memory, behind what waits there: in TLS that may be more than a read. */
  #makeRoom(): void {
    const waiting = this.#spare.subarray(this.#from, this.#to);
    const needed = waiting.length + spareRead;
    const memory = needed > this.#spare.length ? Buffer.allocUnsafeSlow(2 * needed) : this.#spare;
    memory.set(waiting);
    this.#spare = memory;
    this.#from = 0;
    this.#to = waiting.length;
  }

  /**
   * So many bytes have come into the memory that was given after the last read, which may be long ago.
   * @returns whether to read on. TLS gives what it has decrypted all the same: that is kept.
   */
  #took(bytes: number, memory: Uint8Array): boolean {
    const direct = memory === this.#direct;
    this.#direct = undefined;
    if (direct) return this.#fill(bytes);
    if (this.#from === this.#to) this.#from = memory.byteOffset;
    this.#to = memory.byteOffset + bytes;
    if (this.#asked) return this.#tookHead(this.#asked);
    // Nobody has asked for anything.
    if (this.#left === undefined) this.destroy();
    return this.#fill();
  }

  #tookHead({ resolve }: Waiting<ByteHead>): boolean {
    const came = this.#spare.subarray(this.#from, this.#to);
    const end = came.indexOf('\r\n\r\n');
    if (end < 0 && came.length < headLimit) return true;
    const isHead = end >= 0 && end < headLimit;
    const head = isHead ? parseAnswerHead(came.toString('latin1', 0, end)) : undefined;
    if (head?.length === undefined) {
      this.destroy(new NotUnderstood(head !== undefined && head.status < 400));
      return false;
    }
    const { status, headers, length, keepsOpen } = head;
    this.#from += end + 4;
    this.#left = length;
    this.#keepsOpen = keepsOpen;
    this.#asked = undefined;
    resolve({ status, headers, length });
    return false;
  }

  /**
   * Gives the sink what has come.
   * @param direct so many bytes of it are in its memory already.
   * @returns whether to read on.
   */
  #fill(direct = 0): boolean {
    try {
      if (direct > 0) this.#give(direct);
      while (this.#reading && this.#error === undefined) {
        if (this.#left === 0) return this.#finish(this.#reading);
        if (this.#held) return false;
        const room = this.#reading.sink.room();
        if (!room) return this.#leave(({ resolve }) => resolve());
        const wanted = room.subarray(0, this.#left);
        if (this.#from === this.#to) {
          this.#direct = wanted;
          return true;
        }
        const copied = this.#spare.copy(wanted, 0, this.#from, this.#to);
        this.#from += copied;
        this.#give(copied);
      }
    } catch (error) {
      this.#leave(({ reject }) => reject(error));
    }
    return false;
  }

  #give(bytes: number): void {
    if (!this.#reading || this.#left === undefined) return;
    this.#left -= bytes;
    const held = this.#reading.sink.took(bytes);
    if (!held) return;
    this.#held = held;
    held.then(
      () => {
        if (this.#held !== held) return;
        this.#held = undefined;
        if (this.#fill()) this.#socket.resume();
      },
      (error) => {
        if (this.#held === held) this.#leave(({ reject }) => reject(error));
      },
    );
  }

  /** The sink wants no more, or has failed: what is still on its way is not worth waiting for. */
  #leave(settle: (reading: Reading) => void): false {
    const reading = this.#reading;
    if (reading) this.#reading = { ...reading, reject: () => settle(reading) };
    this.destroy();
    return false;
  }

  /** The body is here; the reader goes on when its sink has taken the end of it. */
  #finish({ resolve }: Waiting<void>): boolean {
    const held = this.#held;
    this.#held = undefined;
    this.#reading = undefined;
    this.#left = undefined;
    this.#forget();
    // More bytes than were promised would be taken for the next answer: those here, and what is read in this turn.
    if (this.#from < this.#to) this.#keepsOpen = false;
    setImmediate(() => {
      if (this.isOpen) this.#options.onFree(this);
      else this.destroy();
      resolve(held);
    });
    return this.#keepsOpen;
  }
}

function timedOut(): Error {
  return Object.assign(new Error('no connection in time'), { code: 'UND_ERR_CONNECT_TIMEOUT' });
}
