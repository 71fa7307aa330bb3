import { appendFile } from 'node:fs/promises';
import { BoxcarError } from '../../errors.ts';
import { type PublishResult, type ShardResult, warning } from '../../publish/events.ts';
import { azureCommand } from './azure.ts';
import { type ErrorObject, errorObject } from './error-object.ts';
import { failureSummary, jobSummary } from './job-summary.ts';
import { plainJson } from './plain-text.ts';
import type { Environment, LogStyle, Reporter } from './reporter.ts';

/** The three lines that a successful push ends with on stdout. */
export function resultLines(result: PublishResult): string {
  const { imageRef, imageRefDigest, manifestDigest } = inOneLine(result);
  return `IMAGEREF=${imageRef}\nIMAGEREFDIGEST=${imageRefDigest}\nMANIFESTDIGEST=${manifestDigest}\n`;
}

/** The line that a shard ends with on stdout, when the image is left to others. */
export function shardLines({ shard }: Pick<ShardResult, 'shard'>): string {
  return `SHARD=${shard}\n`;
}

/** `--json` after a success: one object, one line. */
export function resultJson(result: PublishResult | ShardResult): string {
  return `${plainJson(JSON.stringify(result))}\n`;
}

export type Failure = { error: ErrorObject } & Partial<PublishResult>;

/** `--json` after a failure: the error and what is known of the publish. */
export function failureJson(
  error: BoxcarError,
  exitCode: number,
  known: Partial<PublishResult> = {},
): string {
  const failure: Failure = { error: errorObject(error, exitCode), ...known };
  return `${plainJson(JSON.stringify(failure))}\n`;
}

/**
 * Azure's variables, with the names oci-modelcar gave them: each once for this job (`$(imageRef)`) and once as an
 * output, which other jobs and stages read.
 */
export function azureVariables(result: PublishResult): string {
  const lines = Object.entries(inOneLine(result)).flatMap(([variable, value]) => [
    azureCommand('task.setvariable', { variable }, value),
    azureCommand('task.setvariable', { variable, isOutput: 'true' }, value),
  ]);
  return `${lines.join('\n')}\n`;
}

/** What `$GITHUB_OUTPUT` gets. */
export function githubOutputs(result: PublishResult): string {
  const { imageRef, imageRefDigest, manifestDigest } = inOneLine(result);
  return `image-ref=${imageRef}\nimage-ref-digest=${imageRefDigest}\nmanifest-digest=${manifestDigest}\n`;
}

/** A directory's name may hold a line break; none may start a line of its own here. */
function inOneLine({ imageRef, imageRefDigest, manifestDigest }: PublishResult) {
  const line = (text: string) => text.replace(/[\r\n]+/g, ' ');
  return { imageRef: line(imageRef), imageRefDigest: line(imageRefDigest), manifestDigest };
}

export interface ResultDestination {
  /** `--json`: one object and nothing else on stdout. */
  json: boolean;
  /** As {@link styleFor} resolved it. */
  style: Exclude<LogStyle, 'auto'>;
  stdout: { write(text: string): unknown };
  env: Environment;
  /** Gets the warning that a job summary could not be written. */
  reporter?: Pick<Reporter, 'event'>;
}

/**
 * Everything a successful push leaves for scripts: first in `$GITHUB_OUTPUT`, then on stdout, which stays empty when
 * the former fails and so never holds both a result and an error. A shard has no outputs: there is no image yet.
 *
 * @throws BoxcarError `unexpected` when `$GITHUB_OUTPUT` cannot be written
 */
export async function writeResult(result: PublishResult | ShardResult, to: ResultDestination): Promise<void> {
  const file = to.env.GITHUB_OUTPUT;
  if (file && !('shard' in result)) await appendOutputs(file, result);
  await appendSummary(jobSummary(result), to);
  to.stdout.write(to.json ? resultJson(result) : lines(result, to.style));
}

/** Tells of a push that failed on the page of its GitHub run. Never throws: there is an error to tell of already. */
export async function writeFailureSummary(
  error: BoxcarError,
  exitCode: number,
  known: Partial<PublishResult>,
  to: Pick<ResultDestination, 'env' | 'reporter'>,
): Promise<void> {
  await appendSummary(failureSummary(error, exitCode, known), to);
}

function lines(result: PublishResult | ShardResult, style: ResultDestination['style']): string {
  if ('shard' in result) return shardLines(result);
  return `${style === 'azure' ? azureVariables(result) : ''}${resultLines(result)}`;
}

async function appendOutputs(file: string, result: PublishResult): Promise<void> {
  try {
    await appendFile(file, githubOutputs(result));
  } catch (cause) {
    throw new BoxcarError(`${result.imageRef} is published, but $GITHUB_OUTPUT cannot be written`, {
      code: 'unexpected',
      side: 'local',
      hint: 'the same command tries again and transfers nothing',
      cause,
    });
  }
}

/** The summary is for people, and no later step depends on it: where it cannot be written a warning is enough. */
async function appendSummary(
  markdown: string,
  { env, reporter }: Pick<ResultDestination, 'env' | 'reporter'>,
): Promise<void> {
  const file = env.GITHUB_STEP_SUMMARY;
  if (!file) return;
  try {
    // Empty lines on both sides: what others append must not end up in a table or an HTML block of ours, nor ours in theirs.
    await appendFile(file, `\n\n${markdown}\n`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    reporter?.event(warning(`the job summary ($GITHUB_STEP_SUMMARY) cannot be written: ${why}`));
  }
}
