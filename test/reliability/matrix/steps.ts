import type { PushOptions } from '../../../src/index.ts';
import type { ProxyFault } from '../../support/fault-proxy.ts';
import type { HubFault } from '../../support/hub/faults.ts';
import { mib, windowSize } from './model.ts';

/** What both stand-ins write down of a request, as far as steps are told apart by it. */
export interface Asked {
  method: string;
  /** Decoded, without query. */
  path: string;
  url: string;
  origin?: string;
  range?: string | undefined;
  headers: Record<string, string>;
}

/** Digests by which requests are told apart: those of an undisturbed run. */
export interface KnownDigests {
  weights: string;
  config: string;
}

/** One step of the protocol: a kind of request that a push makes. */
export interface Step {
  name: string;
  /** Which stand-in is asked: the hub with its CDN, the proxy before the registry, the one before its token server. */
  side: 'hub' | 'registry' | 'token';
  match: (asked: Asked, known: KnownDigests) => boolean;
  /** What its answer or its request has that can be spoiled. */
  has: 'json' | 'file' | 'nothing' | 'bytes';
  /** What must go wrong before, once, for boxcar to come to this step at all. */
  after?: { hub?: HubFault; registry?: { match: Step['match']; action: ProxyFault } };
  options?: Partial<PushOptions>;
  /** The model is gated. */
  gated?: boolean;
  /** The registry is reached by https, and nobody says so beforehand. */
  tls?: boolean;
  /** Names of the faults to try here; the others say nothing new. */
  only?: RegExp;
}

const resolving = (name: string) => (asked: Asked) =>
  asked.origin === 'hub' && asked.path.includes('/resolve/') && asked.path.endsWith(name);
const firstByte = ({ range }: Asked) => Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? Number.NaN);
const window = (index: number) => (asked: Asked) =>
  asked.origin === 'cdn' && Math.floor(firstByte(asked) / windowSize) === index;
const listing = (next: boolean) => (asked: Asked) =>
  asked.path.includes('/tree/') && asked.url.includes('cursor=') === next;

const hubSteps: Step[] = [
  {
    name: 'model info',
    side: 'hub',
    match: ({ path }) => path.includes('/revision/'),
    has: 'json',
  },
  { name: 'listing, first page', side: 'hub', match: listing(false), has: 'json' },
  { name: 'listing, next page', side: 'hub', match: listing(true), has: 'json' },
  { name: 'resolve', side: 'hub', match: resolving('/model.safetensors'), has: 'nothing' },
  { name: 'CDN, first window', side: 'hub', match: window(0), has: 'file' },
  { name: 'CDN, middle window', side: 'hub', match: window(1), has: 'file' },
  { name: 'CDN, last window', side: 'hub', match: window(2), has: 'file' },
  { name: 'small file', side: 'hub', match: resolving('/config.json'), has: 'file' },
  {
    name: 'probe of a gated model',
    side: 'hub',
    match: (asked) => resolving('/README.md')(asked) && firstByte(asked) > 0,
    has: 'file',
    gated: true,
  },
];

const session = (method: string) => (asked: Asked) =>
  asked.method === method && asked.path.includes('/blobs/uploads/');
const closing = (of: keyof KnownDigests) => (asked: Asked, known: KnownDigests) =>
  session('PUT')(asked) && decodeURIComponent(asked.url).includes(known[of]);
const manifest = (method: string, tag: string) => (asked: Asked) =>
  asked.method === method && asked.path.endsWith(`/manifests/${tag}`);
const head = (of: keyof KnownDigests) => (asked: Asked, known: KnownDigests) =>
  asked.method === 'HEAD' && asked.path.endsWith(`/blobs/${known[of]}`);
const ping = ({ path }: Asked) => path === '/v2/';

const registrySteps: Step[] = [
  {
    name: 'scheme probe',
    side: 'registry',
    match: ping,
    has: 'json',
    tls: true,
    only: /^(down$|reset|not HTTP|no answer|answer lost|cut at byte 0|401|404|503|200, HTML)/,
  },
  { name: 'GET /v2/', side: 'registry', match: ping, has: 'json' },
  { name: 'token', side: 'token', match: () => true, has: 'json' },
  { name: 'GET manifest', side: 'registry', match: manifest('GET', 'v1'), has: 'json' },
  { name: 'POST', side: 'registry', match: session('POST'), has: 'nothing' },
  { name: 'PATCH', side: 'registry', match: session('PATCH'), has: 'bytes' },
  {
    name: 'PATCH, next chunk',
    side: 'registry',
    match: (asked) => session('PATCH')(asked) && /^[1-9]/.test(asked.headers['content-range'] ?? ''),
    has: 'bytes',
    options: { upload: 'chunked', chunkMib: 1 },
  },
  {
    name: 'GET upload',
    side: 'registry',
    match: session('GET'),
    has: 'nothing',
    after: { registry: { match: session('PATCH'), action: { kind: 'cut', after: mib } } },
  },
  { name: 'PUT layer', side: 'registry', match: closing('weights'), has: 'nothing' },
  {
    name: 'HEAD layer',
    side: 'registry',
    match: head('weights'),
    has: 'nothing',
    after: { registry: { match: closing('weights'), action: { kind: 'lose-answer' } } },
  },
  {
    name: 'DELETE upload',
    side: 'registry',
    match: session('DELETE'),
    has: 'nothing',
    after: { hub: { kind: 'flip', at: mib } },
  },
  { name: 'HEAD config', side: 'registry', match: head('config'), has: 'nothing' },
  { name: 'PUT config', side: 'registry', match: closing('config'), has: 'nothing' },
  { name: 'PUT manifest', side: 'registry', match: manifest('PUT', 'v1'), has: 'bytes' },
  { name: 'PUT further tag', side: 'registry', match: manifest('PUT', 'latest'), has: 'bytes' },
];

export const steps: readonly Step[] = [...hubSteps, ...registrySteps];
