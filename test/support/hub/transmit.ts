import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { createPace, type Pace, pieceSize } from '../pace.ts';
import type { Answer } from './answer.ts';
import type { HubFault } from './faults.ts';

export interface TransmitOptions {
  /** Bytes of files per second on one connection; other answers are not held back. */
  bytesPerSecond?: number;
  omitContentLength?: boolean;
}

/** Sends an answer, or the beginning of it that the fault allows. `count` hears of body bytes as they are handed over. */
export async function transmit(
  response: ServerResponse,
  answer: Answer,
  fault: HubFault | undefined,
  options: TransmitOptions,
  count: (bytes: number) => void,
): Promise<void> {
  // Not the answer's own: it has none yet while the answer before it on the connection is still being written.
  const socket = response.req.socket;
  if (fault?.kind === 'reset' || fault?.kind === 'down' || !socket) return reset(socket);
  if (fault?.kind === 'hold') return;
  if (fault?.kind === 'garbage') {
    socket.end('220 mail.example.com ESMTP ready\r\n');
    return;
  }
  const length = answer.to - answer.from;
  const unmeasured = answer.chunked || (options.omitContentLength && answer.file !== undefined);
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(unmeasured ? {} : { 'content-length': length }),
  });
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  const ends = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault : undefined;
  response.flushHeaders();
  if (fault?.kind === 'trickle') return trickle(response, answer, fault, count);
  const bytesPerSecond = answer.file === undefined ? undefined : options.bytesPerSecond;
  await sendBytes(response, answer, ends?.after ?? length, bytesPerSecond, count);
  if (fault?.kind === 'excess') socket.write(answer.content.read(answer.from, length));
  // destroySoon: what was written still leaves, then the connection ends without the rest of the body.
  if (ends?.kind === 'cut') socket.destroySoon();
  else if (!ends) response.end();
}

/** Below TLS there is no reset to be had; the connection just ends. */
export function reset(socket: Socket | null): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket?.resetAndDestroy();
}

async function trickle(
  response: ServerResponse,
  { content, from, to }: Answer,
  { pieces, everyMs }: { pieces: number; everyMs: number },
  count: (bytes: number) => void,
): Promise<void> {
  const size = Math.ceil((to - from) / pieces);
  for (let at = from; at < to && !response.closed; at += size) {
    const piece = content.read(at, Math.min(size, to - at));
    count(piece.length);
    response.write(piece);
    await delay(everyMs);
  }
  response.end();
}

async function sendBytes(
  response: ServerResponse,
  answer: Answer,
  length: number,
  bytesPerSecond: number | undefined,
  count: (bytes: number) => void,
): Promise<void> {
  const pace = bytesPerSecond === undefined ? undefined : paceOf(response.req.socket, bytesPerSecond);
  const largest = pieceSize(bytesPerSecond, 256 * 1024);
  for (let sent = 0; sent < length && !response.closed; ) {
    const piece = answer.content.read(answer.from + sent, Math.min(largest, length - sent));
    await pace?.(piece.length);
    if (response.closed) return;
    sent += piece.length;
    count(piece.length);
    if (!response.write(piece)) await drained(response);
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

const paces = new WeakMap<Socket, Pace>();

/** One pace a connection, so that requests one after the other on it do not gain anything. */
function paceOf(socket: Socket, bytesPerSecond: number): Pace {
  const pace = paces.get(socket) ?? createPace(bytesPerSecond);
  paces.set(socket, pace);
  return pace;
}
