/**
 * A way to servers on loopback as if they were far away, a process of its own. Forked by start.ts with its options as JSON;
 * says its ports, and ends with its parent.
 *
 * Every chunk arrives half a round trip later than it was sent, in order, however many are on their way: it delays and does
 * not limit. A connection costs the round trip that it would: the client's first byte leaves that much later than the
 * client believes. What it leaves out is TCP's slow start, and losses.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { DelayOptions } from './start.ts';

const { roundTripMs, ports }: DelayOptions = JSON.parse(process.argv[2] ?? '');

process.once('disconnect', () => process.exit());
process.send?.(await Promise.all(ports.map(listening)));

async function listening(upstreamPort: number): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({
      port: upstreamPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    const established = performance.now() + roundTripMs;
    carry(client, upstream, established);
    carry(upstream, client, established);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** @param notBefore when its first byte can leave, in ms. */
function carry(from: Socket, to: Socket, notBefore: number): void {
  const underWay: { at: number; chunk?: Buffer }[] = [];
  const arrive = (): void => {
    for (let next = underWay[0]; next; next = underWay[0]) {
      const ms = next.at - performance.now();
      if (ms > 0) return void setTimeout(arrive, ms);
      underWay.shift();
      if (next.chunk) to.write(next.chunk);
      else to.end();
    }
  };
  const leave = (chunk?: Buffer): void => {
    const at = Math.max(performance.now(), notBefore) + roundTripMs / 2;
    underWay.push(chunk ? { at, chunk } : { at });
    if (underWay.length === 1) arrive();
  };
  from.on('data', leave);
  from.on('end', () => leave());
  from.on('error', () => to.destroy());
  // One that was cut ends the other side as well; one that has ended well has said so by 'end'.
  from.on('close', (failed) => failed && to.destroy());
}
