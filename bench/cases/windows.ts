import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Case, inTurn } from '../case.ts';
import { boxcar } from '../contenders/boxcar.ts';
import { startHub } from '../hub/start.ts';
import { measure } from '../measure.ts';
import { ratio, summaryOf } from '../spread.ts';
import { transfer } from '../transfer.ts';

const megabyte = 1e6;
const limits = { connection: 40 * megabyte, link: 320 * megabyte };
const single = 'curl, one connection, a quarter of the file';

/** One file of 1.6 GB, over connections that are slower than the link. */
export const windows: Case = {
  name: 'windows',
  title: 'one file, each connection limited',
  async run(bench) {
    const size = Math.ceil(1600 * megabyte * bench.scale);
    const quarter = Math.ceil(size / 4);
    using hub = await startHub({ files: 1, size, limits });
    const { rows, skipped } = await inTurn(bench, [
      {
        ...boxcar,
        bytes: size,
        run: () => transfer(boxcar, bench.dir, { hub, workers: bench.options.workers }),
      },
      {
        name: single,
        bytes: quarter,
        run: async () => {
          const directory = mkdtempSync(join(bench.dir, 'boxcar-bench-'));
          const url = `${hub.cdnUrl}/${hub.files[0]?.path}`;
          const argv = ['curl', '-sSf', '-r', `0-${quarter - 1}`, '-o', '/dev/null', url];
          try {
            return await measure({ argv, env: {} }, directory);
          } finally {
            rmSync(directory, { recursive: true });
          }
        },
      },
    ]);
    const rates = rows.map((row) => {
      const rate = (row.bytes ?? 0) / summaryOf(row).wall.median;
      row.remark = `${(rate / megabyte).toFixed(0)} MB/s`;
      return rate;
    });
    const [fast, slow] = rows.length === 2 ? rates : [];
    return {
      setting:
        `A file of ${(size / megabyte).toFixed(0)} MB; the hub gives each connection ${limits.connection / megabyte} MB/s ` +
        `and all of them ${limits.link / megabyte} MB/s.`,
      rows,
      goals: [
        {
          what: 'rate, of a single connection',
          bound: 'at least',
          limit: 6,
          unit: 'times',
          value: ratio(fast, slow),
        },
      ],
      skipped,
    };
  },
};
