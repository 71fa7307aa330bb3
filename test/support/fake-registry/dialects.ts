const mib = 1024 * 1024;

/** How a registry behaves where registries differ (registries.md, "Dialects"), as data. */
export interface Dialect {
  /** What a session has when the connection of its PATCH was cut: the bytes that came, or no session any more. */
  afterCut: 'kept' | 'lost';
  patchStatus: 200 | 201 | 202 | 204;
  /** `Range` of a PATCH's answer: all bytes so far, stuck at the first PATCH's (ECR), of that PATCH alone (zot). */
  patchRange: 'all' | 'first' | 'own';
  /** `elsewhere`: on another origin, an object store's. */
  locations: 'absolute' | 'relative' | 'elsewhere';
  /** Whether Locations have a query, new after every answer; a query that comes back altered is refused. */
  query: boolean;
  /** Whether a Location that is not the newest any more works, or destroys the session (distribution 2.8). */
  oldLocation: 'works' | 'destroys';
  /** Whether the answer of a PATCH names the next Location. */
  patchLocation: boolean;
  contentRange: 'optional' | 'required' | 'refused';
  /** Whether a Content-Range that starts elsewhere is refused with 416, or its bytes appended (distribution 2.8). */
  wrongStart: 'refused' | 'appended';
  /** A PATCH with Content-Range and more bytes gets 416. */
  chunkLimit: number;
  /** `OCI-Chunk-Min-Length` of the session; a smaller chunk that is not the last makes the closing PUT fail. */
  chunkMinimum: number;
  /** The same, unsaid (ECR's parts of 5 MB; the tests' are smaller). */
  partMinimum: number;
  /** PATCHes that a session takes; a further one gets 400. */
  patches: number;
  /** Every so many PATCHes of a session one goes to a node that does not know it. 0: none. */
  astrayEvery: number;
  /** What one request may have; a proxy answers a larger one, or resets its connection. */
  bodyLimit: { bytes: number; answer: 'status 413' | 'reset' };
  /** What an empty closing PUT of a session of several PATCHes gets. */
  closeAfterParts: 'status 201' | 'status 500' | 'status 500, stored';
  closeStatus: 200 | 201 | 202 | 204;
  getStatus: 204 | 404 | 405 | 500;
  canDelete: boolean;
  /** So many closing PUTs are refused with DIGEST_INVALID. */
  refuseDigests: number;
  /** In so many sessions the first byte is stored wrongly. */
  flipBytes: number;
  /** Digest that a blob's closing PUT and a manifest's PUT report. */
  reportedDigest: 'right' | 'other' | 'none';
  headBlob: 200 | 307;
}

const plain: Dialect = {
  afterCut: 'kept',
  patchStatus: 202,
  patchRange: 'all',
  locations: 'absolute',
  query: true,
  oldLocation: 'works',
  patchLocation: true,
  contentRange: 'optional',
  wrongStart: 'refused',
  chunkLimit: Number.POSITIVE_INFINITY,
  chunkMinimum: 0,
  partMinimum: 0,
  patches: Number.POSITIVE_INFINITY,
  astrayEvery: 0,
  bodyLimit: { bytes: Number.POSITIVE_INFINITY, answer: 'status 413' },
  closeAfterParts: 'status 201',
  closeStatus: 201,
  getStatus: 204,
  canDelete: true,
  refuseDigests: 0,
  flipBytes: 0,
  reportedDigest: 'right',
  headBlob: 200,
};

export const dialects = {
  distribution3: plain,
  distribution28: { ...plain, afterCut: 'lost', oldLocation: 'destroys', wrongStart: 'appended' },
  zot: { ...plain, afterCut: 'lost', patchRange: 'own', locations: 'relative', query: false },
  ecr: {
    ...plain,
    patchStatus: 201,
    patchRange: 'first',
    closeAfterParts: 'status 500',
    partMinimum: mib,
  },
  ghcr: { ...plain, afterCut: 'lost', locations: 'relative', query: false, chunkLimit: 4 * mib },
  gar: { ...plain, afterCut: 'lost', locations: 'elsewhere', patches: 1, getStatus: 404, headBlob: 307 },
  acr: { ...plain, locations: 'relative', headBlob: 307 },
  quay: { ...plain, query: false, headBlob: 307 },
  cloudflare: { ...plain, bodyLimit: { bytes: 3 * mib, answer: 'status 413' } },
  cloudflareReset: { ...plain, bodyLimit: { bytes: 3 * mib, answer: 'reset' } },
  balancer: { ...plain, afterCut: 'lost', astrayEvery: 2 },
} satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;
