import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, takeFault } from './faults.ts';
import type { AccessOptions } from './hub/access.ts';
import { type Answer, errorAnswer } from './hub/answer.ts';
import { createSignedUrls, violationsOf } from './hub/cdn.ts';
import { fits, type HubFault, spoil } from './hub/faults.ts';
import { type Model, storeModel } from './hub/model.ts';
import type { ResolveOptions } from './hub/resolve.ts';
import { bridgeAnswer, hubAnswer, type Routing } from './hub/routes.ts';
import { transmit } from './hub/transmit.ts';
import { headerRecord, listen, type ServerIdentity } from './listen.ts';

export interface HubOptions extends AccessOptions, ResolveOptions {
  models: Model[];
  /** Files of at least so many bytes are in LFS. Default 64 KiB. */
  lfsThreshold?: number;
  /** Entries on one page of a tree. Default 1000. */
  pageSize?: number;
  /** How long a redirect to the CDN is good for. Default an hour. */
  expiresInMs?: number;
  /** Bytes of files per second on each connection. Default unlimited. */
  bytesPerSecond?: number;
  /** Every answer of both origins starts so much later. */
  latencyMs?: number;
  /** As some mirrors do: bodies of files without Content-Length. */
  omitContentLength?: boolean;
  /** As the CDN does at 50 GB: a longer answer is refused with 400, so that it must be read in ranges. */
  largestBody?: number;
  tls?: ServerIdentity;
}

/** One request as it came and what became of it. */
export interface HubRequest {
  origin: 'hub' | 'cdn';
  method: string;
  /** Decoded, without query. */
  path: string;
  /** As sent. */
  url: string;
  range: string | undefined;
  /** Lower-case names; `authorization` is kept. */
  headers: Record<string, string>;
  /** 0 until an answer was begun, and for ever where the connection was reset instead. */
  status: number;
  /** Body bytes handed to the connection; a client that left may have got less. */
  bytesSent: number;
}

export interface Hub extends AsyncDisposable {
  /** What HF_ENDPOINT is set to. */
  url: string;
  cdnUrl: string;
  /** Push here what shall go wrong; see takeFault for when a fault is spent. */
  faults: Fault<HubRequest, HubFault>[];
  requests: HubRequest[];
  /** `GET <path>: <authorization|cookie|gzip>` for each thing the CDN should never have been sent. */
  violations: string[];
  /** Body bytes of each of the models' files that left either origin, by path in the repository. */
  bytesOf: Map<string, number>;
  /** Every redirect given so far leads to a 403 from now on. */
  expireUrls(): void;
  close(): Promise<void>;
}

/** After these the client has no status. */
const answerless = new Set<HubFault['kind']>(['reset', 'down', 'hold', 'garbage']);

/** A stand-in for the Hugging Face Hub and the CDN it redirects to, each an origin of its own on loopback. */
export async function startHub(options: HubOptions): Promise<Hub> {
  const { lfsThreshold = 64 * 1024, pageSize = 1000, expiresInMs = 3_600_000 } = options;
  const models = new Map(options.models.map((model) => [model.name, storeModel(model, lfsThreshold)]));
  const signedUrls = createSignedUrls(expiresInMs);
  const hubServer = await listen((request, response) => respond('hub', request, response), options.tls);
  const cdnServer = await listen((request, response) => respond('cdn', request, response), options.tls);
  const routing: Routing = {
    hubUrl: hubServer.url,
    cdnUrl: cdnServer.url,
    signedUrls,
    models,
    pageSize,
    options,
  };
  const close = async (): Promise<void> => {
    await Promise.all([hubServer.close(), cdnServer.close()]);
  };
  const hub: Hub = {
    url: hubServer.url,
    cdnUrl: cdnServer.url,
    faults: [],
    requests: [],
    violations: [],
    bytesOf: new Map(),
    expireUrls: () => signedUrls.expire(),
    close,
    [Symbol.asyncDispose]: close,
  };

  async function respond(
    origin: 'hub' | 'cdn',
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const url = new URL(incoming.url ?? '/', routing.hubUrl);
    const request = requestOf(origin, url, incoming);
    hub.requests.push(request);
    if (options.latencyMs) await delay(options.latencyMs);

    const answer = route(url, request);
    const fault = takeFault(hub.faults, request, (action) => fits(action, answer, request.method));
    const spoiled = spoil(answer, fault);
    if (fault?.kind === 'down') (origin === 'hub' ? hubServer : cdnServer).down(fault.ms);
    if (!fault || !answerless.has(fault.kind)) request.status = spoiled.status;
    await transmit(response, spoiled, fault, options, (bytes) => {
      request.bytesSent += bytes;
      if (spoiled.file !== undefined) {
        hub.bytesOf.set(spoiled.file, (hub.bytesOf.get(spoiled.file) ?? 0) + bytes);
      }
    });
  }

  function route(url: URL, request: HubRequest): Answer {
    if (request.method !== 'GET' && request.method !== 'HEAD') return errorAnswer(405, 'Method not allowed');
    if (request.origin === 'hub') return bounded(hubAnswer(routing, url, request.headers));
    const violations = violationsOf(request.headers);
    for (const violation of violations) {
      hub.violations.push(`${request.method} ${request.path}: ${violation}`);
    }
    const betrayed = violations.some((violation) => violation !== 'gzip');
    if (betrayed) return errorAnswer(400, 'Only one auth mechanism allowed', undefined, true);
    return bounded(bridgeAnswer(routing, url, request.headers));
  }

  function bounded(answer: Answer): Answer {
    const tooLong = answer.to - answer.from > (options.largestBody ?? Number.POSITIVE_INFINITY);
    return tooLong ? errorAnswer(400, 'The answer would be too large', undefined, true) : answer;
  }

  return hub;
}

function requestOf(origin: 'hub' | 'cdn', url: URL, incoming: IncomingMessage): HubRequest {
  const headers = headerRecord(incoming);
  return {
    origin,
    method: incoming.method ?? 'GET',
    path: decodeURIComponent(url.pathname),
    url: incoming.url ?? '/',
    range: headers.range,
    headers,
    status: 0,
    bytesSent: 0,
  };
}
