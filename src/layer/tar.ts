import { once } from 'node:events';
import { pack } from 'tar-stream';

/** A tar archive is made of these; every header and every file's end is padded to a whole one (POSIX.1-1988, ustar). */
const blockSize = 512;

/** Zero bytes after a file's last: padding to a whole block, then the two blocks that end an archive. */
export function trailerSize(fileSize: number): number {
  return ((blockSize - (fileSize % blockSize)) % blockSize) + 2 * blockSize;
}

/**
 * Everything of the archive before the file's first byte: an entry for each parent directory (0755), then the file's
 * own (0644); owner 0:0, mtime 0. Names that ustar cannot hold (non-ASCII, or over 100 bytes and not to be split) get a
 * PAX header; a size over 8 GiB is base-256 in the ustar header, because Clair ignores PAX sizes.
 *
 * @param name path in the archive, relative: `models/config.json`.
 * @param size bytes of the file.
 */
export async function tarHeader(name: string, size: number): Promise<Buffer> {
  const archive = pack();
  const common = { uid: 0, gid: 0, mtime: new Date(0) };
  for (const directory of parents(name)) {
    archive.entry({ ...common, name: directory, type: 'directory', mode: 0o755 });
  }
  const entry = archive.entry({ ...common, name, size, type: 'file', mode: 0o644 });
  // The entry is never given its bytes, only its header is wanted: destroying it is an error to tar-stream alone.
  entry.on('error', () => {});
  archive.on('error', () => {});
  await once(archive, 'readable');
  const blocks: Buffer[] = [];
  for (let block = archive.read() as Buffer | null; block; block = archive.read() as Buffer | null)
    blocks.push(block);
  archive.destroy();
  return Buffer.concat(blocks);
}

/** `a/b/c` -> `a/`, `a/b/`. */
function parents(name: string): string[] {
  const segments = name.split('/');
  return segments.slice(1).map((_, depth) => `${segments.slice(0, depth + 1).join('/')}/`);
}
