import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { createPace, pieceSize } from '../pace.ts';
import type { ProxyFault } from './faults.ts';

/** Passes a request's body on, as far as the fault allows. `log` hears of the bytes taken from the client. */
export async function sendBody(
  incoming: IncomingMessage,
  upstream: ClientRequest,
  log: { requestBytes: number },
  fault: ProxyFault | undefined,
  usualRate: number | undefined,
): Promise<void> {
  const ends = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault : undefined;
  const rate = fault?.kind === 'slow' ? fault.bytesPerSecond : usualRate;
  const pace = rate === undefined ? undefined : createPace(rate);
  const largest = pieceSize(rate, 1024 * 1024);
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    for (let start = 0; start < chunk.length; ) {
      const room = Math.min(largest, (ends?.after ?? Infinity) - log.requestBytes);
      const piece = (chunk as Buffer).subarray(start, start + room);
      await pace?.(piece.length);
      if (fault?.kind === 'flip') flip(piece, fault.at - log.requestBytes);
      start += piece.length;
      log.requestBytes += piece.length;
      await written(upstream, piece);
      if (log.requestBytes !== ends?.after) continue;
      if (ends.kind === 'stall') await once(incoming.socket, 'close');
      incoming.socket.destroy();
      upstream.destroy();
      return;
    }
  }
  upstream.end();
}

function flip(piece: Buffer, at: number): void {
  if (at >= 0 && at < piece.length) piece[at] = (piece[at] as number) ^ 1;
}

/** Resolves when the bytes are the system's, so that a cut right after loses none of them. */
function written(upstream: ClientRequest, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    upstream.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}
