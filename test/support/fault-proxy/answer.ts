import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProxyFault } from './faults.ts';

type StatusFault = ProxyFault & { kind: 'status' };

/** An answer of the proxy's own: the registry never sees the request. */
export async function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  log: { requestBytes: number; status: number },
  fault: StatusFault,
): Promise<void> {
  if (!fault.early) for await (const chunk of incoming) log.requestBytes += chunk.length;
  log.status = fault.status;
  response.writeHead(fault.status, { ...fault.headers, ...(fault.early && { connection: 'close' }) });
  response.end(fault.body ?? '');
}

/** Passes the registry's answer on, as far and in the words that the fault allows. */
export async function relay(
  reply: IncomingMessage,
  response: ServerResponse,
  log: { status: number },
  fault: ProxyFault | undefined,
  usually: (headers: Record<string, string>) => Record<string, string>,
): Promise<void> {
  const { connection: _hop, ...given } = reply.headers as Record<string, string>;
  const original = usually(given);
  const rewrite = fault?.kind === 'rewrite' ? fault : undefined;
  log.status = rewrite?.status ?? reply.statusCode ?? 502;
  if (fault && spoilsBody.has(fault.kind)) {
    return spoilBody(await buffer(reply), original, response, log.status, fault);
  }
  const changes = typeof rewrite?.headers === 'function' ? rewrite.headers(original) : rewrite?.headers;
  const fields = Object.entries({ ...original, ...changes }).filter(([, value]) => value !== null);
  const headers = Object.fromEntries(fields) as Record<string, string>;
  if (!rewrite?.body) {
    response.writeHead(log.status, headers);
    // Where the registry breaks off, so does the answer.
    await pipeline(reply, response).catch(() => response.destroy());
    return;
  }
  const text = rewrite.body((await buffer(reply)).toString());
  delete headers['transfer-encoding'];
  response.writeHead(log.status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
}

const spoilsBody = new Set<ProxyFault['kind']>(['cut-answer', 'stall-answer', 'trickle', 'excess']);
const filler = Buffer.alloc(64, ' ');

async function spoilBody(
  real: Buffer,
  { 'content-length': _length, 'transfer-encoding': _encoding, ...headers }: Record<string, string>,
  response: ServerResponse,
  status: number,
  fault: ProxyFault,
): Promise<void> {
  const bodiless = response.req.method === 'HEAD' || status === 204;
  const body = real.length > 0 || fault.kind === 'excess' ? real : filler;
  const chunked = fault.kind === 'cut-answer' && fault.chunked;
  response.writeHead(
    status,
    chunked || status === 204 ? headers : { ...headers, 'content-length': body.length },
  );
  response.flushHeaders();
  const socket = response.socket;
  if (fault.kind === 'cut-answer' || fault.kind === 'stall-answer') {
    if (!bodiless && fault.after > 0) response.write(body.subarray(0, fault.after));
    if (fault.kind === 'cut-answer') socket?.destroySoon();
    return;
  }
  if (fault.kind === 'excess') {
    if (!bodiless) response.write(body);
    socket?.write('and another thing\r\n');
  }
  if (fault.kind === 'trickle' && !bodiless) {
    const size = Math.ceil(body.length / fault.pieces);
    for (let at = 0; at < body.length && !response.closed; at += size) {
      response.write(body.subarray(at, at + size));
      await delay(fault.everyMs);
    }
  }
  response.end();
}
