import { asBoxcarError, BoxcarError, printable } from '../errors.ts';
import type { PublishEvent, PublishResult, ShardResult } from '../publish/events.ts';
import { finalizePush, type PushPlan, planPush, push, pushShard } from '../publish/push.ts';
import type { CommandName, PushCommandOptions } from './push-command.ts';
import { plainJson } from './reporters/plain-text.ts';
import { renderPlan } from './reporters/plan.ts';
import type { Recordings } from './reporters/recordings.ts';
import { createReporter, type Reporter, styleFor } from './reporters/reporter.ts';
import { failureJson, writeFailureSummary, writeResult } from './reporters/results.ts';
import { StopSignals } from './stop-signals.ts';

/** Runs `push`, `plan` or `finalize`. @returns the exit status. */
export async function runPublish(
  name: CommandName,
  read: () => PushCommandOptions,
  args: string[],
): Promise<number> {
  const json = args.includes('--json');
  const { stdout, stderr, env } = process;
  let reporter: Reporter | undefined;
  let recordings: Recordings | undefined;
  let status = 1;
  const known: Partial<PublishResult> = {};
  const signals = new StopSignals((signal) => reporter?.stopping(signal));
  try {
    const options = read();
    const { logStyle: style, quiet, verbose } = options;
    reporter = createReporter({ style, quiet, verbose, stderr, env });
    const told = reporter;
    const onEvent = (event: PublishEvent) => {
      remember(known, event);
      told.event(event);
      recordings?.event(event);
    };
    const asked = { ...options.push, onEvent, signal: signals.signal };
    if (name === 'plan' || options.dryRun) {
      stdout.write(planText(await planPush(asked), json));
      return 0;
    }
    recordings = await openRecordings(options, told);
    const result = await run(name, asked);
    reporter.close();
    await writeResult(result, { json, style: styleFor(style, stderr, env), stdout, env, reporter });
    status = 0;
    return status;
  } catch (thrown) {
    const error = goesOn(asBoxcarError(thrown), args);
    const exitCode = error.code === 'stopped' ? signals.exitCode : error.exitCode;
    status = exitCode;
    reporter ??= createReporter({ style: 'text', quiet: false, verbose: false, stderr, env });
    reporter.error(error, exitCode);
    if (json) stdout.write(failureJson(error, exitCode, known));
    await writeFailureSummary(error, exitCode, known, { env, reporter });
    return exitCode;
  } finally {
    recordings?.end(status);
    reporter?.close();
    signals.close();
  }
}

async function openRecordings(options: PushCommandOptions, told: Reporter): Promise<Recordings | undefined> {
  const { push, metricsFile, trace } = options;
  if (metricsFile === undefined && trace === undefined) return undefined;
  const { Recordings } = await import('./reporters/recordings.ts');
  return new Recordings(push, { metricsFile, trace }, told);
}

function run(name: CommandName, options: PushCommandOptions['push']): Promise<PublishResult | ShardResult> {
  const { shard } = options;
  if (name === 'finalize') return finalizePush(options);
  return shard === undefined ? push(options) : pushShard({ ...options, shard });
}

function planText(plan: PushPlan, json: boolean): string {
  if (json) return `${plainJson(JSON.stringify(plan))}\n`;
  const { model, commit, tags, imageRef, ...planned } = plan;
  const tag = tags[0] ?? '';
  const target = imageRef.slice(0, -tag.length - 1);
  return renderPlan({ type: 'planned', ...planned }, { type: 'resolved', model, commit, target, tag });
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
