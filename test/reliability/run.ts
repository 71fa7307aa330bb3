import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeBetweenMarks } from '../../bench/marks.ts';
import { tempDir } from '../support/temp-dir.ts';
import type { Tally } from './tally.ts';

/** Everything that `npm test` runs a short part of: `npm run test:long`, with `-- --write-docs` for the tables. */
const suites = ['test/reliability/**/*.test.ts', 'test/registry/conformance.test.ts'];
const { values } = parseArgs({ options: { 'write-docs': { type: 'boolean' } } });

const folder = tempDir();
const started = performance.now();
const child = spawn(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=1500000', ...suites],
  { stdio: 'inherit', env: { ...process.env, BOXCAR_TEST_LONG: '1', BOXCAR_TALLIES: folder } },
);
const [code] = await once(child, 'exit');

const tallies = readdirSync(folder)
  .sort()
  .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Tally);
const rows = tallies.map(({ what, result }) => `| ${what} | ${result} |`);
const table = ['| what was done | what came of it |', '|---|---|', ...rows].join('\n');
console.log(`\n${table}\n\nin ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
if (values['write-docs'] && code === 0) {
  console.log(writeBetweenMarks('README.md', 'reliability', table));
  for (const { page } of tallies) {
    const path = page && `docs/${page.name}.md`;
    if (page && path && existsSync(path)) console.log(writeBetweenMarks(path, page.name, page.text));
  }
}
process.exitCode = code ?? 1;
