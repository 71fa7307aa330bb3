import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { atExit } from './exit.ts';
import { tempDir } from './temp-dir.ts';

export { tempDir } from './temp-dir.ts';

const checkout = join(import.meta.dirname, '../..');
const main = join(checkout, 'src/cli/main.ts');

export interface RunOptions {
  /** All it gets besides PATH, HOME and the XDG directories. */
  env?: Record<string, string>;
  /** Default: the home directory. */
  cwd?: string;
  /** Home directory; give the same to two runs that shall share state. Default: a new one for this run alone. */
  home?: string;
  /** Runs that take longer are killed, and reject. Default 60 s. */
  timeoutMs?: number;
  /** Started beside the program: the place to wait for something and then to send a signal. */
  signalAfter?: (program: RunningProgram) => void | Promise<void>;
}

export interface FinishedProgram {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunningProgram {
  stdout(): string;
  stderr(): string;
  kill(signal?: NodeJS.Signals): void;
  /** Resolves when stderr or stdout matches; rejects when the program ends without. */
  said(pattern: RegExp): Promise<void>;
  finished: Promise<FinishedProgram>;
}

/** `boxcar <args>` from the sources, with nothing of the developer's: no credentials, no state, no proxies. */
export function runBoxcar(args: string[], options: RunOptions = {}): Promise<FinishedProgram> {
  return runScript(main, args, options);
}

/** The same, still running. */
export function startBoxcar(args: string[], options: RunOptions = {}): RunningProgram {
  return startScript(main, args, options);
}

export async function runScript(
  script: string,
  args: string[],
  options: RunOptions = {},
): Promise<FinishedProgram> {
  const program = startScript(script, args, options);
  const [finished] = await Promise.all([program.finished, options.signalAfter?.(program)]);
  return finished;
}

export function startScript(script: string, args: string[], options: RunOptions = {}): RunningProgram {
  const home = options.home ?? tempDir();
  const child = spawn(process.execPath, [script, ...args], {
    cwd: options.cwd ?? home,
    env: { ...environment(home), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const callOff = atExit(() => child.kill('SIGKILL'));
  const said = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      said[name] += chunk;
      for (const listener of listeners) listener();
    });
  }
  const { timeoutMs = 60_000 } = options;
  let late = false;
  const clock = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const finished = new Promise<FinishedProgram>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(clock);
      callOff();
      if (late) reject(new Error(`still ran after ${timeoutMs} ms; it said:\n${said.stdout}${said.stderr}`));
      else resolve({ code, signal, ...said });
    });
  });
  return {
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    kill: (signal = 'SIGTERM') => child.kill(signal),
    finished,
    said(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(said.stderr) && !pattern.test(said.stdout)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        const end = (): void => reject(new Error(`it never said ${pattern}:\n${said.stdout}${said.stderr}`));
        finished.then(end, end);
      });
    },
  };
}

/** All that a program gets that is not given more. */
export function environment(home: string): Record<string, string> {
  // What was compiled for one process is not compiled for hundreds of others.
  const kept = ['PATH', 'NODE_COMPILE_CACHE', 'NODE_V8_COVERAGE', 'SYSTEMROOT'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(kept),
    HOME: home,
    USERPROFILE: home,
    XDG_CACHE_HOME: join(home, '.cache'),
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_RUNTIME_DIR: join(home, '.run'),
    XDG_STATE_HOME: join(home, '.local/state'),
  };
}
