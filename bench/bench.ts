/**
 * `npm run bench`: boxcar beside what else brings a model from a hub into a registry, and what it shall reach. The hub is a
 * process of its own; the registry is a real one, new and empty for each run. See --help, and NOTES.md for how it measures.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench, Case, CaseResult } from './case.ts';
import { cases } from './cases/cases.ts';
import { writeBetweenMarks } from './marks.ts';
import { type BenchOptions, readOptions, usage } from './options.ts';
import { plotOf } from './plot.ts';
import { caseTable, goalsTable, makeReport, type Report } from './report.ts';
import { benchReuse } from './reuse/reuse.ts';

const checkout = join(import.meta.dirname, '..');

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await bench(options);
  else console.log(usage);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function bench(options: BenchOptions): Promise<void> {
  const tell = (line: string) => console.error(line);
  const run: Bench = { options, dir: options.dir ?? tmpdir(), scale: options.scale, tell };
  const results: [Case, CaseResult][] = [];
  for (const each of cases.filter(({ name }) => options.cases.includes(name))) {
    tell(`${each.name}:`);
    results.push([each, await each.run(run)]);
  }
  const report = makeReport(run, results);
  if (options.json) console.log(JSON.stringify(report, undefined, 2));
  else if (results.length > 0) console.log([goalsTable(report), ...report.cases.map(caseTable)].join('\n'));
  if (options.writeReadme) write(report, tell);

  if (!options.cases.includes('reuse')) return;
  tell('reuse:');
  const reuse = await benchReuse(run.dir);
  if (!options.json) console.log(reuse);
  if (options.writeReadme) tell(writeBetweenMarks(join(checkout, 'README.md'), 'reuse', reuse));
}

/** The table is of one run of all cases, or it is not written. */
function write(report: Report, tell: Bench['tell']): void {
  if (report.cases.length === 0) return;
  if (report.cases.length < cases.length) {
    tell("README's table wants all cases in one run: nothing written");
    return;
  }
  const tables = report.cases.map((each) => [each.name, caseTable(each)] as const);
  const plot = '![Wall and CPU time of boxcar beside others](docs/speed.svg)';
  const more =
    'Everything that was measured is in [docs/speed.md](docs/speed.md), how to repeat it in [bench/README.md](bench/README.md).';
  const page = [goalsTable(report), plot, '', Object.fromEntries(tables).speed ?? '', more].join('\n');
  tell(writeBetweenMarks(join(checkout, 'README.md'), 'bench', page));
  const all = [report.setting, '', ...tables.map(([, table]) => table)].join('\n');
  tell(writeBetweenMarks(join(checkout, 'docs/speed.md'), 'bench', all));
  writeFileSync(join(checkout, 'docs/speed.svg'), plotOf(report));
}
