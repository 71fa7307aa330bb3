import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startRegistry } from '../../test/support/registries.ts';
import { type Case, type Goal, inTurn } from '../case.ts';
import { boxcar, program } from '../contenders/boxcar.ts';
import { startHub } from '../hub/start.ts';
import { measure } from '../measure.ts';
import { summaryNamed } from '../spread.ts';

/** Runs a round: these are short, and much else happens on a machine meanwhile. */
const repeats = 5;

/** How long until boxcar has said something. */
export const start: Case = {
  name: 'start',
  title: 'start',
  async run(bench) {
    const directory = mkdtempSync(join(bench.dir, 'boxcar-bench-'));
    try {
      using hub = await startHub({ files: 4, size: 100_000 });
      await using registry = await startRegistry({
        kind: 'distribution-3',
        storageDir: join(directory, 'registry'),
      });
      const dryRun = boxcar.command({
        hub,
        registryUrl: registry.url,
        caFile: undefined,
        workers: bench.options.workers,
        directory,
      });
      const version = { argv: [process.execPath, program, '--version'], env: {} };
      const entrants = [
        { ...boxcar, name: '`boxcar --version`', run: () => measure(version, directory) },
        {
          ...boxcar,
          name: '`boxcar push --dry-run`',
          run: () => measure({ ...dryRun, argv: [...dryRun.argv, '--dry-run'] }, directory),
        },
      ];
      const rounds = bench.options.rounds * repeats;
      const { rows, skipped } = await inTurn({ ...bench, options: { ...bench.options, rounds } }, entrants);
      const goal = (index: number, limit: number): Goal => ({
        what: entrants[index]?.name ?? '',
        bound: 'at most',
        limit,
        unit: 's',
        value: summaryNamed(rows, entrants[index]?.name ?? '')?.wall.median,
      });
      return {
        setting: `${rounds} runs of each; the model has 4 files, hub and registry answer at once.`,
        rows,
        goals: [goal(0, 0.15), goal(1, 0.5)],
        skipped,
      };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
