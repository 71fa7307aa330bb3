import { BoxcarError } from '../errors.ts';
import { type HttpResponse, header } from '../http/client.ts';
import type { Digest } from '../oci/digest.ts';
import { inPieces } from './chunk-pool.ts';
import type { Repository } from './repository.ts';

/** How long a registry may take to close an upload, in ms: it may copy tens of GB (moby/moby#33558). */
const closeMs = 30 * 60_000;
/** How long it may take to answer a PATCH that it has in full, in ms: object stores flush their parts then. */
const patchAnswerMs = 5 * 60_000;

/** An upload session: where its next request goes, and how many bytes it has. The Location is new after every answer. */
export interface UploadSession {
  location: URL;
  offset: number;
  /** Bytes that every chunk but the last must have (`OCI-Chunk-Min-Length`). */
  smallestChunk?: number;
}

/** A chunk is held in memory: a registry that wants larger ones than this gets smaller ones. */
const largestChunk = 64 * 1024 * 1024;

const octets = { 'content-type': 'application/octet-stream' };

/**
 * POST: opens a session (distribution-spec, "Pushing a blob in chunks"). An answer that names no usable Location may be a
 * glitch of something in between, and costs nothing to ask for again; a registry that does not know its own address
 * says the same the second time.
 */
export async function startUpload(repository: Repository, signal?: AbortSignal): Promise<UploadSession> {
  try {
    return await beginUpload(repository, signal);
  } catch (error) {
    const status = error instanceof BoxcarError ? error.request?.status : undefined;
    if (status === undefined || status >= 400) throw error;
    return beginUpload(repository, signal);
  }
}

async function beginUpload(repository: Repository, signal: AbortSignal | undefined): Promise<UploadSession> {
  const url = repository.url('blobs/uploads/');
  const answer = await repository.request({ method: 'POST', url, signal });
  if (answer.status < 200 || answer.status > 204) {
    throw await repository.error(answer, `the registry refused to begin an upload to ${repository.path}`);
  }
  if (!header(answer.headers, 'location')) {
    throw await repository.error(answer, 'the registry began an upload and did not say where (no Location)');
  }
  await answer.discard();
  const wanted = Number(header(answer.headers, 'oci-chunk-min-length'));
  const smallestChunk =
    Number.isSafeInteger(wanted) && wanted > 0 ? { smallestChunk: Math.min(wanted, largestChunk) } : {};
  return { location: nextLocation(answer, url), offset: 0, ...smallestChunk };
}

/**
 * PATCH: appends `body`. Without `length` it is a stream that may end anywhere, and no Content-Range is sent (the form
 * of skopeo and crane); with it, a chunk with `Content-Range: start-end`.
 * @returns the session's next Location. Some registries answer 201 (ECR) or 204; their `Range` is not believed.
 */
export async function appendUpload(
  repository: Repository,
  session: UploadSession,
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  signal?: AbortSignal,
): Promise<URL> {
  const range = length === undefined ? {} : chunkHeaders(session.offset, length);
  const answer = await repository.request({
    method: 'PATCH',
    url: session.location,
    headers: { ...octets, ...range },
    body,
    answerMs: patchAnswerMs,
    signal,
  });
  // A 200 that says where it goes on is a registry's; without that it is a page of something in between.
  const taken = [201, 202, 204].includes(answer.status) || (answer.status === 200 && answer.headers.location);
  if (!taken) throw await repository.error(answer, 'the registry refused a part of the upload');
  await answer.discard();
  return nextLocation(answer, session.location);
}

/** distribution-spec, "Pushing a blob in chunks": without the unit that RFC 9110 has. */
function chunkHeaders(offset: number, length: number): Record<string, string> {
  return { 'content-length': `${length}`, 'content-range': `${offset}-${offset + length - 1}` };
}

/** A body that is whole is no chunk. */
function lastHeaders(offset: number, length: number): Record<string, string> {
  return offset === 0 ? { 'content-length': `${length}` } : chunkHeaders(offset, length);
}

/**
 * GET: what the registry holds of an upload. Ask only when no PATCH is open (distribution 2.8 answers 404 then).
 * @returns `undefined` when the session is gone.
 */
export async function uploadStatus(
  repository: Repository,
  session: UploadSession,
  signal?: AbortSignal,
): Promise<UploadSession | undefined> {
  const answer = await repository.request({ method: 'GET', url: session.location, signal });
  if ([400, 404, 405, 410, 416, 501].includes(answer.status)) {
    await answer.discard();
    return undefined;
  }
  if (answer.status !== 204 && answer.status !== 202 && answer.status !== 200) {
    throw await repository.error(answer, 'the registry did not say how far the upload is');
  }
  await answer.discard();
  const range = /^(?:bytes=)?0-(\d+)$/.exec(header(answer.headers, 'range') ?? '');
  // `0-0` is no byte or one byte; a session that cannot say which is worth nothing either way.
  const last = Number(range?.[1] ?? 0);
  return last === 0
    ? undefined
    : { ...session, location: nextLocation(answer, session.location), offset: last + 1 };
}

