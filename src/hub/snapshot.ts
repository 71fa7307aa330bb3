import { listFiles, modelInfo } from '@huggingface/hub';
import { type ContentId, isContentId } from '../digest/content-id.ts';
import { BoxcarError, printable } from '../errors.ts';
import { findCommit } from './history.ts';
import { type Hub, hubFetch } from './hub.ts';
import type { ModelCard, ModelFile, Snapshot } from './model-file.ts';

/** The hub advises against more than 100,000 files in a repository. */
const mostFiles = 200_000;

export interface SnapshotOptions {
  /** Whether to ask what the hub's scanners say of each file: pages of 50 entries instead of 1,000. */
  scans?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * A model at a revision: its commit, and every file with size and content id. Metadata only.
 * @throws BoxcarError `not-found`, `unauthorized`, `hub-failed`; `content-mismatch` for a listing that makes no sense.
 */
export async function takeSnapshot(
  hub: Hub,
  model: string,
  revision: string,
  { scans = false, signal }: SnapshotOptions = {},
): Promise<Snapshot & { gated: boolean }> {
  try {
    return await snapshotOf(hub, model, revision, scans, signal);
  } catch (error) {
    if (error instanceof BoxcarError || signal?.aborted) throw error;
    // The library met an answer of another shape: not JSON, or not the fields it reads.
    throw new BoxcarError(`the hub's description of ${model} cannot be read: ${printable(String(error))}`, {
      code: 'hub-failed',
      side: 'hub',
      hint: `is ${hub.endpoint} a hub?`,
      cause: error,
    });
  }
}

async function snapshotOf(
  hub: Hub,
  model: string,
  revision: string,
  scans: boolean,
  signal: AbortSignal | undefined,
): Promise<Snapshot & { gated: boolean }> {
  const info = await resolveRevision(hub, model, revision, signal);
  const files: ModelFile[] = [];
  const fetch = hubFetch(hub, `the files of ${model} at ${info.sha.slice(0, 12)}`, Array.isArray, signal);
  for await (const entry of listFiles({
    repo: { type: 'model', name: model },
    revision: info.sha,
    recursive: true,
    expand: scans,
    hubUrl: hub.endpoint,
    fetch,
  })) {
    if (entry.type !== 'file') continue;
    if (files.length === mostFiles) throw nonsense(`${model} has more than ${mostFiles} files`);
    files.push(modelFile(entry));
  }
  checkWhole(files, info.filePaths, model);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    model,
    commit: info.sha,
    files,
    card: modelCard(info.cardData),
    gated: Boolean(info.gated),
  };
}

interface ResolvedRevision {
  sha: string;
  gated?: unknown;
  cardData?: unknown;
  /** All files, named without anything else about them. */
  filePaths: string[];
}

async function resolveRevision(
  hub: Hub,
  model: string,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<ResolvedRevision> {
  const ask = async (rev: string): Promise<ResolvedRevision> => {
    const fetch = hubFetch(hub, `${model} at revision ${rev}`, hasCommit, signal);
    const info = await modelInfo({
      name: model,
      revision: rev,
      additionalFields: ['sha', 'cardData', 'filePaths'],
      hubUrl: hub.endpoint,
      fetch,
    });
    const { sha, gated, cardData, filePaths } = info;
    return { sha, gated, cardData, filePaths };
  };
  try {
    return await ask(revision);
  } catch (error) {
    const shortened =
      error instanceof BoxcarError && error.code === 'not-found' && /^[0-9a-f]{4,39}$/i.test(revision);
    const commit = shortened ? await findCommit(hub, model, revision.toLowerCase(), signal) : undefined;
    if (!commit) throw error;
    return ask(commit);
  }
}

/** A mirror or proxy that drops the `Link` to the next page makes a listing shorter, and says nothing. */
function checkWhole(files: ModelFile[], paths: string[], model: string): void {
  const listed = new Set(files.map(({ path }) => path));
  const missing = paths.filter((path) => !listed.has(path)).length;
  if (missing === 0) return;
  throw new BoxcarError(`the hub's listing of ${model} lacks ${missing} of its ${paths.length} files`, {
    code: 'hub-failed',
    side: 'hub',
    hint: 'does a mirror or proxy between here and the hub drop the Link header?',
  });
}

function hasCommit(document: unknown): boolean {
  const sha = (document as { sha?: unknown } | null | undefined)?.sha;
  return typeof sha === 'string' && /^[0-9a-f]{40}$/.test(sha);
}

type Entry = Awaited<ReturnType<ReturnType<typeof listFiles>['next']>>['value'];

function modelFile(entry: NonNullable<Entry>): ModelFile {
  const { path, lfs, oid, xetHash, securityFileStatus: scan } = entry;
  const size = lfs?.size ?? entry.size;
  const contentId: ContentId = lfs ? `sha256:${lfs.oid.replace(/^sha256:/, '')}` : `git:${oid}`;
  if (typeof path !== 'string' || !Number.isSafeInteger(size) || size < 0 || !isContentId(contentId)) {
    throw nonsense(`a file without name, size or content id: ${JSON.stringify(printable(String(path)))}`);
  }
  return { path, size, contentId, ...(xetHash ? { xetHash } : {}), ...(scan === undefined ? {} : { scan }) };
}

function modelCard(data: unknown): ModelCard {
  const card = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? printable(value) : undefined);
  // `license` may be a list in old cards; the first counts.
  const license = text(Array.isArray(card.license) ? card.license[0] : card.license);
  const licenseName = text(card.license_name);
  return { ...(license ? { license } : {}), ...(licenseName ? { licenseName } : {}) };
}

function nonsense(what: string): BoxcarError {
  return new BoxcarError(`the hub's listing makes no sense: ${what}`, {
    code: 'content-mismatch',
    side: 'hub',
    hint: 'is HF_ENDPOINT a hub, or a mirror that keeps file ids?',
  });
}
