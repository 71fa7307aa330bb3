/**
 * `npm run bench`: boxcar beside what else brings a model from a hub into a registry, in turn, round after round. The hub is
 * a process of its own; the registry is a real one, new and empty for each run. See --help.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from '../test/support/exit.ts';
import { startRegistry } from '../test/support/registries.ts';
import { type Contender, contenders } from './contenders/contenders.ts';
import { type BenchHub, startHub } from './hub/start.ts';
import { writeBetweenMarks } from './marks.ts';
import { type Measured, measure } from './measure.ts';
import { type BenchOptions, readOptions, usage } from './options.ts';
import { type Entry, makeReport, type Skipped, tableOf } from './report.ts';
import { benchReuse } from './reuse/reuse.ts';
import { verifyStored } from './verify.ts';

try {
  const options = readOptions(process.argv.slice(2));
  if (options?.cases.includes('speed')) await benchSpeed(options);
  if (options?.cases.includes('reuse')) tell(await benchReuse(options.dir ?? tmpdir()), 'reuse', options);
  if (!options) console.log(usage);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function benchSpeed(options: BenchOptions): Promise<void> {
  const wanted = contenders.filter(({ name }) => options.only?.includes(name) ?? true);
  const skipped: Skipped[] = wanted.flatMap((contender) => {
    const why = contender.missing();
    return why === undefined ? [] : [{ name: contender.name, why }];
  });
  for (const { name, why } of skipped) console.error(`skipped: ${name}, ${why}`);
  const present = wanted.filter(({ name }) => !skipped.some((other) => other.name === name));
  const entries: Entry[] = present.map(({ name }) => ({ name, runs: [] }));
  const dir = options.dir ?? tmpdir();

  using hub = await startHub(options.files, options.sizeMib * 1024 * 1024);
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, contender] of present.entries()) {
      const run = await runOnce(contender, hub, options.workers, dir);
      entries[index]?.runs.push(run);
      const peak = run.peakBytes === undefined ? '' : `, ${Math.round(run.peakBytes / 1024 / 1024)} MiB`;
      console.error(
        `round ${round}: ${contender.name} ${run.wallSeconds.toFixed(2)} s, ${run.cpuSeconds.toFixed(2)} s CPU${peak}`,
      );
    }
  }

  const report = makeReport(options, dir, entries, skipped);
  if (options.json) console.log(JSON.stringify(report, undefined, 2));
  else tell(tableOf(report), 'bench', options);
}

/** @param mark where it belongs in README.md. */
function tell(table: string, mark: string, { writeReadme }: BenchOptions): void {
  console.log(table);
  if (writeReadme) console.error(writeBetweenMarks(join(import.meta.dirname, '../README.md'), mark, table));
}

/** One run of one contender, with a registry of its own. @throws when the registry does not have the model afterwards. */
async function runOnce(contender: Contender, hub: BenchHub, workers: number, dir: string): Promise<Measured> {
  const folder = mkdtempSync(join(dir, 'boxcar-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const callOff = atExit(remove);
  try {
    const storageDir = join(folder, 'registry');
    const directory = join(folder, 'home');
    mkdirSync(directory);
    await using registry = await startRegistry({ kind: 'distribution-3', storageDir });
    const job = { hub, registry: registry.host, workers, directory };
    const measured = await measure(contender.command(job), directory);
    await verifyStored(storageDir, hub.files);
    return measured;
  } finally {
    remove();
    callOff();
  }
}
