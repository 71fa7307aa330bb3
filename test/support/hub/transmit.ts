import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
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
  const socket = response.socket;
  if (fault?.kind === 'reset' || !socket) {
    // Below TLS there is no reset to be had; the connection just ends.
    if (socket instanceof TLSSocket) socket.destroy();
    else socket?.resetAndDestroy();
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
  const bytesPerSecond = answer.file === undefined ? undefined : options.bytesPerSecond;
  await sendBytes(response, answer, ends?.after ?? length, bytesPerSecond, count);
  // destroySoon: what was written still leaves, then the connection ends without the rest of the body.
  if (ends?.kind === 'cut') socket.destroySoon();
  else if (!ends) response.end();
}

async function sendBytes(
  response: ServerResponse,
  answer: Answer,
  length: number,
  bytesPerSecond: number | undefined,
  count: (bytes: number) => void,
): Promise<void> {
  const pace = bytesPerSecond === undefined ? undefined : paceOf(response.socket as Socket, bytesPerSecond);
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
