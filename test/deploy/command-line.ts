import { pushCommand, readOptions } from '../../src/cli/push-command.ts';

/** What boxcar makes of a command line, `push` or `finalize`. @throws Error what it refuses. */
export function parsed(name: string, args: string[]) {
  if (name !== 'push' && name !== 'finalize') throw new Error(`boxcar has no command ${name}`);
  const command = pushCommand(name)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  command.parse(args, { from: 'user' });
  const { push } = readOptions(command, command.args, { continueOnError: false });
  return { options: command.opts(), model: push.model, target: push.target };
}
