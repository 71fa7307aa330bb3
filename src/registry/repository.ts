import { BoxcarError } from '../errors.ts';
import {
  type Headers,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  header,
} from '../http/client.ts';
import { isUnreachable } from '../http/failure.ts';
import { isBloated } from '../http/json-document.ts';
import { redirectTarget } from '../http/redirect.ts';
import { Patience, type PatienceOptions } from '../http/retry.ts';
import { mediaTypes } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import type { Authorizer } from './auth/authorizer.ts';
import { registryError } from './registry-error.ts';

/** distribution-spec, "Pushing Manifests": registries take at least 4 MiB; nobody sends more than twice that. */
const manifestLimit = 8 * 1024 * 1024;

/** Attempts to reach a registry that has not answered yet. */
const firstContacts = 4;

/** Times that a registry may say of a right manifest that a digest is wrong. */
const misreads = 3;

/** A manifest as the registry holds it. */
export interface StoredManifest {
  digest: Digest;
  mediaType: string;
  bytes: Buffer;
}

/** One repository of a registry: a method per step of the distribution protocol. */
export class Repository {
  /** `host[:port]/repository`. */
  readonly name: string;
  readonly path: string;
  readonly origin: string;
  readonly #http: HttpClient;
  readonly #authorizer: Authorizer;
  readonly patience: PatienceOptions;

  constructor(path: string, http: HttpClient, authorizer: Authorizer, patience: PatienceOptions) {
    this.path = path;
    this.origin = http.origin;
    this.name = `${new URL(http.origin).host}/${path}`;
    this.#http = http;
    this.#authorizer = authorizer;
    this.patience = patience;
  }

  /** A URL under this repository, `blobs/sha256:...` for example. */
  url(suffix: string): URL {
    return new URL(`${this.origin}/v2/${this.path}/${suffix}`);
  }

  /**
   * Sends a request with the credentials that the registry asked for. A 401 is answered once, with another token; a body
   * that is a stream cannot be sent twice, so that its 401 is a transient error.
   * @param onAnswer sees that 401, too.
   */
  async request(request: HttpRequest, onAnswer?: (answer: HttpResponse) => void): Promise<HttpResponse> {
    const sentAt = performance.now();
    const answer = await this.#http.request(request);
    onAnswer?.(answer);
    if (answer.status !== 401 || request.url.origin !== this.origin) return answer;
    const helps = this.#authorizer.challenged(answer.headers['www-authenticate'], sentAt);
    if (!helps) return answer;
    const replayable = !request.body || request.body instanceof Uint8Array;
    if (!replayable) throw await this.error(answer, 'the registry wants another token', { transient: true });
    await answer.discard();
    return this.#http.request(request);
  }

  /** GET of what the registry may keep elsewhere: one redirect is followed, where no credentials go. */
  async read(request: Omit<HttpRequest, 'method'>): Promise<HttpResponse> {
    const answer = await this.request({ ...request, method: 'GET' });
    const url = redirectTarget(answer, request.url);
    if (!url) return answer;
    await answer.discard();
    return this.request({ method: 'GET', url, signal: request.signal });
  }

  /** A refusal as an error, with what is known of the credentials. */
  error(answer: HttpResponse, what: string, options: { transient?: boolean } = {}): Promise<BoxcarError> {
    return registryError(answer, what, {
      repository: this.path,
      credentials: this.#authorizer.source,
      elsewhere: new URL(answer.facts.url).origin !== this.origin,
      ...options,
    });
  }

