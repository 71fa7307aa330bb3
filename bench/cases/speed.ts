import { type Authority, temporaryAuthority } from '../../test/support/tls.ts';
import { type Bench, type Case, type CaseResult, inTurn } from '../case.ts';
import { boxcarWith } from '../contenders/boxcar.ts';
import type { Contender } from '../contenders/contender.ts';
import { contenders } from '../contenders/contenders.ts';
import { startHub } from '../hub/start.ts';
import { ratio, summaryNamed } from '../spread.ts';
import { transfer } from '../transfer.ts';

type Measured = Omit<CaseResult, 'goals'>;

const gib = 1024 ** 3;
const other = 'hf+oras';
/** Every machine takes its own time: what the goals in seconds come to beside this is the same on all of them. */
const yardstick = 'naive-node';
const unverified = boxcarWith('--no-verify-content');

/** Everybody, over plain http. */
export const speed: Case = {
  name: 'speed',
  title: 'large files, verified content',
  run: async (bench) => {
    const result = await compare(bench, wanted(bench));
    return { ...result, goals: goalsOf(result, 1.8, 2.5) };
  },
};

export const unverifiedSpeed: Case = {
  name: 'unverified',
  title: 'the same, `--no-verify-content`',
  run: async (bench) => {
    const beside = contenders.filter(({ name }) => name === yardstick);
    const result = await compare(bench, [unverified, ...beside]);
    return { ...result, goals: cpuGoals(result, unverified.name, 1.3, 2.5) };
  },
};

/** Everybody, with TLS to the hub, to its CDN and to the registry. */
export const tlsSpeed: Case = {
  name: 'tls',
  title: 'the same over TLS on both sides, verified content',
  run: async (bench) => {
    const result = await compare(bench, wanted(bench), await temporaryAuthority());
    return { ...result, goals: goalsOf(result, 2.4, 3.9) };
  },
};

function wanted({ options }: Bench): Contender[] {
  return contenders.filter(({ name }) => options.only?.includes(name) ?? true);
}

async function compare(bench: Bench, entrants: Contender[], authority?: Authority): Promise<Measured> {
  const { files, sizeMib, workers } = bench.options;
  using hub = await startHub({ files, size: sizeMib * 1024 * 1024, ...(authority && { tls: authority }) });
  const before = await hub.cpuSeconds();
  const { rows, skipped } = await inTurn(
    bench,
    entrants.map((contender) => ({
      ...contender,
      bytes: hub.bytes,
      // Others change with their versions; without boxcar there is nothing to tell.
      mayFail: !contender.name.startsWith('boxcar'),
      run: () => transfer(contender, bench.dir, { hub, workers, ...(authority && { authority }) }),
    })),
  );
  const served = rows.reduce((sum, { runs }) => sum + (runs.length * hub.bytes) / gib, 0);
  const cost = ((await hub.cpuSeconds()) - before) / served;
  return {
    setting:
      `${files} files of ${sizeMib} MiB, ${workers} at a time.` +
      (served ? ` The hub, on the same cores and in no row, used ${cost.toFixed(2)} CPU s/GiB.` : ''),
    rows,
    skipped,
  };
}

function goalsOf(result: Measured, cpuLimit: number, yardstickThere: number): CaseResult['goals'] {
  const boxcar = summaryNamed(result.rows, 'boxcar');
  const base = summaryNamed(result.rows, other);
  return [
    {
      what: `wall time, of ${other}`,
      bound: 'at most',
      limit: 0.5,
      unit: 'times',
      value: ratio(boxcar?.wall.median, base?.wall.median),
    },
    ...cpuGoals(result, 'boxcar', cpuLimit, yardstickThere),
  ];
}

/** @param yardstickThere CPU s/GiB of the yardstick on the machine that the limit was set on. */
function cpuGoals(
  { rows }: Measured,
  name: string,
  limit: number,
  yardstickThere: number,
): CaseResult['goals'] {
  const cpu = summaryNamed(rows, name)?.cpuPerGib?.median;
  const beside = summaryNamed(rows, yardstick)?.cpuPerGib?.median;
  return [
    { what: 'CPU time', bound: 'at most', limit, unit: 's/GiB', value: cpu },
    {
      what: `the same beside ${yardstick}, which took ${yardstickThere} s/GiB where the goal was set`,
      bound: 'at most',
      limit: Math.round((limit / yardstickThere) * 100) / 100,
      unit: 'times',
      value: ratio(cpu, beside),
    },
  ];
}
