import { connect as connectPlain, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Headers } from './client.ts';

/** Bytes of an answer's head; undici's limit as well. */
const headLimit = 16 * 1024;

/** Bytes of the memory that every connection has of its own. */
const spareSize = 64 * 1024;

/** Where an answer's bytes go, without a copy in between. */
export interface ByteSink {
  /** Memory for what comes next, at least one byte of it; `undefined` when no more is wanted. */
  room(): Buffer | undefined;
  /** So many bytes have come into it; a promise holds the rest back. */
  took(bytes: number): Promise<void> | undefined;
}

/** The head of an answer whose body has a length that is known. */
export interface ByteHead {
  status: number;
  headers: Headers;
  length: number;
}

/** An answer that these sockets do not understand: its length is not known beforehand. */
export class NotUnderstood extends Error {}

/** The other side has closed the connection: undici's words for it, so that it is told the same. */
class Closed extends Error {
  readonly code = 'UND_ERR_SOCKET';

  constructor() {
    super('other side closed');
  }
}

export interface ByteSocketOptions {
  url: URL;
  ca: string[] | undefined;
  lookup: LookupFunction | undefined;
  timeoutMs: number;
}

/**
 * A connection that reads answers straight into the memory of whoever wants them, one after the other. A stream of 64 KiB
 * buffers, which Node makes of a socket otherwise, costs twice as much CPU time; in TLS, where it has 16 KiB each, three
 * times (bench/NOTES.md). It speaks just enough HTTP/1.1 for that: GET, and answers with a Content-Length.
 */
export class ByteSocket {
  readonly #socket: Socket;
  /** Heads, and the first read after a pause, which the socket makes into the memory it was given before that. */
  readonly #spare = Buffer.allocUnsafeSlow(spareSize);
  #headBytes = 0;
  /** Where the socket reads to now. */
  #target: Buffer = this.#spare;
  #onHead: { resolve: (head: ByteHead) => void; reject: (error: unknown) => void } | undefined;
  #body: { sink: ByteSink; resolve: () => void; reject: (error: unknown) => void } | undefined;
  /** Bytes that came with the head. */
  #early: Buffer = this.#spare.subarray(0, 0);
  /** Bytes of the body that are still to come. */
  #left = 0;
  #reusable = true;
  #error: unknown;
  #onFree: (() => void) | undefined;
  #onGone: (() => void) | undefined;
  /** Whether it has answered before: then the other side may have closed it meanwhile. */
  used = false;

