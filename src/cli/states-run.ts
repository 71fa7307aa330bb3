import { asBoxcarError, BoxcarError } from '../errors.ts';
import type { RemovedState } from '../publish/progress/remove-stored.ts';
import { listStates, removeStates } from '../publish/progress/states.ts';
import { counted } from './reporters/format.ts';
import { plain } from './reporters/plain-text.ts';
import { createReporter } from './reporters/reporter.ts';
import { failureJson } from './reporters/results.ts';
import { renderStatus, statusJson } from './reporters/status.ts';
import type { StatesGiven } from './states-command.ts';
import { StopSignals } from './stop-signals.ts';

/** Runs `status`, `abort` or `prune`. @returns the exit status. */
export async function runStates(name: string, what: string | undefined, given: StatesGiven): Promise<number> {
  const { json = false, verbose = false, plainHttp, dialect, olderThan, yes = false } = given;
  const { stdout, stderr, env } = process;
  const reporter = createReporter({ style: 'text', quiet: !verbose, verbose, stderr, env });
  const signals = new StopSignals((signal) => reporter.stopping(signal));
  try {
    const options = {
      what,
      plainHttp,
      dialect,
      env,
      olderThanMs: olderThan,
      signal: signals.signal,
      onEvent: reporter.event.bind(reporter),
    };
    if (name === 'abort' && what === undefined) throw nothingNamed();
    if (name === 'status' || (name === 'prune' && !yes)) {
      const states = await listStates(options);
      stdout.write(json ? statusJson(states, Date.now()) : renderStatus(states, Date.now(), { verbose }));
      if (name === 'prune' && !json && states.length > 0) stdout.write('\nprune --yes removes these\n');
      return 0;
    }
    const removed = await removeStates(options);
    stdout.write(json ? `${JSON.stringify({ removed })}\n` : removedLines(removed));
    return removed.some(({ kept }) => kept !== undefined) ? 1 : 0;
  } catch (thrown) {
    const error = asBoxcarError(thrown);
    const exitCode = signals.signal.aborted ? signals.exitCode : error.exitCode;
    reporter.error(error, exitCode);
    if (json) stdout.write(failureJson(error, exitCode));
    return exitCode;
  } finally {
    reporter.close();
    signals.close();
  }
}

function removedLines(removed: RemovedState[]): string {
  if (removed.length === 0) return 'there is nothing to remove\n';
  const lines = removed.map(({ name, cancelled, uncancelled, kept }) => {
    if (kept !== undefined) return `kept ${plain(name)}: ${plain(kept)}`;
    const lost =
      uncancelled > 0 ? `; ${uncancelled} could not be cancelled, the registry drops them in time` : '';
    return `removed ${plain(name)}, cancelled ${counted(cancelled, 'upload session')}${lost}`;
  });
  return `${lines.join('\n')}\n`;
}

function nothingNamed(): BoxcarError {
  return new BoxcarError('which publish is to be given up?', {
    code: 'usage',
    side: 'local',
    hint: 'name its state file or its target; boxcar status lists the state files',
  });
}
