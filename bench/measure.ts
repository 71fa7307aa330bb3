import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Command } from './contenders/contender.ts';

/** What one run of a program, with everything that it starts, has cost. */
export interface Measured {
  wallSeconds: number;
  /** User and system time. */
  cpuSeconds: number;
  /** Of its largest process; absent where there is no /proc. */
  peakBytes: number | undefined;
}

const lookEveryMs = 100;

/**
 * Runs a command to its end.
 * @param directory its working and home directory.
 * @throws when it fails, with what it said last.
 */
export async function measure({ argv, env }: Command, directory: string): Promise<Measured> {
  const started = performance.now();
  // The shell reports the time of all its descendants that were waited for, once they have ended.
  const child = spawn('bash', ['-c', '"$@"; code=$?; times >&3; exit $code', 'bench', ...argv], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, LC_ALL: 'C.UTF-8', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let peak = 0;
  const clock = setInterval(() => {
    peak = Math.max(peak, largestOf(child.pid as number));
  }, lookEveryMs);
  const streams = [1, 2, 3].map((fd) => text(child.stdio[fd] as NodeJS.ReadableStream));
  const [code] = await once(child, 'exit');
  const wallSeconds = (performance.now() - started) / 1000;
  clearInterval(clock);
  const [stdout = '', stderr = '', times = ''] = await Promise.all(streams);
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${(stdout + stderr).slice(-4000)}`);
  return { wallSeconds, cpuSeconds: cpuOf(times), peakBytes: peak || undefined };
}

/** Seconds in the second line of bash's `times`, which is about its children: `0m1.234s 0m0.567s`. */
function cpuOf(times: string): number {
  const children = times.split('\n')[1] ?? '';
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new Error(`cannot read the shell's times: ${times}`);
  return parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}

/** The most memory that any process under `pid` has ever held, in bytes (proc(5): VmHWM); 0 when there is none. */
function largestOf(pid: number): number {
  const descendants = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  const sizes = descendants.map((child) => {
    const kib = /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${child}/status`))?.[1] ?? 0;
    return Math.max(1024 * Number(kib), largestOf(Number(child)));
  });
  return Math.max(0, ...sizes);
}

/** Processes end while they are looked at. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
