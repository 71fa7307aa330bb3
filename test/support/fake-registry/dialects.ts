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
  /** `307`: HEAD and GET of a blob are sent on to its storage. */
  headBlob: 200 | 307;
  /** Whether GET of a blob honours Range, or gives the whole. */
  blobRanges: boolean;
  /**
   * What a POST with `mount` and `from` does: mounts; mounts only what a manifest of the source refers to (ECR with blob
   * mounting); opens a session as if nothing had been asked for; is refused with 405.
   */
  mounts: 'yes' | 'referenced' | 'ignored' | 'refused';
  /** `all at once`: in no order, whatever `n` and `last` say (distribution 2.8). `refused`: 405. */
  tagsList: 'yes' | 'all at once' | 'refused';
  /** Most tags on a page, whatever `n` says. */
  tagsPage: number;
  /** How a page names the next: by its last tag, relatively or with its origin, or by a token of its own (Quay). */
  tagsNext: 'relative' | 'absolute' | 'token';
  /**
   * What DELETE of a manifest takes: tags and digests, a digest with all of its tags; only digests, so that a tag gets
   * 400 (distribution 2.8); tags, and digests without any (Google); nothing, so that everything gets 405.
   */
  deletes: 'tags and digests' | 'digests' | 'untagged digests' | 'refused';
  /** Whether a tag that is there is refused for other bytes, in ECR's words. */
  immutableTags: boolean;
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
  blobRanges: true,
  mounts: 'yes',
  tagsList: 'yes',
  tagsPage: Number.POSITIVE_INFINITY,
  tagsNext: 'relative',
  deletes: 'tags and digests',
  immutableTags: false,
};

export const dialects = {
  distribution3: plain,
  distribution28: {
    ...plain,
    afterCut: 'lost',
    oldLocation: 'destroys',
    wrongStart: 'appended',
    tagsList: 'all at once',
    deletes: 'digests',
  },
  zot: { ...plain, afterCut: 'lost', patchRange: 'own', locations: 'relative', query: false },
  ecr: {
    ...plain,
    patchStatus: 201,
    patchRange: 'first',
    closeAfterParts: 'status 500',
    partMinimum: mib,
    headBlob: 307,
    // Blob mounting is a setting of the registry, off unless somebody turns it on.
    mounts: 'ignored',
    tagsPage: 1000,
    tagsNext: 'absolute',
  },
  // Images are deleted through GitHub's own API (podman-container-tools/skopeo#1880).
  ghcr: {
    ...plain,
    afterCut: 'lost',
    locations: 'relative',
    query: false,
    chunkLimit: 4 * mib,
    headBlob: 307,
    tagsPage: 100,
    deletes: 'refused',
  },
  // GOOGLE_MANIFEST_DANGLING_TAG (genuinetools/reg#136).
  gar: {
    ...plain,
    afterCut: 'lost',
    locations: 'elsewhere',
    patches: 1,
    getStatus: 404,
    headBlob: 307,
    deletes: 'untagged digests',
  },
  // No deletion by tag (fluxcd/pkg#328).
  acr: { ...plain, locations: 'relative', headBlob: 307, tagsPage: 100, deletes: 'digests' },
  quay: { ...plain, query: false, headBlob: 307, tagsPage: 100, tagsNext: 'token' },
  cloudflare: { ...plain, bodyLimit: { bytes: 3 * mib, answer: 'status 413' } },
  cloudflareReset: { ...plain, bodyLimit: { bytes: 3 * mib, answer: 'reset' } },
  balancer: { ...plain, afterCut: 'lost', astrayEvery: 2 },
} satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;
