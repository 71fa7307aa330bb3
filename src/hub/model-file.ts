import type { ContentId } from '../digest/content-id.ts';

/** One file of a model at a commit, as the hub lists it. */
export interface ModelFile {
  /** Path in the repository: relative, `/` between segments, no `.` or `..`. */
  path: string;
  /** Bytes. */
  size: number;
  contentId: ContentId;
  /** Hash of the Xet store that holds it, where it is there. */
  xetHash?: string;
  /** What the hub's scanners say of it, as the hub says it; only where it was asked for. */
  scan?: unknown;
}

/** A model at a commit: names and sizes, no content. */
export interface Snapshot {
  /** `org/name`. */
  model: string;
  /** 40 hex digits. */
  commit: string;
  /** Sorted by path. */
  files: ModelFile[];
  card: ModelCard;
}

/**
 * What the model card's front matter says at this commit. Nothing else of the hub's description is kept: tags,
 * downloads and even the task may change without a commit, and the image must not.
 */
export interface ModelCard {
  /** The hub's licence identifier, `apache-2.0` or `other`. */
  license?: string;
  /** The licence's own name where the identifier is `other`. */
  licenseName?: string;
}
