import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Replaces what stands between `<!-- mark -->` and `<!-- /mark -->`. @returns what was done, in words. */
export function writeBetweenMarks(path: string, mark: string, text: string): string {
  const begin = `<!-- ${mark} -->`;
  const end = `<!-- /${mark} -->`;
  if (!existsSync(path)) return `there is no ${path}: nothing written`;
  const page = readFileSync(path, 'utf8');
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) return `${path} has no ${begin} ... ${end}: nothing written`;
  writeFileSync(path, `${page.slice(0, from + begin.length)}\n${text.trim()}\n${page.slice(to)}`);
  return `${path} has the table now`;
}
