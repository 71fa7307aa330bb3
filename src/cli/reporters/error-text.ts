import { BoxcarError, type RequestFacts } from '../../errors.ts';
import { ownWords, withoutSecrets } from '../../secrets.ts';
import { plain } from './plain-text.ts';

const longest = 500;
const mostLines = 4;

/**
 * An error as the lines a user reads: what failed, the request, the cause, what to do; two to four of them where
 * that much is known. `verbose` adds the stacks of the error and its causes.
 */
export function errorLines(error: BoxcarError, exitCode: number, { verbose = false } = {}): string[] {
  const chain = chainOf(error);
  const title = error.code === 'stopped' ? error.message : `error: ${error.message}`;
  const request = chain.find((link) => link.request)?.request;
  const cause = causeText(chain);
  const facts = [...(request ? [requestText(request)] : []), ...(cause ? [cause] : [])];
  const hint = (chain.find((link) => link.hint)?.hint ?? usualHint(error))?.split('\n') ?? [];
  const advice = hint.length > mostLines - 1 - facts.length ? [hint.join('; ')] : hint;
  return [
    `${plain(title, longest)} (exit ${exitCode})`,
    ...[...facts, ...advice].map((line) => `  ${plain(withoutSecrets(line, ownWords), longest)}`),
    ...(verbose ? stacks(chain) : []),
  ];
}

/** What failed in a few words, for a line about one layer: `the hub closed the connection (GET cdn.hf.co, 206)`. */
export function errorSummary(error: BoxcarError): string {
  const request = error.request;
  const facts = request && [
    `${request.method} ${hostOf(request.url)}`,
    ...(request.status ? [request.status] : []),
  ];
  return plain(facts ? `${error.message} (${facts.join(', ')})` : error.message);
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url;
}

function requestText({ method, url, status, answer }: RequestFacts): string {
  if (status === undefined) return `${method} ${url} got no answer`;
  return `${method} ${url} answered ${status}${answer ? ` ${answer}` : ''}`;
}

interface Link {
  message: string;
  stack: string | undefined;
  hint?: string | undefined;
  request?: RequestFacts | undefined;
}

/** The error and its causes. An AggregateError stands for the first of its errors: Node throws it for a host with several addresses. */
function chainOf(error: unknown, depth = 0): Link[] {
  if (error === undefined || error === null || depth > 5) return [];
  if (!(error instanceof Error)) return [{ message: String(error), stack: undefined }];
  if (error instanceof AggregateError && error.errors.length > 0) {
    const [first, ...others] = chainOf(error.errors[0], depth + 1);
    const more = error.errors.length - 1;
    if (!first) return [];
    return [more > 0 ? { ...first, message: `${first.message} (and ${more} more)` } : first, ...others];
  }
  const code = 'code' in error && !(error instanceof BoxcarError) ? String(error.code) : '';
  const message =
    code === '' || code === 'undefined' || error.message.includes(code)
      ? error.message
      : `${error.message} (${code})`;
  const own = { message, stack: error.stack };
  const facts = error instanceof BoxcarError ? { hint: error.hint, request: error.request } : {};
  return [{ ...own, ...facts }, ...chainOf(error.cause, depth + 1)];
}

/** The causes' messages, outermost first, without those that say again what was said. */
function causeText([error, ...causes]: Link[]): string {
  const told = [error?.message ?? ''];
  for (const { message } of causes) {
    if (message !== '' && !told.some((text) => text.includes(message))) told.push(message);
  }
  return told.slice(1).join(': ');
}

function usualHint(error: BoxcarError): string | undefined {
  if (error.code === 'unexpected')
    return 'this looks like a bug in boxcar: --verbose shows where it happened';
  if (error.code === 'usage') return 'boxcar push --help lists the options';
  if (['stopped', 'hub-failed', 'registry-failed'].includes(error.code))
    return 'everything sent so far is saved: run the same command to go on';
  return undefined;
}

function stacks(chain: Link[]): string[] {
  return chain
    .flatMap(({ stack }) => stack?.split('\n') ?? [])
    .map((line) => `    ${plain(withoutSecrets(line, ownWords), longest)}`);
}
