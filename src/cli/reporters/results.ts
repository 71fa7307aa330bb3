import { appendFile } from 'node:fs/promises';
import { BoxcarError } from '../../errors.ts';
import type { PublishResult } from '../../publish/events.ts';
import { azureCommand } from './azure.ts';
import { type ErrorObject, errorObject } from './error-object.ts';
import { plainJson } from './plain-text.ts';
import type { Environment, LogStyle } from './reporter.ts';

/** The three lines that a successful push ends with on stdout. */
export function resultLines(result: PublishResult): string {
  const { imageRef, imageRefDigest, manifestDigest } = inOneLine(result);
  return `IMAGEREF=${imageRef}\nIMAGEREFDIGEST=${imageRefDigest}\nMANIFESTDIGEST=${manifestDigest}\n`;
}

/** `--json` after a success: one object, one line. */
export function resultJson(result: PublishResult): string {
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
}

/**
 * Everything a successful push leaves for scripts: first in `$GITHUB_OUTPUT`, then on stdout, which stays empty when
 * the former fails and so never holds both a result and an error.
 *
 * @throws BoxcarError `unexpected` when `$GITHUB_OUTPUT` cannot be written
 */
export async function writeResult(result: PublishResult, to: ResultDestination): Promise<void> {
  const file = to.env.GITHUB_OUTPUT;
  if (file) await appendOutputs(file, result);
  const lines = () => `${to.style === 'azure' ? azureVariables(result) : ''}${resultLines(result)}`;
  to.stdout.write(to.json ? resultJson(result) : lines());
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