/** A failed request of a session. */
interface SessionFailure {
  method: string;
  status: number | undefined;
  /** The session's first byte that it was about. */
  offset: number;
  /** Failures in a row without progress, this one included. */
  failures: number;
}

/** Whether a failure says that its session is of no more use. */
export function isSessionLost({ method, status, offset, failures }: SessionFailure): boolean {
  if (status === undefined || !['PATCH', 'PUT', 'GET'].includes(method)) return false;
  // Gone (distribution 2.8 and zot after a cut), unknown to a balancer's other node, or a signed Location of an object
  // store that has expired (401, 403).
  if ([401, 403, 404, 409, 410].includes(status)) return true;
  // At the first byte it is the request that is wrong, and will be in any session.
  if (status === 400 || status === 405) return offset > 0;
  // Somebody between here and the registry, perhaps: its first PATCH was taken.
  if (method === 'PATCH' && (status === 411 || status === 501)) return offset > 0;
  // Distribution 3 may still be writing the bytes of a cut PATCH when it says how many it has: ask it again first.
  if (status === 416) return offset > 0 && failures > 1;
  // A balancer's other node, or ECR, which may not close what came in parts: given up once, as it may be bad luck, too.
  return status === 500 && failures === 3;
}

/**
 * PUT: closes the session under its digest; with an empty body, or with the last bytes where the dialect wants
 * them there, or with all of a small one.
 * @throws BoxcarError; `DigestRefused` when the registry computed another digest; also for an answer that leaves open
 *   whether there is a blob now.
 */
export async function closeUpload(
  repository: Repository,
  session: UploadSession,
  digest: Digest,
  last: Uint8Array | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const url = new URL(session.location);
  // Not through searchParams: that would write the registry's own query anew, and some are signed.
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  const answer = await repository.request({
    method: 'PUT',
    url,
    headers: { ...octets, ...(last ? lastHeaders(session.offset, last.length) : {}) },
    ...(last ? { body: inPieces(last) } : {}),
    answerMs: closeMs,
    signal,
  });
  if (answer.status === 201) {
    const stored = header(answer.headers, 'docker-content-digest');
    if (stored === undefined || stored === digest) return answer.discard();
    throw new DigestRefused(await repository.error(answer, `the registry stored the upload as ${stored}`));
  }
  const error = await repository.error(answer, 'the registry did not take the finished upload');
  const aboutDigest = answer.status >= 400 && /digest/i.test(error.request?.answer ?? '');
  throw aboutDigest ? new DigestRefused(error) : error;
}

/**
 * DELETE: gives a session up. What fails here harms nobody: registries drop old sessions.
 * @returns whether it is gone now.
 */
export async function cancelUpload(
  repository: Repository,
  session: UploadSession,
  signal?: AbortSignal,
): Promise<boolean> {
  const cancel = async ({ location }: UploadSession) => {
    const answer = await repository.request({ method: 'DELETE', url: location, signal });
    await answer.discard();
    return answer.status;
  };
  try {
    let status = await cancel(session);
    // Distribution: a Location names an offset, and is of no use where a refused request has brought bytes.
    const now = status === 416 ? await uploadStatus(repository, session, signal) : undefined;
    if (now) status = await cancel(now);
    return (status >= 200 && status < 300) || status === 404 || status === 410;
  } catch (error) {
    if (signal?.aborted) throw error;
    return false;
  }
}

/** The registry holds other bytes than were hashed: the upload must start from its first byte. */
export class DigestRefused extends BoxcarError {
  constructor({ message, request, hint }: BoxcarError) {
    super(message, {
      code: 'registry-failed',
      side: 'registry',
      transient: true,
      ...(request ? { request } : {}),
      ...(hint ? { hint } : {}),
    });
  }
}

/**
 * The single gate for URLs that a registry names: relative or absolute, never from https to http. Another origin is
 * allowed (object storage); credentials stay behind. An answer without a Location keeps the old one.
 */
export function nextLocation(answer: HttpResponse, from: URL): URL {
  const text = header(answer.headers, 'location');
  if (!text) return from;
  const next = URL.parse(text, from.href);
  if (next && /^https?:$/.test(next.protocol) && !(from.protocol === 'https:' && next.protocol === 'http:'))
    return next;
  throw new BoxcarError('the registry names a Location that cannot be used', {
    code: 'registry-failed',
    side: 'registry',
    request: answer.facts,
    hint: next
      ? 'it leaves https: does the registry know its own address (its external URL)?'
      : 'it is no URL',
  });
}
