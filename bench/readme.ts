import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const begin = '<!-- bench -->';
const end = '<!-- /bench -->';

/** Replaces what stands between the bench's marks. @returns what was done, in words. */
export function writeIntoReadme(path: string, text: string): string {
  if (!existsSync(path)) return `there is no ${path}: nothing written`;
  const readme = readFileSync(path, 'utf8');
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end, from);
  if (from < 0 || to < 0) return `${path} has no ${begin} ... ${end}: nothing written`;
  writeFileSync(path, `${readme.slice(0, from + begin.length)}\n${text.trim()}\n${readme.slice(to)}`);
  return `${path} has the table now`;
}
