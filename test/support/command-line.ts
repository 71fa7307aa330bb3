import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { atExit } from './exit.ts';
import { environment, type FinishedProgram, type RunOptions } from './run.ts';
import { tempDir } from './temp-dir.ts';

/** What its process is sent. */
export interface Command {
  args: string[];
  env: Record<string, string>;
  cwd: string;
}

/** What its process writes behind all that a command has said, on either stream. */
export const end = '\0';

/**
 * `boxcar` in one process for many commands, one after the other: most of what a short command costs is the start of
 * its process. A test of what a process does (signals, its end) wants runBoxcar.
 */
export interface CommandLine {
  run(
    args: string[],
    options?: Pick<RunOptions, 'env' | 'cwd' | 'home'>,
  ): Promise<Omit<FinishedProgram, 'signal'>>;
  /** Resolves when the process has ended by itself: no command has left anything open. */
  close(): Promise<void>;
}

export function startCommandLine(): CommandLine {
  const script = join(import.meta.dirname, 'command-line-process.ts');
  const child = fork(script, [], { env: environment(tempDir()), execArgv: [], silent: true });
  const callOff = atExit(() => child.kill('SIGKILL'));
  const { stdout, stderr } = child as { stdout: Readable; stderr: Readable };
  for (const stream of [stdout, stderr]) stream.setEncoding('utf8');
  const ended = once(child, 'exit').finally(callOff);
  return {
    async run(args, { home = tempDir(), cwd = home, env = {} } = {}) {
      const said = { stdout: '', stderr: '' };
      const done = Promise.all([
        once(child, 'message'),
        untilEnd(stdout, (text) => {
          said.stdout = text;
        }),
        untilEnd(stderr, (text) => {
          said.stderr = text;
        }),
      ]);
      const command: Command = { args, env: { ...environment(home), ...env }, cwd };
      child.send(command);
      const died = ended.then(([code]) => {
        throw new Error(`it ended with ${code}; it said:\n${said.stdout}${said.stderr}`);
      });
      const [[code]] = await Promise.race([done, died]);
      return { code, ...said };
    },
    async close() {
      child.disconnect();
      await ended;
    },
  };
}

/** Hands over all that was said so far, each time that something is. */
function untilEnd(stream: Readable, said: (text: string) => void): Promise<void> {
  return new Promise((resolve) => {
    let text = '';
    const more = (chunk: string): void => {
      text += chunk;
      const whole = text.endsWith(end);
      said(whole ? text.slice(0, -end.length) : text);
      if (!whole) return;
      stream.off('data', more);
      resolve();
    };
    stream.on('data', more);
  });
}
