import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../../support/exit.ts';
import { tempDir } from '../../support/temp-dir.ts';

const main = join(import.meta.dirname, '../../../src/cli/main.ts');
const mib = 1024 * 1024;

/** For tests that look at a process from outside, as proc(5) shows it. */
export const needsProc: { skip: string | false } = {
  skip: process.platform === 'linux' ? false : 'no /proc on this system',
};

/** What a process has held at most. */
export interface Peaks {
  /** Resident memory in MiB, exactly: the kernel keeps it. */
  memory: number;
  /** The same, before and after the call of `halfway`. */
  firstHalf: number;
  secondHalf: number;
  /** Sockets and all file descriptors, as far as they were there when it was looked, every few ms. */
  sockets: number;
  descriptors: number;
}

export interface Watched {
  peaks: Peaks;
  stderr(): string;
  /** The kernel's peak starts anew; what it was so far is the first half's. */
  halfway(): void;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit status when it has ended; `seconds` it took in all. */
  ended: Promise<{ code: number | null; seconds: number }>;
}

const lookEveryMs = 10;

/** The real command as a process of its own, with Node's warnings in full, watched by its memory and descriptors. */
export function watchBoxcar(args: string[], env: Record<string, string> = {}): Watched {
  const home = tempDir();
  const started = performance.now();
  const child = spawn(process.execPath, ['--trace-warnings', main, ...args], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const callOff = atExit(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const proc = `/proc/${child.pid}`;
  const peaks: Peaks = { memory: 0, firstHalf: 0, secondHalf: 0, sockets: 0, descriptors: 0 };
  let isHalf = false;
  const look = () => {
    const memory = peakOf(proc);
    const half = isHalf ? 'secondHalf' : 'firstHalf';
    peaks[half] = Math.max(peaks[half], memory);
    peaks.memory = Math.max(peaks.memory, memory);
    const targets = descriptorsOf(proc);
    peaks.descriptors = Math.max(peaks.descriptors, targets.length);
    peaks.sockets = Math.max(peaks.sockets, targets.filter((target) => target.startsWith('socket:')).length);
  };
  const clock = setInterval(look, lookEveryMs);
  return {
    peaks,
    stderr: () => said,
    halfway() {
      look();
      // proc_pid_clear_refs(5): 5 sets the peak to what is resident now.
      writeFileSync(`${proc}/clear_refs`, '5');
      isHalf = true;
    },
    kill: (signal) => child.kill(signal),
    ended: new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        clearInterval(clock);
        callOff();
        resolve({ code, seconds: (performance.now() - started) / 1000 });
      });
    }),
  };
}

/** VmHWM in MiB; 0 when the process is gone. */
function peakOf(proc: string): number {
  try {
    const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1] ?? 0;
    return (Number(kib) * 1024) / mib;
  } catch {
    return 0;
  }
}

/** What each of its file descriptors is open on. */
export function descriptorsOf(proc: string): string[] {
  const link = (fd: string): string[] => {
    try {
      return [readlinkSync(`${proc}/fd/${fd}`)];
    } catch {
      return [];
    }
  };
  try {
    return readdirSync(`${proc}/fd`).flatMap(link);
  } catch {
    return [];
  }
}
