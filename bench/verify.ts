import { createHash } from 'node:crypto';
import { closeSync, createReadStream, globSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BenchFile } from './hub/content.ts';

const tarBlock = 512;

/**
 * Looks for every file of the model in a registry's storage, without the registry: as a blob of its own, or in a tar archive.
 * @param files all of one size.
 * @throws when one is not there, byte for byte.
 */
export async function verifyStored(storage: string, files: BenchFile[]): Promise<void> {
  const fileSize = files[0]?.size ?? 0;
  const found = new Set<string>();
  for (const blob of globSync('docker/registry/v2/blobs/sha256/*/*/data', { cwd: storage })) {
    const path = join(storage, blob);
    const { size } = statSync(path);
    if (size < fileSize) continue;
    const start = size === fileSize ? 0 : startInTar(path, size, fileSize);
    if (start !== undefined) found.add(await sha256(path, start, fileSize));
  }
  const missing = files.filter((file) => !found.has(file.sha256));
  if (missing.length > 0)
    throw new Error(`the registry does not have ${missing.map(({ path }) => path).join(', ')}`);
}

/** Where the first file of that size begins in a tar archive; undefined where there is none. */
function startInTar(path: string, size: number, fileSize: number): number | undefined {
  const archive = openSync(path, 'r');
  const header = Buffer.alloc(tarBlock);
  try {
    for (let at = 0; at + tarBlock + fileSize <= size; ) {
      readSync(archive, header, 0, tarBlock, at);
      const length = Number.parseInt(header.toString('latin1', 124, 136), 8);
      if (Number.isNaN(length)) return undefined;
      if (length === fileSize) return at + tarBlock;
      at += tarBlock + Math.ceil(length / tarBlock) * tarBlock;
    }
    return undefined;
  } finally {
    closeSync(archive);
  }
}

async function sha256(path: string, start: number, size: number): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { start, end: start + size - 1, highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
