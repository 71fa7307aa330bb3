import { Command, InvalidArgumentError, Option } from 'commander';
import { dialectNames } from '../registry/dialects.ts';

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
