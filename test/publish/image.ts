import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSpec, Model } from '../support/hub/model.ts';
import { filesOf } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';

/** SHA-256 of each file, by path. */
export type Contents = Record<string, string>;

/** What skopeo copies out of `source` (it checks every digest) and tar unpacks, with the modes of everything. */
export function unpack(source: string, options: string[] = []): { files: Contents; modes: Set<string> } {
  const copy = tempDir();
  execFileSync('skopeo', ['copy', '--quiet', ...options, source, `dir:${copy}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const manifest = JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8'));
  const root = tempDir();
  const modes = new Set<string>();
  for (const { digest } of manifest.layers as { digest: string }[]) {
    const layer = join(copy, digest.replace('sha256:', ''));
    const listing = execFileSync('tar', ['--numeric-owner', '-tvf', layer], { encoding: 'utf8' });
    for (const line of listing.trimEnd().split('\n')) modes.add(line.split(/\s+/).slice(0, 2).join(' '));
    execFileSync('tar', ['-xf', layer, '-C', root]);
  }
  return { files: contentsOf(join(root, 'models')), modes };
}

/** Whether a program is on PATH. */
export function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The model's files as they should come out. */
export function contentsOfModel(model: Model): Contents {
  const files = Object.entries(filesOf(model)).filter(([path]) => path !== '.gitattributes');
  return sorted(Object.fromEntries(files.map(([path, file]) => [path, sha256(bytesOf(path, file))])));
}

function bytesOf(path: string, file: FileSpec): string | Uint8Array {
  if (typeof file === 'string' || file instanceof Uint8Array) return file;
  throw new Error(`${path} is not in memory`);
}

function contentsOf(folder: string): Contents {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const files = entries.map((entry) => join(entry.parentPath, entry.name));
  return sorted(
    Object.fromEntries(files.map((file) => [file.slice(folder.length + 1), sha256(readFileSync(file))])),
  );
}

function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function sorted(contents: Contents): Contents {
  return Object.fromEntries(Object.entries(contents).sort(([a], [b]) => (a < b ? -1 : 1)));
}
