import { Command, CommanderError } from 'commander';
import { version } from '../publish/version.ts';
import { type CommandName, cleanEnvironment, pushCommand, readOptions } from './push-command.ts';
import { abortCommand, pruneCommand, type StatesGiven, statusCommand } from './states-command.ts';

/** Runs the command line. @returns the exit status. */
export async function runMain(args: string[]): Promise<number> {
  // Whoever reads the log or the result may leave: that ends no push.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const defaults = cleanEnvironment(process.env);
  let status = 0;
  const program = new Command('boxcar')
    .description('Stream a Hugging Face model into any OCI registry.')
    .version(version, '-V, --version')
    .exitOverride()
    .showSuggestionAfterError();
  for (const name of ['push', 'plan', 'finalize'] as const satisfies CommandName[]) {
    const command = pushCommand(name).exitOverride();
    command.action(async (model: string | undefined, target: string | undefined) => {
      // What does the work is loaded when there is work: help and version are there at once.
      const { runPublish } = await import('./publish-run.ts');
      status = await runPublish(name, () => readOptions(command, [model, target], defaults), args);
    });
    program.addCommand(command);
  }
  for (const command of [statusCommand(), abortCommand(), pruneCommand()]) {
    command.exitOverride().action(async (what: string | undefined, given: StatesGiven) => {
      const { runStates } = await import('./states-run.ts');
      status = await runStates(command.name(), what, given);
    });
    program.addCommand(command);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // commander has told it; help and version come here too.
    return error.exitCode === 0 || error.code === 'commander.helpDisplayed' ? 0 : 2;
  }
  return status;
}
