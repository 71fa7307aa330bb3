import type { Headers } from '../http/client.ts';

const mib = 1024 * 1024;
const gib = 1024 * mib;

/**
 * Where a registry differs from the specification, as far as it matters to whoever pushes. Every field is a limit or a
 * habit known beforehand; what is not known is learnt (`upload-manner.ts`). A field that is absent means: nothing special.
 */
export interface Dialect {
  /** What `--dialect` calls it, and what the user is told. */
  readonly name: string;
  /** Hosts of the public service. */
  readonly hosts?: RegExp;
  /** Header fields of its answer to `GET /v2/`, any of which gives it away under another host. */
  readonly shows?: Readonly<Record<string, RegExp>>;
  /** `auto` begins with chunks. */
  readonly chunksFirst?: boolean;
  /** A session takes one PATCH: it cannot be gone on with, and chunks are not possible. */
  readonly onePatch?: boolean;
  /** Bytes of a chunk: at least (but for the last one), and at most. */
  readonly smallestChunk?: number;
  readonly largestChunk?: number;
  /** A session of several PATCHes is closed by a PUT that brings the last bytes; an empty one gets 500. */
  readonly lastChunkInPut?: boolean;
  /** `Range` falls behind what was stored: bytes that were confirmed by the answer to their PATCH are there. */
  readonly rangeLags?: boolean;
  /** Bytes of a layer. */
  readonly layerLimit?: number;
}

/** The specification and nothing else. */
export const standard: Dialect = { name: 'standard' };

/** Sources: registries.md in words; the threads named there; each service's quotas page. */
const dialects: readonly Dialect[] = [
  standard,
  {
    // aws/containers-roadmap#2831 (Range sticks, the last chunk in the PUT), dotnet/sdk-container-builds#424 (parts of
    // 5 MB), openai/tart#159; layers: the service's quotas.
    name: 'ecr',
    hosts: /(^|\.)dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(on\.aws|amazonaws\.com(\.cn)?)$/,
    shows: { 'www-authenticate': /service="ecr\.amazonaws\.com"/ },
    smallestChunk: 5 * mib,
    lastChunkInPut: true,
    rangeLags: true,
    layerLimit: 52_000 * mib,
  },
  {
    name: 'ecr-public',
    hosts: /(^|\.)public\.ecr\.aws$/,
    smallestChunk: 5 * mib,
    lastChunkInPut: true,
    rangeLags: true,
    layerLimit: 10_000 * mib,
  },
  {
    // oras-project/rust-oci-client#35, ocx-sh/ocx#237; "10 GB size limit for each layer", read as the larger unit.
    name: 'ghcr',
    hosts: /^(ghcr\.io|containers\.[a-z0-9-]+\.ghe\.com)$/,
    shows: { 'www-authenticate': /service="ghcr\.io"/, 'x-github-request-id': /./ },
    largestChunk: 4 * mib,
    layerLimit: 10 * gib,
  },
  {
    // dotnet/sdk-container-builds#287, kitops-ml/kitops#780: "does not support Docker chunked uploads".
    name: 'gar',
    hosts: /(^|\.)(pkg\.dev|gcr\.io)$/,
    onePatch: true,
  },
  {
    // Content-Range without unit, as everywhere here: dotnet/sdk-container-builds#258; layers: the service's tiers.
    name: 'acr',
    hosts: /\.azurecr\.(io|cn|us)$/,
    shows: { server: /^AzureContainerRegistry/i },
    layerLimit: 200 * gib,
  },
  {
    // quay/quay config.py MAXIMUM_LAYER_SIZE.
    name: 'quay',
    hosts: /^quay\.io$/,
    shows: { 'www-authenticate': /realm="[^"]*\/v2\/auth"/ },
    layerLimit: 20 * gib,
  },
  { name: 'harbor', shows: { 'www-authenticate': /service="harbor-registry"/ } },
  { name: 'artifactory', hosts: /\.jfrog\.io$/, shows: { 'x-jfrog-version': /./, 'x-artifactory-id': /./ } },
  { name: 'docker-hub', hosts: /^(registry-1\.|index\.)?docker\.io$/ },
  {
    // A proxy, not a registry: bodies of 100 MB in most of its plans, 413 or a reset beyond.
    name: 'cloudflare',
    shows: { 'cf-ray': /./, server: /^cloudflare/i },
    chunksFirst: true,
    largestChunk: 64 * mib,
  },
  {
    // Nodes that do not share their sessions: GoogleContainerTools/jib#3399, goharbor/harbor#10052.
    name: 'balancer',
    onePatch: true,
  },
];

/** distribution (registry/handlers/manifests.go), ACR and others: 4 MiB, the least that the specification wants taken. */
const manifestLimit = 4 * mib;

/** What a registry can hold, in bytes. */
export function limitsOf({ layerLimit }: Dialect): { layer?: number; manifest: number } {
  return { manifest: manifestLimit, ...(layerLimit === undefined ? {} : { layer: layerLimit }) };
}

export const dialectNames: readonly string[] = dialects.map(({ name }) => name);

/** How a dialect came to be chosen, in words. */
export interface ChosenDialect {
  dialect: Dialect;
  why: string;
}

/** The dialect of that name. @throws never for a name of {@link dialectNames}. */
export function dialectNamed(name: string): ChosenDialect {
  const dialect = dialects.find((each) => each.name === name);
  if (!dialect) throw new Error(`no dialect is called ${name}`);
  return { dialect, why: 'asked for' };
}

/** The dialect of a host that is known by name. @param host `host[:port]` */
export function dialectOfHost(host: string): ChosenDialect | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const dialect = dialects.find(({ hosts }) => hosts?.test(name));
  return dialect && { dialect, why: 'by its host name' };
}

/**
 * What a registry under any other name shows of itself. A proxy before it is seen as well, and what both of them
 * limit holds together.
 */
export function dialectShown(headers: Headers): ChosenDialect {
  const shown = dialects.filter(({ shows = {} }) =>
    Object.entries(shows).some(([name, value]) => value.test([headers[name] ?? ''].flat().join(', '))),
  );
  if (shown.length === 0) return { dialect: standard, why: 'nothing says otherwise' };
  const largestChunk = Math.min(...shown.map((each) => each.largestChunk ?? Number.POSITIVE_INFINITY));
  const name = shown.map((each) => each.name).join(' behind ');
  const limit = Number.isFinite(largestChunk) ? { largestChunk } : {};
  return { dialect: Object.assign({}, ...shown, { name }, limit), why: 'by its answers' };
}
