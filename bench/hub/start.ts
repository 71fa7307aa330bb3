import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BenchFile } from './content.ts';

export interface BenchHub extends Disposable {
  hubUrl: string;
  model: string;
  commit: string;
  files: BenchFile[];
}

/** The bench's hub in a process of its own, with a model of `count` files of `size` bytes. */
export async function startHub(count: number, size: number): Promise<BenchHub> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [String(count), String(size)]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the bench's hub ended with ${code}`);
  });
  const [hub] = await Promise.race([once(child, 'message'), ended]);
  // It may end whenever it likes from now on.
  ended.catch(() => {});
  return { ...hub, [Symbol.dispose]: () => child.disconnect() };
}
