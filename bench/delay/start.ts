import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What the delaying proxy's process is told. */
export interface DelayOptions {
  roundTripMs: number;
  /** Of servers on loopback. */
  ports: number[];
}

export interface Delay extends Disposable {
  /** Where each server is far away, in the same order. */
  ports: number[];
}

export async function startDelay(options: DelayOptions): Promise<Delay> {
  const child = fork(join(import.meta.dirname, 'proxy.ts'), [JSON.stringify(options)]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the delaying proxy ended with ${code}`);
  });
  ended.catch(() => {});
  const [ports] = await Promise.race([once(child, 'message'), ended]);
  return { ports, [Symbol.dispose]: () => child.disconnect() };
}
