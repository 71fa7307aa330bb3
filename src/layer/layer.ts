import type { ContentId } from '../digest/content-id.ts';
import { trailerSize } from './tar.ts';

/** The bytes of one file from an offset on, in order; a piece is valid until the next one is asked for. */
export type OpenFile = (from: number, signal?: AbortSignal) => AsyncIterable<Uint8Array>;

/** One file in its tar archive: what is known of a layer before any of its bytes is read. */
export interface LayerPlan {
  /** Path in the model's repository. */
  path: string;
  /** Path in the archive, and so in the image: `models/config.json`. */
  name: string;
  contentId: ContentId;
  /** Bytes of the file. */
  fileSize: number;
  /** The archive up to the file's first byte; a multiple of 512 bytes. */
  header: Uint8Array;
}

/** Size of the whole layer in bytes. */
export function layerSize(plan: LayerPlan): number {
  return plan.header.length + plan.fileSize + trailerSize(plan.fileSize);
}

/**
 * The bytes of a layer from `from` on: `header + file + padding and trailer`. For any offset the same bytes as the tail
 * of the layer opened at 0, so that going on after a failure is opening at another offset.
 */
export async function* openLayer(
  plan: LayerPlan,
  from: number,
  openFile: OpenFile,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const fileStart = plan.header.length;
  const fileEnd = fileStart + plan.fileSize;
  if (from < fileStart) yield plan.header.subarray(from);
  if (from < fileEnd) yield* openFile(Math.max(0, from - fileStart), signal);
  const end = Buffer.alloc(layerSize(plan) - Math.max(from, fileEnd));
  if (end.length > 0) yield end;
}
