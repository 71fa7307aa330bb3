import { Command, CommanderError } from 'commander';
import { asBoxcarError, BoxcarError, printable } from '../errors.ts';
import type { PublishEvent, PublishResult } from '../publish/events.ts';
import { defaultChunkMib } from '../publish/options.ts';
import { planPush, push } from '../publish/push.ts';
import { version } from '../publish/version.ts';
import { cleanEnvironment, type PushCommandOptions, pushCommand, readOptions } from './push-command.ts';
import { plainJson } from './reporters/plain-text.ts';
import { renderPlan } from './reporters/plan.ts';
import { createReporter, type Reporter, styleFor } from './reporters/reporter.ts';
import { failureJson, writeResult } from './reporters/results.ts';
import { StopSignals } from './stop-signals.ts';

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
  const command = pushCommand().exitOverride();
  command.action(async (model: string | undefined, target: string | undefined) => {
    status = await runPush(() => readOptions(command, [model, target], defaults), args);
  });
  program.addCommand(command);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // commander has told it; help and version come here too.
    return error.exitCode === 0 || error.code === 'commander.helpDisplayed' ? 0 : 2;
  }
  return status;
}

async function runPush(read: () => PushCommandOptions, args: string[]): Promise<number> {
  const json = args.includes('--json');
  let reporter: Reporter | undefined;
  const known: Partial<PublishResult> = {};
  const signals = new StopSignals((name) => reporter?.stopping(name));
  try {
    const options = read();
    const { logStyle: style, quiet, verbose } = options;
    reporter = createReporter({ style, quiet, verbose, stderr: process.stderr, env: process.env });
    const told = reporter;
    const onEvent = (event: PublishEvent) => {
      remember(known, event);
      told.event(event);
    };
    if (options.dryRun) {
      await dryRun(options, onEvent, signals.signal);
    } else {
      const result = await push({ ...options.push, onEvent, signal: signals.signal });
      reporter.close();
      const destination = {
        json,
        style: styleFor(style, process.stderr, process.env),
        stdout: process.stdout,
      };
      await writeResult(result, { ...destination, env: process.env });
    }
    return 0;
  } catch (thrown) {
    const error = goesOn(asBoxcarError(thrown), args);
    const exitCode = error.code === 'stopped' ? signals.exitCode : error.exitCode;
    reporter ??= createReporter({
      style: 'text',
      quiet: false,
      verbose: false,
      stderr: process.stderr,
      env: process.env,
    });
    reporter.error(error, exitCode);
    if (json) process.stdout.write(failureJson(error, exitCode, known));
    return exitCode;
  } finally {
    reporter?.close();
    signals.close();
  }
}

async function dryRun(
  options: PushCommandOptions,
  onEvent: (event: PublishEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const plan = await planPush({ ...options.push, onEvent, signal });
  if (options.json) {
    process.stdout.write(`${plainJson(JSON.stringify(plan))}\n`);
    return;
  }
  const { model, commit, tags, layers, size } = plan;
  const target = plan.imageRef.slice(0, -(tags[0]?.length ?? 0) - 1);
  const { workers = 4, chunkMib = defaultChunkMib(workers) } = options.push;
  const upload = options.push.upload === 'chunked' ? `chunks of ${chunkMib} MiB` : 'one stream a layer';
  process.stdout.write(
    renderPlan(
      {
        type: 'planned',
        layers,
        size,
        reused: 0,
        toTransfer: size,
        workers,
        upload,
      },
      { type: 'resolved', model, commit, target, tag: tags[0] ?? '' },
    ),
  );
}

/** What `--json` can tell of a push that failed. */
function remember(known: Partial<PublishResult>, event: PublishEvent): void {
  if (event.type === 'resolved') {
    known.model = event.model;
    known.commit = event.commit;
    known.imageRef = `${event.target}:${event.tag}`;
  }
  if (event.type === 'layer-done') {
    known.layers ??= [];
    known.layers.push(event.result);
  }
  if (event.type === 'tagged') known.tags = [...(known.tags ?? []), event.tag];
}

/** A stopped push says the very command that goes on. */
function goesOn(error: BoxcarError, args: string[]): BoxcarError {
  if (error.code !== 'stopped') return error;
  const command = ['boxcar', ...args].map((arg) =>
    /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`,
  );
  const hint = `everything sent so far is saved; to go on: ${printable(command.join(' '), 1000)}`;
  return new BoxcarError(error.message, { code: error.code, side: error.side, hint });
}