  constructor({ url, ca, lookup, timeoutMs }: ByteSocketOptions) {
    const tls = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port) || (tls ? 443 : 80);
    const onread: OnReadOpts = {
      buffer: () => this.#target as Uint8Array<ArrayBuffer>,
      callback: (bytes, memory) => this.#took(bytes, memory),
    };
    const where = { host, port, onread, ...(lookup ? { lookup } : {}) };
    this.#socket = tls
      ? connectTls({
          ...where,
          ALPNProtocols: ['http/1.1'],
          ...(ca ? { ca } : {}),
          ...(isName(host) ? { servername: host } : {}),
        } as never)
      : connectPlain(where);
    this.#socket.setNoDelay(true);
    const late = setTimeout(() => this.destroy(timedOut()), timeoutMs);
    this.#socket
      .once(tls ? 'secureConnect' : 'connect', () => clearTimeout(late))
      .on('error', (error) => this.destroy(error))
      .on('end', () => this.destroy(new Closed()))
      .on('close', () => {
        clearTimeout(late);
        this.destroy(new Closed());
      });
  }

  /** Whether another request can be made. */
  get isOpen(): boolean {
    return this.#error === undefined && this.#reusable;
  }

  /** Sends a GET. @throws what the socket throws; NotUnderstood. */
  get(url: URL, headers: Record<string, string>): Promise<ByteHead> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\n${lines.join('')}\r\n`;
    this.#headBytes = 0;
    this.#target = this.#spare;
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#onHead = { resolve, reject };
      this.#socket.ref();
      this.#socket.write(text, 'latin1');
    });
  }

  /** Reads the body. Until then nothing is read: the other side waits. */
  read(sink: ByteSink): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#body = { sink, resolve, reject };
      if (this.#copy(this.#early)) this.#socket.resume();
    });
  }

  /** @param onFree called when the body has been read and the connection can be used again. */
  whenFree(onFree: () => void): void {
    this.#onFree = onFree;
  }

  whenGone(onGone: () => void): void {
    this.#onGone = onGone;
  }

  /** It may wait for the next request without keeping the process alive. */
  rest(): void {
    this.#socket.unref();
  }

  destroy(error: unknown = new Closed()): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#socket.destroy();
    this.#onHead?.reject(error);
    this.#onHead = undefined;
    const body = this.#body;
    this.#body = undefined;
    body?.reject(error);
    this.#onGone?.();
  }

  /** @returns whether to go on reading. */
  #took(bytes: number, memory: Uint8Array): boolean {
    if (this.#onHead) return this.#tookHead(bytes);
    if (!this.#body) {
      // Nobody has asked for anything.
      this.destroy();
      return false;
    }
    // The first read after a pause is made into the memory that the socket was given before it.
    if (memory.buffer === this.#spare.buffer) return this.#copy(this.#spare.subarray(0, bytes));
    this.#left -= bytes;
    const held = this.#body.sink.took(bytes);
    if (!held) return this.#next();
    this.#wait(held, this.#spare.subarray(0, 0));
    return false;
  }

  #tookHead(bytes: number): boolean {
    this.#headBytes += bytes;
    const came = this.#spare.subarray(0, this.#headBytes);
    const end = came.indexOf('\r\n\r\n');
    if (end < 0 && this.#headBytes < headLimit) {
      this.#target = this.#spare.subarray(this.#headBytes);
      return true;
    }
    const head = end < 0 ? undefined : parseHead(came.toString('latin1', 0, end));
    if (!head) {
      this.destroy(new NotUnderstood('an answer without a length'));
      return false;
    }
    this.used = true;
    this.#reusable = !/\bclose\b/i.test(String(head.headers.connection ?? ''));
    this.#left = head.length;
    this.#early = came.subarray(end + 4);
    this.#target = this.#spare;
    const waiting = this.#onHead;
    this.#onHead = undefined;
    waiting?.resolve(head);
    return false;
  }

  /** Gives the sink what lies in the spare memory. @returns whether to go on reading. */
  #copy(bytes: Buffer): boolean {
    const body = this.#body;
    if (!body) return false;
    if (bytes.length > this.#left) {
      this.destroy(new NotUnderstood('more bytes than were promised'));
      return false;
    }
    let rest = bytes;
    while (rest.length > 0) {
      const room = body.sink.room();
      if (!room) {
        this.#enough();
        return false;
      }
      const copied = rest.copy(room);
      rest = rest.subarray(copied);
      this.#left -= copied;
      const held = body.sink.took(copied);
      if (held) {
        this.#wait(held, rest);
        return false;
      }
    }
    return this.#next();
  }

  /** Goes on when the sink can take more. The socket reads once more into the memory that it has now, the spare one. */
  #wait(held: Promise<void>, rest: Buffer): void {
    this.#target = this.#spare;
    held.then(
      () => {
        if (rest.length === 0 && this.#left > 0) this.#socket.resume();
        else if (this.#copy(rest)) this.#socket.resume();
      },
      (error) => this.destroy(error),
    );
  }

  /** Makes room for what comes next. @returns whether anything shall. */
  #next(): boolean {
    if (!this.#body) return false;
    if (this.#left === 0) {
      this.#finished();
      return this.isOpen;
    }
    const room = this.#body.sink.room();
    if (!room) {
      this.#enough();
      return false;
    }
    this.#target = room.length > this.#left ? room.subarray(0, this.#left) : room;
    return true;
  }

  /** The sink wants no more: what is still on its way is not worth waiting for. */
  #enough(): void {
    const body = this.#body;
    this.#body = undefined;
    this.destroy();
    body?.resolve();
  }

  #finished(): void {
    const body = this.#body;
    this.#body = undefined;
    this.#target = this.#spare;
    if (!this.#reusable) this.destroy();
    body?.resolve();
    if (this.isOpen) this.#onFree?.();
  }
}

/** `undefined` for an answer whose body ends otherwise than after a number of bytes. */
function parseHead(text: string): ByteHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1];
  const headers: Headers = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) return undefined;
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  const length = headers['content-length'];
  const known =
    typeof length === 'string' && /^\d{1,15}$/.test(length) && headers['transfer-encoding'] === undefined;
  if (!status || Number(status) < 200 || !known) return undefined;
  return {
    status: Number(status),
    headers,
    length: [204, 304].includes(Number(status)) ? 0 : Number(length),
  };
}

/** A name is sent as SNI (RFC 6066 section 3), an address is not. */
function isName(host: string): boolean {
  return !/^[\d.]+$|:/.test(host);
}

function timedOut(): Error {
  return Object.assign(new Error('no connection in time'), { code: 'UND_ERR_CONNECT_TIMEOUT' });
}
