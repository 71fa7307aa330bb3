import { BoxcarError } from '../errors.ts';
import type { Plan } from '../formats/modelcar.ts';
import { FileReader } from '../hub/file-reader.ts';
import type { Hub } from '../hub/hub.ts';
import type { ModelFile, Snapshot } from '../hub/model-file.ts';
import { PrefetchBudget } from '../hub/prefetch.ts';
import type { OpenModelFile } from './transfer.ts';

const mib = 1024 * 1024;

/** How the files of a snapshot are read. @param workers files that are read at a time. */
export function fileOpener(hub: Hub, snapshot: Snapshot, workers: number): OpenModelFile {
  // What is fetched ahead, all files together.
  const budget = new PrefetchBudget((24 + 6 * workers) * mib);
  const files = new Map<string, ModelFile>(snapshot.files.map((file) => [file.path, file]));
  return ({ path }, { onRead, onRetry }) => {
    const file = files.get(path) as ModelFile;
    const reader = new FileReader(hub, snapshot, file, budget, {
      patience: { ...hub.patience, onRetry },
      onRead,
    });
    return (from, signal) => reader.open(from, signal);
  };
}

/** Of a gated model everyone may read the listing: one byte of a file shows whether the files may be read. */
export async function probe(
  openFile: OpenModelFile,
  { layers }: Plan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const layer = layers.find(({ fileSize }) => fileSize > 0);
  if (!layer) return;
  await firstPiece(openFile, layer.path, layer.fileSize - 1, signal).catch((error: unknown) => {
    // They may be read; whether they are right is seen when they are.
    if (!(error instanceof BoxcarError && error.code === 'content-mismatch')) throw error;
  });
}

/** The first bytes from an offset on. */
export async function firstPiece(
  openFile: OpenModelFile,
  path: string,
  from: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<Uint8Array> {
  for await (const piece of openFile({ path }, { onRead() {}, onRetry() {} })(from, signal))
    return Buffer.from(piece.subarray(0, 16));
  return Buffer.alloc(0);
}
