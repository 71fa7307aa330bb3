import { BoxcarError, printable } from '../errors.ts';

/**
 * Refuses a listing whose paths could leave the image's model directory, or of which two would be one file there.
 * @throws BoxcarError `content-mismatch`: no such listing comes from an honest hub.
 */
export function checkPaths(paths: string[]): void {
  const seen = new Set<string>();
  const directories = new Set<string>();
  for (const path of paths) {
    const why = pathFault(path) ?? (seen.has(path) ? 'is listed twice' : undefined);
    if (why) throw refused(path, why);
    seen.add(path);
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
      directories.add(path.slice(0, at));
  }
  for (const path of paths)
    if (directories.has(path)) throw refused(path, 'is listed as a file and as a directory');
}

/** What is wrong with a relative path, if anything. */
export function pathFault(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.includes('\0')) return 'holds a NUL';
  if (!path.isWellFormed()) return 'is no Unicode text';
  if (path.startsWith('/')) return 'is absolute';
  const segments = path.split('/');
  if (segments.includes('..')) return 'leaves its directory';
  if (segments.includes('.') || segments.includes('')) return 'has an empty segment or a single dot';
  // It would remove a file of the layers below instead of being one (image-spec, layer.md, "Whiteouts").
  if (segments.some((segment) => segment.startsWith('.wh.'))) return 'is a whiteout in an image';
  return undefined;
}

function refused(path: string, why: string): BoxcarError {
  return new BoxcarError(`the hub lists a file whose path ${why}: ${JSON.stringify(printable(path))}`, {
    code: 'content-mismatch',
    side: 'hub',
    hint: 'nothing was published; leave the file out with --exclude if you trust the rest',
  });
}
