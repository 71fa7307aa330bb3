import { createHash } from 'node:crypto';
import { createReadStream, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BenchFile } from './hub/content.ts';

/** What a tar archive has behind a file whose size is a multiple of 512: its two closing blocks. */
const tarEnd = 1024;

/**
 * Looks for every file of the model in a registry's storage, without the registry: as a blob of its own, or as the last
 * file of a tar archive.
 * @throws when one is not there, byte for byte.
 */
export async function verifyStored(storage: string, files: BenchFile[]): Promise<void> {
  const found = new Set<string>();
  for (const blob of globSync('docker/registry/v2/blobs/sha256/*/*/data', { cwd: storage })) {
    const path = join(storage, blob);
    const { size } = statSync(path);
    for (const fileSize of new Set(files.map((file) => file.size))) {
      if (size < fileSize) continue;
      const start = size === fileSize ? 0 : size - fileSize - tarEnd;
      found.add(await sha256(path, start, fileSize));
    }
  }
  const missing = files.filter((file) => !found.has(file.sha256));
  if (missing.length > 0)
    throw new Error(`the registry does not have ${missing.map(({ path }) => path).join(', ')}`);
}

async function sha256(path: string, start: number, size: number): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { start, end: start + size - 1, highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
