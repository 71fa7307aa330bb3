import pLimit from 'p-limit';
import { BoxcarError } from '../errors.ts';
import { type HttpResponse, statusError } from '../http/client.ts';
import { follow, type Hub, hubError } from './hub.ts';

/** Statuses of a store to which a signed URL is not good, or not any more. */
const unsigned = [400, 401, 403, 404, 410];
/** Failures in a row of the store that the hub has named, after which the hub is asked for another. */
const patienceWithStore = 3;

/** Bytes of an answer that is worth a connection of its own kind. */
const worthASocket = 256 * 1024;

/** Bytes `from` to `to` (exclusive). */
interface FileRange {
  from: number;
  to: number;
  signal: AbortSignal | undefined;
}

/**
 * Where one file's bytes are: the hub's own URL, or the signed one of a CDN that it redirects to. Resolved once for all
 * windows of the file, and again when the signed URL has expired, because every resolve counts against a quota.
 */
export class FileLocation {
  readonly #hub: Hub;
  readonly #resolve: URL;
  readonly #path: string;
  readonly #one = pLimit(1);
  #signed: URL | undefined;
  #storeFailures = 0;

  constructor(hub: Hub, model: string, commit: string, path: string) {
    this.#hub = hub;
    this.#path = path;
    const name = path.split('/').map(encodeURIComponent).join('/');
    this.#resolve = new URL(`${hub.endpoint}/${model}/resolve/${commit}/${name}`);
  }

  /**
   * A GET of bytes `from` to `to` (exclusive), answered with 200, 206 or 416.
   * @throws BoxcarError for any other answer.
   */
  async get(from: number, to: number, signal?: AbortSignal): Promise<HttpResponse> {
    const range = { from, to, signal };
    let answer: HttpResponse;
    try {
      answer =
        (await this.#fromStore(range)) ??
        // One window asks the hub; what it learns serves those that have waited for it.
        (await this.#one(
          async () => (await this.#fromStore(range)) ?? (await this.#follow(this.#resolve, range)),
        ));
    } catch (error) {
      this.#storeFailed();
      throw error;
    }
    if (answer.status >= 500) this.#storeFailed();
    else this.#storeFailures = 0;
    return this.#accept(answer);
  }

  /** A store that is down may not be the only one: the hub may know another. */
  #storeFailed(): void {
    this.#storeFailures += 1;
    if (this.#storeFailures < patienceWithStore) return;
    this.#signed = undefined;
    this.#storeFailures = 0;
  }

  /** From where the hub has sent us before; `undefined` where that is not known, or not good any more. */
  async #fromStore(range: FileRange): Promise<HttpResponse | undefined> {
    const used = this.#signed;
    if (!used) return undefined;
    const answer = await this.#follow(used, range);
    if (!unsigned.includes(answer.status)) return answer;
    await answer.discard();
    if (this.#signed === used) this.#signed = undefined;
    return undefined;
  }

  #follow(url: URL, { from, to, signal }: FileRange): Promise<HttpResponse> {
    // A CDN that is offered gzip may ignore the range: huggingface_hub#3778.
    const headers = { range: `bytes=${from}-${to - 1}`, 'accept-encoding': 'identity' };
    const large = to - from >= worthASocket;
    return follow(this.#hub, { method: 'GET', url, headers, signal, large }, (target) => {
      // Kept even if the store fails once: what was signed stays good.
      this.#signed = target;
    });
  }

  async #accept(answer: HttpResponse): Promise<HttpResponse> {
    if (answer.status === 200 || answer.status === 206 || answer.status === 416) return answer;
    const odd = answer.status < 400;
    if (!odd && new URL(answer.facts.url).origin === this.#hub.http.origin) {
      throw await hubError(this.#hub, answer, this.#path);
    }
    // A signed URL just made and refused: the store's trouble, not the user's credentials. Neither the file nor a refusal:
    // something on the way that may be gone the next time.
    const what = odd ? `the hub gave no bytes of ${this.#path}` : `the hub's store refused ${this.#path}`;
    throw await statusError('hub', answer, what, { transient: true });
  }
}

/** Wraps a wrong answer about a file's size or content; such a file is never published. */
export function listedOtherwise(path: string, what: string, answer: HttpResponse): BoxcarError {
  return new BoxcarError(`${path} is not what the hub lists: ${what}`, {
    code: 'content-mismatch',
    side: 'hub',
    request: answer.facts,
    hint: 'nothing was published with it; is a proxy or mirror between here and the hub out of date?',
  });
}
