import { Command, InvalidArgumentError, Option } from 'commander';
import { asBoxcarError, BoxcarError } from '../errors.ts';
import type { RemovedState } from '../publish/remove-stored.ts';
import { listStates, removeStates } from '../publish/states.ts';
import { dialectNames } from '../registry/dialects.ts';
import { counted } from './reporters/format.ts';
import { plain } from './reporters/plain-text.ts';
import { createReporter } from './reporters/reporter.ts';
import { failureJson } from './reporters/results.ts';
import { renderStatus, statusJson } from './reporters/status.ts';
import { StopSignals } from './stop-signals.ts';

/** The options of `status`, `abort` and `prune`. */
export interface StatesGiven {
  json?: true;
  verbose?: true;
  plainHttp?: true;
  dialect?: string;
  /** ms. */
  olderThan?: number;
  yes?: true;
}

const whatWords = 'a state file, or a target: registry/repository[:tag] or oci:DIRECTORY';

/** What an unfinished publish has brought so far. */
export function statusCommand(): Command {
  return common(new Command('status'), `${whatWords} (default: all state files of this user)`).description(
    'Say how far publishes are that have not ended: what is done, where uploads stand, how old they are.',
  );
}

/** Gives a publish up. */
export function abortCommand(): Command {
  return common(new Command('abort'), whatWords).description(
    'Give a publish up: cancel its upload sessions and remove its state. What the registry has of it is left to its garbage collection.',
  );
}

/** Gives up what nobody has gone on with. */
export function pruneCommand(): Command {
  return common(new Command('prune'), `${whatWords} (default: all state files of this user)`)
    .description(
      'List states that nobody has touched for long; with --yes cancel their uploads and remove them.',
    )
    .addOption(
      new Option('--older-than <age>', 'how long: 12h, 7d, 4w').argParser(parseAge).default(7 * day, '7d'),
    )
    .option('--yes', 'remove them');
}

function common(command: Command, what: string): Command {
  return command
    .argument('[what]', what)
    .addOption(
      new Option('--dialect <name>', 'what the registry is taken for').choices(['auto', ...dialectNames]),
    )
    .option('--plain-http', 'speak http to the registry (tried by itself on loopback)')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'list every layer, and where credentials come from');
}

/** Runs one of the three. @returns the exit status. */
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

const day = 24 * 60 * 60 * 1000;
const units: Record<string, number> = { m: day / 24 / 60, h: day / 24, d: day, w: 7 * day };

/** `7d` in ms. */
function parseAge(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  const ms = units[unit];
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a number of minutes, hours, days or weeks: 30m, 12h, 7d, 4w.');
  return Number(count) * ms;
}

function nothingNamed(): BoxcarError {
  return new BoxcarError('which publish is to be given up?', {
    code: 'usage',
    side: 'local',
    hint: 'name its state file or its target; boxcar status lists the state files',
  });
}
