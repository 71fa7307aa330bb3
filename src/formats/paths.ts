import { BoxcarError, printable } from '../errors.ts';

/** Bytes of one name, and of a whole path, that Linux takes (limits.h: NAME_MAX, PATH_MAX less some for where it is mounted). */
const longestName = 255;
const longestPath = 3072;
/** Directories above a file: each is an entry of 512 bytes before it in its layer. */
const deepest = 32;
/** More layers than a manifest of any registry can name: each takes 300 bytes of it. */
const mostLayers = 20_000;

/**
 * Refuses a listing whose paths could leave the image's model directory, or of which two would be one file there.
 * @throws BoxcarError `content-mismatch`: no such listing comes from an honest hub; `usage` for far too many files.
 */
export function checkPaths(paths: string[]): void {
  if (paths.length > mostLayers) throw tooMany(paths.length);
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
  // First of all: what follows would take its time.
  if (path.length > longestPath) return `has more than ${longestPath} characters`;
  if (path.includes('\0')) return 'holds a NUL';
  if (!path.isWellFormed()) return 'is no Unicode text';
  if (path.startsWith('/')) return 'is absolute';
  const segments = path.split('/');
  if (segments.includes('..')) return 'leaves its directory';
  if (segments.includes('.') || segments.includes('')) return 'has an empty segment or a single dot';
  if (segments.length > deepest) return `is more than ${deepest} directories deep`;
  if (segments.some((segment) => Buffer.byteLength(segment) > longestName))
    return `has a name of more than ${longestName} bytes, which no file system takes`;
  // It would remove a file of the layers below instead of being one (image-spec, layer.md, "Whiteouts").
  if (segments.some((segment) => segment.startsWith('.wh.'))) return 'is a whiteout in an image';
  return undefined;
}

function tooMany(files: number): BoxcarError {
  return new BoxcarError(`${files} files: no registry takes an image of more than ${mostLayers} layers`, {
    code: 'usage',
    side: 'local',
    hint: 'publish fewer files: --include, --exclude, --weights',
  });
}

function refused(path: string, why: string): BoxcarError {
  return new BoxcarError(`the hub lists a file whose path ${why}: ${JSON.stringify(printable(path))}`, {
    code: 'content-mismatch',
    side: 'hub',
    hint: 'nothing was published; leave the file out with --exclude if you trust the rest',
  });
}
