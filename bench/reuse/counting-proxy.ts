import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/** A way to a server on loopback on which every byte is counted, header fields included. */
export interface CountingProxy {
  host: string;
  /** Bytes from its clients, and to them. */
  sent: number;
  received: number;
  close(): void;
}

export async function startCountingProxy(upstreamPort: number): Promise<CountingProxy> {
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    client.on('data', (bytes) => {
      proxy.sent += bytes.length;
    });
    upstream.on('data', (bytes) => {
      proxy.received += bytes.length;
    });
    client.pipe(upstream).pipe(client);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const proxy: CountingProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: 0,
    received: 0,
    close: () => server.close(),
  };
  return proxy;
}
