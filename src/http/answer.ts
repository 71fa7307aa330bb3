import type { Dispatcher } from 'undici';
import { BoxcarError, type BoxcarErrorOptions, type RequestFacts } from '../errors.ts';
import { blanked, withoutSecrets } from '../secrets.ts';
import type { ByteSink } from './byte-socket.ts';
import type { ByteAnswer } from './byte-sockets.ts';
import { failureOf } from './failure.ts';
import type { Headers } from './message-head.ts';
import type { StallWatch } from './stall.ts';

/** Stall limits that a document may take in all, two minutes by default: the largest has 16 MiB. */
const documentStalls = 4;
/** Values in a query from this length on may be signatures. */
const signatureLength = 16;
/** Bytes of the memory that an answer is read into where its reader has none. */
const chunkSize = 64 * 1024;

export interface HttpResponse {
  status: number;
  headers: Headers;
  facts: RequestFacts;
  /**
   * Gives the body chunk by chunk; a promise that `onChunk` returns holds the rest back, `false` ends it early. Events
   * instead of iteration: half of the cost of reading.
   * @throws BoxcarError when the body is cut, or no byte comes for the stall limit; whatever `onChunk` throws.
   */
  each(onChunk: (chunk: Buffer) => Promise<void> | false | undefined): Promise<void>;
  /**
   * Reads the body into the sink's own memory, until that wants no more.
   * @throws as `each` does; whatever the sink throws.
   */
  into(sink: ByteSink): Promise<void>;
  /** Drops the body, which must be read or dropped. */
  discard(): Promise<void>;
  /**
   * The whole of a small document.
   * @param withinMs default: {@link documentStalls} times the stall limit.
   * @throws BoxcarError when it is longer than `limit` bytes, or takes longer than that: an endless answer must fill
   * neither the memory nor the day, however steadily it drips.
   */
  bytes(limit: number, withinMs?: number): Promise<Buffer>;
  /** The server's words as they may be shown: without secrets, and without the signed query that was asked with. */
  discreet(text: string): string;
}

/** The request that an answer is to. */
export interface Asked {
  facts: RequestFacts;
  watch: StallWatch;
  side: 'hub' | 'registry';
  signal: AbortSignal | undefined;
  stallMs: number;
  /** Of the URL. */
  query: string;
}

/** An answer that comes through undici. */
export function response(answer: Dispatcher.ResponseData, asked: Asked): HttpResponse {
  const { body, headers, statusCode: status } = answer;
  const { facts, watch, side, signal } = asked;
  const failure = (error: unknown) => failureOf(watch.reasonFor(error), side, facts, signal);
  const each: HttpResponse['each'] = async (onChunk) => {
    let held: Promise<void> | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const take = (chunk: Buffer) => {
          watch.progress();
          const goOn = onChunk(chunk);
          if (goOn === false) return resolve();
          if (!goOn) return;
          body.pause();
          watch.pause();
          held = goOn.then(() => {
            watch.progress();
            body.resume();
          });
          held.catch(reject);
        };
        // No event would come any more: it broke, or was dropped.
        if (body.errored) throw failure(body.errored);
        if (body.closed) return resolve();
        watch.progress();
        body.on('error', (error) => reject(failure(error)));
        body.on('end', resolve);
        body.on('data', (chunk: Buffer) => {
          try {
            take(chunk);
          } catch (error) {
            reject(error);
          }
        });
      });
      await held;
    } finally {
      watch.done();
      body.destroy();
    }
  };
  const into = (sink: ByteSink) => {
    let spent: Buffer | undefined;
    let isOver = false;
    // An answer may break while its reader is held: what is left of the chunk is not given any more then.
    const open: ByteSink = {
      room: () => (isOver ? undefined : sink.room()),
      took: (bytes) => sink.took(bytes),
    };
    return each((chunk) => {
      // Not this one yet: it may come from within undici's parser, which looks at it once more.
      if (spent) release(spent);
      spent = chunk;
      return copied(chunk, open);
    }).finally(() => {
      isOver = true;
      if (spent) release(spent);
    });
  };
  const discard = async () => {
    // Read, so that its connection can be used again; an answer that goes on or stands still is cut instead.
    watch.progress();
    await body.dump().catch(() => {});
    watch.done();
  };
  return { status, headers, facts, each, into, discard, ...document(each, asked) };
}

/** Gives a sink what lies elsewhere. */
function copied(chunk: Buffer, sink: ByteSink): Promise<void> | false | undefined {
  for (let rest = chunk; rest.length > 0; ) {
    const room = sink.room();
    if (!room) return false;
    const taken = rest.copy(room);
    rest = rest.subarray(taken);
    const held = sink.took(taken);
    if (held && rest.length === 0) return held;
    if (held) {
      const then = rest;
      return held.then(async () => {
        await copied(then, sink);
      });
    }
  }
  return undefined;
}

