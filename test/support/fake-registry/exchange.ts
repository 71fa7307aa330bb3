import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { ProxyRequest } from '../fault-proxy.ts';
import type { Dialect } from './dialects.ts';

/** One request, and how much work it was. */
export interface FakeRequest extends ProxyRequest {
  /** `storage`: the other origin, standing for an object store. */
  origin: 'registry' | 'storage';
  /** Bytes of the answer's body that were handed to the connection; a client that left may have got less. */
  responseBytes: number;
}

const pieceSize = 64 * 1024;

/** What a script can make of one request. */
export type FakeFault =
  /** Answered without doing anything. `body: 'endless'` never stops, `'silent'` is announced and never comes. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** Done as asked, and answered when the promise resolves. */
  | { kind: 'hold'; until: Promise<void> }
  /** Done as asked, and the connection ends without an answer. */
  | { kind: 'lose-answer' }
  /** The connection ends when so many bytes of the request's body have come. */
  | { kind: 'cut'; after: number }
  /** Nothing more is read once so many bytes of the request's body have come. */
  | { kind: 'stop-reading'; after: number };

/** A request that is being answered. */
export class Exchange {
  readonly log: FakeRequest;
  fault: FakeFault | undefined;
  readonly #incoming: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #onBytes: () => void;

  constructor(incoming: IncomingMessage, response: ServerResponse, log: FakeRequest, onBytes: () => void) {
    this.#incoming = incoming;
    this.#response = response;
    this.log = log;
    this.#onBytes = onBytes;
  }

  /** Scheme and host that the client came by. */
  get ownOrigin(): string {
    const { encrypted } = this.#incoming.socket as { encrypted?: boolean };
    return `http${encrypted ? 's' : ''}://${this.log.headers.host}`;
  }

  /** Reads the request's body, to its end or until its connection is cut; one over `limit` is answered. */
  async body({
    bytes: limit,
    answer,
  }: Dialect['bodyLimit']): Promise<{ bytes: Buffer; end: 'whole' | 'cut' | 'too large' }> {
    const { fault } = this;
    const cutAfter = fault?.kind === 'cut' || fault?.kind === 'stop-reading' ? fault.after : Infinity;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of this.#incoming) {
        const piece = (chunk as Buffer).subarray(0, cutAfter - this.log.requestBytes);
        chunks.push(piece);
        this.log.requestBytes += piece.length;
        this.#onBytes();
        if (this.log.requestBytes === cutAfter) {
          if (fault?.kind === 'stop-reading') await once(this.#incoming.socket, 'close');
          this.#incoming.socket.destroy();
          return { bytes: Buffer.concat(chunks), end: 'cut' };
        }
        if (this.log.requestBytes <= limit) continue;
        if (answer === 'reset') this.#incoming.socket.resetAndDestroy();
        else {
          await this.refuse(413, '<html>Request Entity Too Large</html>');
          // The rest is read and dropped, as nginx does (lingering_close), so that the answer arrives.
          for await (const _ of this.#incoming);
        }
        return { bytes: Buffer.alloc(0), end: 'too large' };
      }
    } catch {
      const over = this.log.requestBytes > limit;
      return { bytes: Buffer.concat(chunks), end: over ? 'too large' : 'cut' };
    }
    return { bytes: Buffer.concat(chunks), end: 'whole' };
  }

  async reply(status: number, headers: Record<string, string> = {}, body?: Buffer | string): Promise<void> {
    if (!this.#incoming.complete) this.#incoming.resume();
    if (this.fault?.kind === 'hold') await this.fault.until;
    if (this.fault?.kind === 'lose-answer') {
      this.#incoming.socket.destroy();
      return;
    }
    this.log.status = status;
    this.#response.writeHead(status, headers);
    if (body === undefined || this.log.method === 'HEAD') this.#response.end();
    // A client that has enough leaves before the end.
    else await pipeline(this.#pieces(Buffer.from(body)), this.#response).catch(() => {});
  }

  async *#pieces(body: Buffer): AsyncGenerator<Buffer> {
    for (let at = 0; at < body.length; at += pieceSize) {
      const piece = body.subarray(at, at + pieceSize);
      this.log.responseBytes += piece.length;
      yield piece;
    }
  }

  /** `code`: of the registry's error document; what is no code is sent as a proxy's page. */
  refuse(status: number, code: string, headers: Record<string, string> = {}, message = 'no'): Promise<void> {
    const document = /^[A-Z_]+$/.test(code) ? JSON.stringify({ errors: [{ code, message }] }) : code;
    return this.reply(status, headers, document);
  }

  async script({ status, headers = {}, body = '' }: FakeFault & { kind: 'answer' }): Promise<void> {
    if (body !== 'endless' && body !== 'silent') return this.reply(status, headers, body);
    this.#incoming.resume();
    this.log.status = status;
    this.#response.writeHead(status, { ...headers, ...(body === 'silent' && { 'content-length': '100' }) });
    this.#response.flushHeaders();
    if (body === 'silent') return;
    const more = () => {
      while (!this.#response.destroyed && this.#response.write(Buffer.alloc(64 * 1024, ' ')));
    };
    this.#response.on('drain', more);
    more();
  }
}
