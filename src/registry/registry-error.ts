import type { BoxcarError } from '../errors.ts';
import { type HttpResponse, header, statusError } from '../http/client.ts';

export interface RegistryErrorContext {
  repository: string;
  /** Where the credentials came from. */
  credentials: string;
  /** The answer is another origin's, an object store's: no credentials went there. */
  elsewhere?: boolean;
  transient?: boolean;
}

/** What a registry's refusal means and what to do about it. */
export async function registryError(
  answer: HttpResponse,
  what: string,
  { repository, credentials, elsewhere, ...overrides }: RegistryErrorContext,
): Promise<BoxcarError> {
  const { status } = answer;
  const error = await statusError('registry', answer, what, overrides);
  const words = answer.facts.answer ?? '';
  const as = (message: string, options: object) =>
    statusError('registry', answer, message, { ...options, ...overrides });
  if (status === 429 || (status === 403 && limitsRate(answer))) {
    return as(`${what}: it limits the rate of requests`, { transient: true });
  }
  if ((status === 401 || status === 403) && !elsewhere) {
    return as(what, {
      code: 'unauthorized',
      transient: false,
      hint: `credentials: ${credentials}; does this account have push access to ${repository}?`,
    });
  }
  if (status === 404 && /NAME_UNKNOWN|RepositoryNotFound|repository.*not (found|exist)/i.test(words)) {
    return as(what, {
      code: 'not-found',
      hint: `this registry wants the repository ${repository} created before it is pushed to (Amazon ECR does)`,
    });
  }
  if (status === 413) {
    return as(what, {
      hint: 'a proxy before the registry limits the size of a request: try --upload chunked with a smaller --chunk-mib',
    });
  }
  return error;
}

/**
 * Whether a 403 limits the rate: GHCR's does (oras-project and ocx-sh threads of registries.md), in its words or, to a HEAD,
 * in its fields alone (docs.github.com, "Best practices for using the REST API").
 */
function limitsRate({ headers, facts }: HttpResponse): boolean {
  const waits =
    header(headers, 'retry-after') !== undefined || header(headers, 'x-ratelimit-remaining') === '0';
  return waits || /rate limit|too many/i.test(facts.answer ?? '');
}
