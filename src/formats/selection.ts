import picomatch from 'picomatch';
import { BoxcarError } from '../errors.ts';
import type { ModelFile } from '../hub/model-file.ts';

/** Which files of a model are published. */
export interface Filters {
  include: string[];
  exclude: string[];
}

const alwaysExcluded = '.gitattributes';

/**
 * The files that the patterns leave. Patterns match the whole path as the hub's own tools do (Python's fnmatch: `*`
 * crosses `/`); a trailing `/` means everything below, a bare `.json` every path that ends so.
 * @throws BoxcarError `usage` when nothing is left.
 */
export function selectFiles(files: ModelFile[], { include, exclude }: Filters): ModelFile[] {
  const included = include.length === 0 ? () => true : matcher(include);
  const excluded = matcher(include.includes(alwaysExcluded) ? exclude : [...exclude, alwaysExcluded]);
  const selected = files.filter(({ path }) => included(path) && !excluded(path));
  if (selected.length > 0) return selected;
  throw new BoxcarError(
    files.length === 0 ? 'the model has no files' : 'the filters leave none of the files',
    {
      code: 'usage',
      side: 'local',
      hint:
        files.length === 0
          ? 'is this the right revision?'
          : `of ${files.length} files, ${files.filter(({ path }) => included(path)).length} are included before --exclude; patterns match the whole path`,
    },
  );
}

function matcher(patterns: string[]): (path: string) => boolean {
  const globs = patterns.map((pattern) => {
    if (pattern.endsWith('/')) return `${pattern}**`;
    return /^\.[\w.]+$/.test(pattern) && pattern !== alwaysExcluded ? `*${pattern}` : pattern;
  });
  // `bash: true` makes a single star cross slashes.
  return globs.length === 0 ? () => false : picomatch(globs, { bash: true, dot: true });
}

/** `a,b{c,d}` -> `a`, `b{c,d}`: commas inside braces belong to the pattern. */
export function splitPatterns(text: string): string[] {
  return text
    .split(/,(?![^{]*\})/)
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '');
}
