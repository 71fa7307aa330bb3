import { type Authority, temporaryAuthority } from '../../test/support/tls.ts';
import { type Bench, type Case, type CaseResult, inTurn } from '../case.ts';
import { boxcarWith } from '../contenders/boxcar.ts';
import type { Contender } from '../contenders/contender.ts';
import { contenders } from '../contenders/contenders.ts';
import { startHub } from '../hub/start.ts';
import { ratio, type Summary, summaryNamed } from '../spread.ts';
import { transfer } from '../transfer.ts';

const gib = 1024 ** 3;
const other = 'hf+oras';
const unverified = boxcarWith('--no-verify-content');

/** Everybody, over plain http. */
export const speed: Case = {
  name: 'speed',
  title: 'large files, verified content',
  run: async (bench) => {
    const result = await compare(bench, wanted(bench));
    return { ...result, goals: goalsOf(result, 1.8) };
  },
};

export const unverifiedSpeed: Case = {
  name: 'unverified',
  title: 'the same, `--no-verify-content`',
  run: async (bench) => {
    const result = await compare(bench, [unverified]);
    return { ...result, goals: [cpuGoal(summaryNamed(result.rows, unverified.name), 1.3)] };
  },
};

/** Everybody, with TLS to the hub, to its CDN and to the registry. */
export const tlsSpeed: Case = {
  name: 'tls',
  title: 'the same over TLS on both sides, verified content',
  run: async (bench) => {
    const result = await compare(bench, wanted(bench), await temporaryAuthority());
    return { ...result, goals: goalsOf(result, 2.4) };
  },
};

function wanted({ options }: Bench): Contender[] {
  return contenders.filter(({ name }) => options.only?.includes(name) ?? true);
}

async function compare(
  bench: Bench,
  entrants: Contender[],
  authority?: Authority,
): Promise<Omit<CaseResult, 'goals'>> {
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

function goalsOf({ rows }: Omit<CaseResult, 'goals'>, cpuLimit: number): CaseResult['goals'] {
  const boxcar = summaryNamed(rows, 'boxcar');
  const base = summaryNamed(rows, other);
  return [
    {
      what: `wall time, of ${other}`,
      bound: 'at most',
      limit: 0.5,
      unit: 'times',
      value: ratio(boxcar?.wall.median, base?.wall.median),
    },
    cpuGoal(boxcar, cpuLimit),
  ];
}

function cpuGoal(boxcar: Summary | undefined, limit: number): CaseResult['goals'][number] {
  return { what: 'CPU time', bound: 'at most', limit, unit: 's/GiB', value: boxcar?.cpuPerGib?.median };
}