/**
 * Frees a chunk's memory at once. Left to the garbage collector, 64 KiB for each read make V8 mark its whole heap every
 * 32 MiB or so: a quarter of the CPU time of a push, and 50 MiB more resident memory.
 */
function release({ buffer, byteOffset, length }: Buffer): void {
  // What is before it in the same read is done with: the answer's headers, chunks that came earlier. What is behind is not.
  const isLast = byteOffset + length === buffer.byteLength;
  // Node's pool of small buffers gives away less than half of itself at once.
  const isOwn = byteOffset === 0 || length >= Buffer.poolSize / 2;
  if (isLast && isOwn) (buffer as ArrayBuffer).transfer(0);
}

/** An answer that comes through a connection of our own. */
export function byteResponse({ head, socket }: ByteAnswer, asked: Asked): HttpResponse {
  const { facts, watch, side, signal } = asked;
  let isRead = false;
  const into = async (sink: ByteSink) => {
    isRead = true;
    watch.progress();
    try {
      await socket.read({
        room: () => sink.room(),
        took(bytes) {
          watch.progress();
          const held = sink.took(bytes);
          if (!held) return undefined;
          watch.pause();
          return held.then(() => watch.progress());
        },
      });
    } catch (error) {
      // What the sink throws stays what it is.
      throw error === socket.error ? failureOf(watch.reasonFor(error), side, facts, signal) : error;
    } finally {
      watch.done();
    }
  };
  const each: HttpResponse['each'] = (onChunk) => {
    // Filled from one end to the other: chunks of a byte each do not have 64 KiB each.
    let memory = Buffer.alloc(0);
    let isEnough = false;
    return into({
      room() {
        if (memory.length === 0) memory = Buffer.allocUnsafe(Math.min(chunkSize, head.length));
        return isEnough ? undefined : memory;
      },
      took(bytes) {
        const chunk = memory.subarray(0, bytes);
        memory = memory.subarray(bytes);
        const goOn = onChunk(chunk);
        isEnough = goOn === false;
        return goOn || undefined;
      },
    });
  };
  const discard = async () => {
    // What was read is another request's connection by now.
    if (isRead) return;
    // A little is read, so that the connection can be used again.
    if (head.length <= chunkSize) return each(() => undefined).catch(() => {});
    watch.done();
    socket.destroy();
  };
  const { status, headers } = head;
  return { status, headers, facts, each, into, discard, ...document(each, asked) };
}

/** Reading a small document whole. */
function document(
  each: HttpResponse['each'],
  { facts, side, stallMs, query }: Asked,
): Pick<HttpResponse, 'bytes' | 'discreet'> {
  return {
    async bytes(limit, withinMs = documentStalls * stallMs) {
      const chunks: Buffer[] = [];
      let size = 0;
      const until = performance.now() + withinMs;
      await each((chunk) => {
        size += chunk.length;
        if (size > limit) throw failed(side, facts, `the ${side}'s answer is longer than ${limit} bytes`);
        // Looked at when bytes come: where none come any more it is a stall.
        if (performance.now() > until) throw drips(side, facts, withinMs);
        chunks.push(chunk);
        return undefined;
      });
      return Buffer.concat(chunks);
    },
    discreet: (text) => discreet(text, query),
  };
}

/** Something is wrong with what a server says. */
export function failed(
  side: 'hub' | 'registry',
  request: RequestFacts,
  message: string,
  options: Partial<BoxcarErrorOptions> = {},
): BoxcarError {
  const code = side === 'hub' ? 'hub-failed' : 'registry-failed';
  return new BoxcarError(message, { code, side, request, ...options });
}

function drips(side: 'hub' | 'registry', request: RequestFacts, ms: number): BoxcarError {
  return failed(side, request, `the ${side}'s answer was not complete after ${Math.round(ms / 1000)} s`, {
    transient: true,
  });
}

/**
 * Without the secrets of this process, what follows the `?` of any URL, logins in URLs, and the values of the query
 * that was asked with: object stores quote the signature that they refuse. What has a colon (a digest, a scope) is none.
 */
function discreet(text: string, query: string): string {
  const values = [...new URLSearchParams(query)]
    .map(([, value]) => value)
    .filter((value) => value.length >= signatureLength && !value.includes(':'));
  const raw = query
    .split(/[?&=]/)
    .filter((value) => value.length >= signatureLength && !/:|%3a/i.test(value));
  return blanked(withoutSecrets(text), [...values, ...raw])
    .replace(/(https?:\/\/)[^\s/@"'<>]*@/gi, '$1')
    .replace(/(https?:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/gi, '$1?***');
}
