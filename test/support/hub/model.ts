import { createHash } from 'node:crypto';
import { type Content, contentOf, gitBlobId, sha256, virtualContent, virtualSha256 } from './content.ts';

/** A file as a test writes it down: bytes, or a virtual file of any size. `lfs` overrules the hub's threshold. */
export type FileSpec =
  | string
  | Uint8Array
  | { bytes: string | Uint8Array; lfs?: boolean; security?: string }
  | { size: number; seed: number; lfs?: boolean; security?: string };

export interface Commit {
  /** 40 hex digits. */
  id: string;
  title?: string;
  /** ISO 8601. */
  date?: string;
  /** Every file of this commit, not only those it changed. */
  files: Record<string, FileSpec>;
}

export interface Model {
  /** `org/name`. */
  name: string;
  /** Newest first. */
  commits: Commit[];
  /** Default: `main` at the newest commit. */
  branches?: Record<string, string>;
  /** Git tags. */
  tags?: Record<string, string>;
  private?: boolean;
  gated?: 'auto' | 'manual';
  cardData?: Record<string, unknown>;
  /** The labels the hub shows, `license:mit` and such. */
  modelTags?: string[];
  pipelineTag?: string;
  libraryName?: string;
}

/** A file as the hub keeps it. */
export interface StoredFile {
  path: string;
  content: Content;
  /** Git object id: of the content, or of the pointer file where the content is in LFS. */
  oid: string;
  lfs?: { oid: string; size: number; pointerSize: number };
  xetHash?: string;
  security: string;
}

export interface StoredCommit extends Required<Omit<Commit, 'files'>> {
  files: Map<string, StoredFile>;
}

export interface StoredModel extends Omit<Model, 'commits'> {
  commits: StoredCommit[];
}

export function storeModel(model: Model, lfsThreshold: number): StoredModel {
  // Most files are the same in most commits of a long history: they are hashed once.
  const stored = new Map<string, { spec: FileSpec; file: StoredFile }>();
  const store = (path: string, spec: FileSpec): StoredFile => {
    const before = stored.get(path);
    if (before?.spec === spec) return before.file;
    const file = storeFile(path, spec, lfsThreshold);
    stored.set(path, { spec, file });
    return file;
  };
  const commits = model.commits.map((commit) => ({
    id: commit.id,
    title: commit.title ?? `commit ${commit.id.slice(0, 7)}`,
    date: commit.date ?? '2025-01-01T00:00:00.000Z',
    files: new Map(
      Object.keys(commit.files)
        .sort()
        .map((path) => [path, store(path, commit.files[path] as FileSpec)]),
    ),
  }));
  return { ...model, commits };
}

/** The commit a branch, tag, full or abbreviated commit id stands for. */
export function findCommit(model: StoredModel, revision: string): StoredCommit | undefined {
  const main = model.branches?.main ?? model.commits[0]?.id;
  const named = new Map(Object.entries({ HEAD: main, main, ...model.tags, ...model.branches }));
  const id = named.get(revision) ?? (/^[0-9a-f]{7,40}$/.test(revision) ? revision : undefined);
  return id === undefined ? undefined : model.commits.find((commit) => commit.id.startsWith(id));
}

function storeFile(path: string, spec: FileSpec, lfsThreshold: number): StoredFile {
  const content = open(spec);
  const flags: { lfs?: boolean; security?: string } =
    typeof spec === 'string' || spec instanceof Uint8Array ? {} : spec;
  const security = flags.security ?? 'safe';
  if (!(flags.lfs ?? content.size >= lfsThreshold)) {
    return { path, content, oid: gitBlobId(content), security };
  }
  const oid = contentDigest(spec, content);
  const pointer = contentOf(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.size}\n`,
  );
  return {
    path,
    content,
    oid: gitBlobId(pointer),
    lfs: { oid, size: content.size, pointerSize: pointer.size },
    // Xet's real hash is a Merkle root that nobody here computes; it only has to be stable and look right.
    xetHash: createHash('sha256').update(`xet ${oid}`).digest('hex'),
    security,
  };
}

function open(spec: FileSpec): Content {
  if (typeof spec === 'string' || spec instanceof Uint8Array) return contentOf(spec);
  return 'bytes' in spec ? contentOf(spec.bytes) : virtualContent(spec.size, spec.seed);
}

/** The same buffer is often part of several commits and several hubs: hash it once. */
const digests = new WeakMap<object, string>();

function contentDigest(spec: FileSpec, content: Content): string {
  if (typeof spec === 'string') return sha256(content);
  if ('seed' in spec) return virtualSha256(spec.size, spec.seed);
  const digest = digests.get(spec) ?? sha256(content);
  digests.set(spec, digest);
  return digest;
}
