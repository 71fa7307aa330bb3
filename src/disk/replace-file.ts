import { randomUUID } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Gives a file new content, whole or not at all: a temporary name beside it, synced, renamed. On a full disk the old
 * content stays (a single `write` may then take a part of the bytes and say so only by its count).
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** The same before it returns, and not synced: safe from the end of the process, not from that of the machine. */
export function replaceFileNow(path: string, content: string, mode: number): void {
  const temporary = temporaryName(path);
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(file, Buffer.from(content));
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes what processes that were killed between the two names have left. Only for one who has the file's lock. */
export async function sweepTemporary(path: string): Promise<void> {
  const start = `${basename(path)}.`;
  const left = (await readdir(dirname(path))).filter(
    (name) => name.startsWith(start) && /^[0-9a-f-]{36}\.tmp$/.test(name.slice(start.length)),
  );
  for (const name of left) await rm(join(dirname(path), name), { force: true });
}

function temporaryName(path: string): string {
  return `${path}.${randomUUID()}.tmp`;
}