  /** Tries again what failed transiently, but for failures that `isFinal` knows better. */
  async retrying<T>(
    attempt: () => Promise<T>,
    signal?: AbortSignal,
    isFinal = (_error: unknown) => false,
  ): Promise<T> {
    const patience = new Patience(this.patience);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (isFinal(error)) throw error;
        await patience.wait(error, signal);
      }
    }
  }

  /**
   * First contact: `GET /v2/` tells whether there is a registry and which credentials it wants. Where nothing answers at
   * all it is asked {@link firstContacts} times, in case it is being restarted; an unknown name is a wrong address.
   * @returns the header fields that it showed.
   */
  ping(signal: AbortSignal): Promise<Headers> {
    const shown: Headers = {};
    let contacts = 0;
    const ask = async () => {
      contacts += 1;
      const sentAt = performance.now();
      const url = new URL(`${this.origin}/v2/`);
      const answer = await this.#http.request({ method: 'GET', url, signal });
      // What it asks for is given with the next request: whether that is right is seen there.
      if (answer.status === 401) this.#authorizer.challenged(answer.headers['www-authenticate'], sentAt);
      // Some registries refuse or do not know this path although pushes work: their answers to a push decide.
      if (answer.status >= 500 || answer.status === 429)
        throw await this.error(answer, `the registry ${this.origin} is not ready`);
      Object.assign(shown, answer.headers);
      await answer.discard();
      return shown;
    };
    // Once something has answered it is there, and being restarted at worst.
    let answered = false;
    return this.retrying(ask, signal, (error) => {
      const unreachable = isUnreachable(error, this.origin);
      answered ||= !unreachable;
      return !answered && (unreachable === 'unknown' || contacts >= firstContacts);
    });
  }

  /**
   * Whether the registry has a blob; a redirect to its storage is a yes.
   * @param size where it is known, in bytes: a blob of another size is not the one meant.
   */
  hasBlob(digest: Digest, signal?: AbortSignal, size?: number): Promise<boolean> {
    return this.retrying(async () => {
      const answer = await this.request({ method: 'HEAD', url: this.url(`blobs/${digest}`), signal });
      await answer.discard();
      if (answer.status === 404) return false;
      const told = answer.status === 200 ? header(answer.headers, 'content-length') : undefined;
      if (answer.status >= 200 && answer.status < 400)
        return size === undefined || told === undefined || Number(told) === size;
      throw await this.error(answer, `the registry did not say whether it has ${digest}`);
    }, signal);
  }

  /** A manifest by tag or digest; `undefined` where there is none. */
  manifest(reference: string, signal?: AbortSignal): Promise<StoredManifest | undefined> {
    return this.retrying(async () => {
      const accept = [
        mediaTypes.manifest,
        mediaTypes.index,
        'application/vnd.docker.distribution.manifest.v2+json',
      ];
      const headers = { accept: accept.join(', ') };
      const answer = await this.read({ url: this.url(`manifests/${reference}`), headers, signal });
      if (answer.status === 404) {
        await answer.discard();
        return undefined;
      }
      if (answer.status !== 200)
        throw await this.error(answer, `the registry did not give ${this.path}:${reference}`);
      const bytes = await answer.bytes(manifestLimit);
      const digest = digestOf(bytes);
      const said = header(answer.headers, 'docker-content-digest');
      // A proxy's page, or a manifest that was cut: not what is there.
      if (!isManifest(bytes) || (said?.startsWith('sha256:') && said !== digest)) {
        throw new BoxcarError(`what the registry gave as ${this.path}:${reference} is no manifest`, {
          code: 'registry-failed',
          side: 'registry',
          request: answer.facts,
          transient: true,
          hint: 'does a proxy before the registry answer in its stead?',
        });
      }
      return { digest, mediaType: header(answer.headers, 'content-type') ?? '', bytes };
    }, signal);
  }

  /**
   * Puts a manifest under a tag or its digest. After a lost answer, or one that left it open, it looks before it puts it
   * again: where tags are immutable the second PUT would be refused.
   * @throws BoxcarError when the registry reports twice another digest than the bytes have.
   */
  putManifest(reference: string, bytes: Buffer, mediaType: string, signal?: AbortSignal): Promise<void> {
    const url = this.url(`manifests/${reference}`);
    const headers = { 'content-type': mediaType };
    const digest = digestOf(bytes);
    let mayBeThere = false;
    let altered = 0;
    let misread = 0;
    return this.retrying(async () => {
      if (mayBeThere && (await this.manifest(reference, signal))?.digest === digest) return;
      mayBeThere = true;
      const answer = await this.request({ method: 'PUT', url, headers, body: bytes, signal });
      mayBeThere = answer.status >= 500;
      if (answer.status < 200 || answer.status > 204) {
        const what = `the registry refused the manifest of ${this.path}:${reference}`;
        const error = await this.error(answer, what);
        // Distribution says so where another process is just linking one of the blobs, which takes a moment.
        const isMisread = /DIGEST_INVALID/.test(error.request?.answer ?? '');
        if (!isMisread || misread === misreads) throw error;
        misread += 1;
        throw await this.error(answer, what, { transient: true });
      }
      await answer.discard();
      const reported = header(answer.headers, 'docker-content-digest');
      const stored = reported ?? (await this.manifest(reference, signal))?.digest;
      if (stored !== digest) {
        altered += stored === undefined ? 0 : 1;
        throw new BoxcarError(`the registry stored another manifest than it was sent: ${stored ?? 'none'}`, {
          code: 'registry-failed',
          side: 'registry',
          request: answer.facts,
          // Once it may have happened on the way; another PUT mends the tag then.
          transient: altered < 2,
          hint: 'does a proxy or the registry rewrite manifests? The tag should not be used',
        });
      }
    }, signal);
  }

  /**
   * Removes a tag, or a manifest with all its tags by its digest (distribution-spec, "Content Management").
   * @returns whether it is gone; registries may refuse either, or both.
   */
  async deleteManifest(reference: string, signal?: AbortSignal): Promise<boolean> {
    const url = this.url(`manifests/${reference}`);
    const forget = this.rememberRights();
    try {
      const status = await this.retrying(async () => {
        const answer = await this.request({ method: 'DELETE', url, signal });
        if (answer.status >= 500 && answer.status !== 501)
          throw await this.error(answer, `the registry did not delete ${this.path}:${reference}`);
        await answer.discard();
        return answer.status;
      }, signal);
      return (status >= 200 && status < 300) || status === 404;
    } catch (error) {
      if (error instanceof BoxcarError && error.code === 'unauthorized') return false;
      throw error;
    } finally {
      forget();
    }
  }

  /** A repository of the same registry, spoken to with the same credentials. */
  sibling(path: string, patience = this.patience): Repository {
    return new Repository(path, this.#http, this.#authorizer, patience);
  }

  /**
   * Goes back to the rights that are asked for now: one that is refused must not be asked for in every later token, as
   * some token servers refuse all of it then.
   */
  rememberRights(): () => void {
    return this.#authorizer.rememberScopes();
  }

  /**
   * Asks from now on for the right to read another repository, too: to look at its images and mount its blobs.
   * @returns takes that back, for where the token server refuses it.
   */
  alsoRead(path: string): () => void {
    const forget = this.rememberRights();
    this.#authorizer.addScope(path);
    return forget;
  }
}

/** An image manifest or an index, of any age: all have a schemaVersion (image-spec, manifest.md). */
function isManifest(bytes: Buffer): boolean {
  if (isBloated(bytes)) return false;
  try {
    return typeof JSON.parse(bytes.toString('utf8'))?.schemaVersion === 'number';
  } catch {
    return false;
  }
}
