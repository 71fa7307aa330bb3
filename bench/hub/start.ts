import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BenchFile } from './content.ts';

/** What the hub's process is told. */
export interface HubOptions {
  files: number;
  /** Of each, in bytes. */
  size: number;
  /** Paths of PEM files, for the hub and its CDN. */
  tls?: { keyFile: string; certFile: string };
  /** What a connection to the CDN may carry, and all of them together, in bytes a second. */
  limits?: { connection: number; link: number };
}

export interface BenchHub extends Disposable {
  hubUrl: string;
  cdnUrl: string;
  model: string;
  commit: string;
  files: BenchFile[];
  /** All files together. */
  bytes: number;
  /** Has it send its clients there for the files' bytes. */
  announceCdn(url: string): Promise<void>;
  /** What it has used of the processor since it runs. */
  cpuSeconds(): Promise<number>;
}

/** The bench's hub in a process of its own. */
export async function startHub(options: HubOptions): Promise<BenchHub> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [JSON.stringify(options)]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the bench's hub ended with ${code}`);
  });
  // It may end whenever it likes, once nobody waits.
  ended.catch(() => {});
  const answer = async () => (await Promise.race([once(child, 'message'), ended]))[0];
  const ask = (question: object) => {
    child.send(question);
    return answer();
  };
  const hub = await answer();
  return {
    ...hub,
    bytes: options.files * options.size,
    announceCdn: async (url) => void (await ask({ announceCdn: url })),
    cpuSeconds: () => ask({ cpuSeconds: true }),
    [Symbol.dispose]: () => child.disconnect(),
  };
}
