import { type Case, type Entrant, type Goal, inTurn } from '../case.ts';
import { boxcar } from '../contenders/boxcar.ts';
import { type BenchHub, startHub } from '../hub/start.ts';
import { summaryNamed } from '../spread.ts';
import { transfer } from '../transfer.ts';

const mib = 1024 * 1024;
const limitMib = (workers: number) => 120 + 12 * workers;

/** The most memory held: by workers, by the size of files and by their number. */
export const memory: Case = {
  name: 'memory',
  title: 'memory',
  async run(bench) {
    const size = Math.ceil((bench.options.sizeMib * mib) / 4);
    const many = Math.ceil(1250 * bench.scale);
    using few = await startHub({ files: 16, size });
    using larger = await startHub({ files: 4, size: 4 * size });
    using small = await startHub({ files: many, size: 10_000 });
    const told = (bytes: number) => `${Math.round(bytes / mib)} MiB`;
    const loads: { name: string; hub: BenchHub; workers: number }[] = [
      ...[1, 4, 16].map((workers) => ({
        name: `16 files of ${told(size)}, \`--workers ${workers}\``,
        hub: few,
        workers,
      })),
      { name: `4 files of ${told(4 * size)}, \`--workers 4\``, hub: larger, workers: 4 },
      { name: `${many} files of 10 KB, \`--workers 4\``, hub: small, workers: 4 },
    ];
    const { rows, skipped } = await inTurn(
      bench,
      loads.map(
        ({ name, hub, workers }): Entrant => ({
          ...boxcar,
          name,
          ...(hub !== small && { bytes: hub.bytes }),
          run: () => transfer(boxcar, bench.dir, { hub, workers }),
        }),
      ),
    );
    return {
      setting:
        "The most resident memory that boxcar's process has ever held (VmHWM), the most of all rounds.",
      rows,
      goals: loads.map(
        ({ name, workers }): Goal => ({
          what: `peak, ${name}`,
          bound: 'at most',
          limit: limitMib(workers),
          unit: 'MiB',
          value: summaryNamed(rows, name)?.peakMib,
        }),
      ),
      skipped,
    };
  },
};
