import { type Case, inTurn } from '../case.ts';
import { boxcar } from '../contenders/boxcar.ts';
import { startHub } from '../hub/start.ts';
import { ratio, summaryNamed } from '../spread.ts';
import { transfer } from '../transfer.ts';

/** 5,000 files of 10 KB, and a quarter of them. */
export const manyFiles: Case = {
  name: 'files',
  title: 'many small files',
  async run(bench) {
    const size = 10_000;
    const few = Math.ceil(1250 * bench.scale);
    const many = 4 * few;
    const nameOf = (files: number) => `boxcar, ${files} files`;
    using small = await startHub({ files: few, size });
    using large = await startHub({ files: many, size });
    const { rows, skipped } = await inTurn(
      bench,
      [small, large].map((hub) => ({
        ...boxcar,
        name: nameOf(hub.files.length),
        run: () => transfer(boxcar, bench.dir, { hub, workers: bench.options.workers }),
      })),
    );
    const [ofFew, ofMany] = [few, many].map((files) => summaryNamed(rows, nameOf(files)));
    return {
      setting: `${few} and ${many} files of ${size / 1000} KB, ${bench.options.workers} at a time.`,
      rows,
      goals: [
        {
          what: `${many.toLocaleString('en')} files`,
          bound: 'at most',
          limit: 60,
          unit: 's',
          value: ofMany?.wall.median,
        },
        {
          what: 'a file of these, of one of a quarter as many (linear: 1)',
          bound: 'at most',
          limit: 1.25,
          unit: 'times',
          value: ratio(ofMany?.wall.median, ofFew && 4 * ofFew.wall.median),
        },
      ],
      skipped,
    };
  },
};
