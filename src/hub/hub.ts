import { BoxcarError, type BoxcarErrorOptions } from '../errors.ts';
import { type HttpClient, type HttpRequest, type HttpResponse, header, statusError } from '../http/client.ts';
import { isBloated } from '../http/json-document.ts';
import { redirectTarget } from '../http/redirect.ts';
import { Patience, type PatienceOptions } from '../http/retry.ts';

/** Bytes of metadata in one answer; a page of 1,000 files has about 300 KB. As objects they take fifty times as much. */
const metadataLimit = 16 * 1024 * 1024;
/** Pages of one listing: those of the largest models have 50 files each, or 1,000. */
const mostPages = 5000;
const maxRedirects = 5;

/** A hub: where it is and how it is asked. */
export interface Hub {
  /** Without a trailing slash. */
  endpoint: string;
  http: HttpClient;
  /** Whether requests carry a token: decides what an error advises. */
  hasToken: boolean;
  patience: PatienceOptions;
}

/**
 * `fetch` for `@huggingface/hub`, through our own way out: its proxies, certificates, credentials and patience.
 * Answers that are not a success are thrown as errors of ours, before the library sees them. It serves one listing: one
 * that leads back to a page of its own, or never ends, is an error.
 * @param isRight whether an answer has the shape that was asked for.
 * @param lastPage the page after which none is read, whatever follows.
 */
export function hubFetch(
  hub: Hub,
  what: string,
  isRight: (document: unknown) => boolean,
  signal?: AbortSignal,
  lastPage = Number.POSITIVE_INFINITY,
): typeof fetch {
  const pages = new Set<string>();
  return async (input) => {
    const patience = new Patience(hub.patience);
    // Not `instanceof Request`: to look at that name loads Node's own fetch, 30 ms and 10 MiB.
    const url = onEndpoint(hub, new URL(typeof input === 'object' && 'url' in input ? input.url : input));
    if (pages.has(url.href) || pages.size === mostPages) throw endless(what);
    pages.add(url.href);
    for (;;) {
      try {
        const answer = await follow(hub, {
          method: 'GET',
          url,
          headers: { accept: 'application/json' },
          signal,
        });
        if (answer.status !== 200) throw await hubError(hub, answer, what);
        const body = await answer.bytes(metadataLimit);
        const document = isBloated(body) ? undefined : parsed(body);
        if (!isRight(document)) throw senseless(hub, answer, what);
        return listingAnswer(document, pages.size < lastPage ? header(answer.headers, 'link') : undefined);
      } catch (error) {
        await patience.wait(error, signal);
      }
    }
  };
}

/** As much of a `Response` as the library looks at: Node's own costs 20 MiB once. */
function listingAnswer(document: unknown, link: string | undefined): Response {
  const get = (name: string) => (name.toLowerCase() === 'link' ? (link ?? null) : null);
  return { ok: true, status: 200, headers: { get }, json: async () => document } as unknown as Response;
}

/** A proxy's page, half an answer, or no hub at all: the first two may be gone the next time. */
function senseless({ endpoint }: Hub, answer: HttpResponse, what: string): BoxcarError {
  return new BoxcarError(`the hub's description of ${what} cannot be read`, {
    code: 'hub-failed',
    side: 'hub',
    request: answer.facts,
    transient: true,
    hint: `is ${endpoint} a hub?`,
  });
}

/** `undefined` for what is no JSON. */
function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function endless(what: string): BoxcarError {
  return new BoxcarError(`the hub's listing of ${what} does not end`, {
    code: 'hub-failed',
    side: 'hub',
    hint: 'it leads from page to page in a circle, or to ever more of them',
  });
}

/** A mirror may pass on the public hub's links to a listing's next page: those pages are the mirror's too. */
function onEndpoint({ endpoint }: Hub, { pathname, search }: URL): URL {
  const root = new URL(endpoint).pathname.replace(/\/$/, '');
  return new URL(
    `${endpoint}${pathname.startsWith(`${root}/`) ? pathname.slice(root.length) : pathname}${search}`,
  );
}

/**
 * A request that follows redirects, without credentials beyond the hub's origin.
 * @param onTarget told of each place that it is sent to.
 */
export async function follow(
  hub: Hub,
  request: HttpRequest,
  onTarget: (target: URL) => void = () => {},
): Promise<HttpResponse> {
  let url = request.url;
  for (let hops = 0; ; hops++) {
    const answer = await hub.http.request({ ...request, url });
    const target = redirectTarget(answer, url);
    if (!target || hops === maxRedirects) return answer;
    await answer.discard();
    url = target;
    onTarget(target);
  }
}

/** What the hub's refusal means and what to do about it. `what` names the thing asked for. */
export async function hubError(hub: Hub, answer: HttpResponse, what: string): Promise<BoxcarError> {
  const failed = await statusError('hub', answer, `the hub failed at ${what}`);
  const { status } = answer;
  const code = header(answer.headers, 'x-error-code');
  const words = answer.facts.answer ?? '';
  const as = (message: string, options: Partial<BoxcarErrorOptions>) =>
    statusError('hub', answer, message, options);
  if (status === 401 || status === 403) {
    const gated = code === 'GatedRepo' || /gated|restricted/i.test(words);
    return as(`the hub refused ${what}${gated ? ': the model is gated' : ''}`, {
      code: 'unauthorized',
      hint: cure(words, gated, hub.hasToken),
    });
  }
  if (status === 404) {
    return as(`the hub has no ${code === 'RevisionNotFound' ? 'such revision: ' : ''}${what}`, {
      code: 'not-found',
      hint: 'check the name and the revision (a branch, a tag or a commit) on the hub',
    });
  }
  if (status === 429) {
    const hint = hub.hasToken ? undefined : 'with HF_TOKEN set the hub allows more requests';
    return as('the hub limits the rate of requests', hint ? { hint } : {});
  }
  // Neither a success nor a refusal: something before the hub has answered.
  return status < 400 ? as(`the hub failed at ${what}`, { transient: true }) : failed;
}

/** A token that is missing, terms not accepted and a token without the right to gated models have three different cures. */
function cure(words: string, gated: boolean, hasToken: boolean): string {
  const setToken = 'set HF_TOKEN to a token that may read it';
  const terms = "accept its terms on the model's page";
  if (/fine-grained/i.test(words)) {
    return "the token may not read gated models: allow access to public gated repositories in the token's settings";
  }
  if (gated && hasToken) {
    return `${terms} with the token's account; a fine-grained token also needs access to gated repositories`;
  }
  if (gated) return `${terms}, then ${setToken}`;
  if (hasToken) return 'is the token valid, and may it read this model?';
  return `there is no such model, or it is private, which looks the same without a token: check the name, or ${setToken}`;
}
