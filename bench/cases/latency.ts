import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { type Bench, type Case, type Entrant, type Goal, inTurn } from '../case.ts';
import { boxcar, missingOption } from '../contenders/boxcar.ts';
import type { Job } from '../contenders/contender.ts';
import { startDelay } from '../delay/start.ts';
import { type BenchHub, startHub } from '../hub/start.ts';
import type { Measured } from '../measure.ts';
import { ratio, summaryNamed } from '../spread.ts';
import { transfer } from '../transfer.ts';

const megabyte = 1e6;
const roundTrips = [0, 80, 160];
const nameOf = (workers: Job['workers'], roundTripMs: number) =>
  `\`--workers ${workers}\`, ${roundTripMs} ms`;

/** 100 files of 1 MB, with hub and registry far away. */
export const latency: Case = {
  name: 'latency',
  title: 'hub and registry 80 ms away',
  async run(bench) {
    const files = Math.ceil(100 * bench.scale);
    using hub = await startHub({ files, size: megabyte });
    const { rows, skipped } = await inTurn(
      bench,
      ([bench.options.workers, 'auto'] as const).flatMap((workers) =>
        roundTrips.map((roundTripMs) => entrant(bench, hub, workers, roundTripMs)),
      ),
    );
    const goals = ([bench.options.workers, 'auto'] as const).map((workers): Goal => {
      const near = summaryNamed(rows, nameOf(workers, 0));
      const far = summaryNamed(rows, nameOf(workers, 80));
      const what = `time at 80 ms, of that at 0 ms, \`--workers ${workers}\``;
      const value = ratio(far?.wall.median, near?.wall.median);
      return { what, bound: 'at most', limit: 3, unit: 'times', value };
    });
    const requests = boxcar.missing() ? undefined : await countRequests(bench, hub);
    return {
      setting:
        `${files} files of 1 MB through a proxy that delays: 80 ms are the round trip, 40 ms there and 40 ms back, to the hub ` +
        'as to the registry, and a new connection costs a round trip as well.' +
        (requests ? ` The registry was asked ${requests.told} for ${files} new layers and the image.` : ''),
      rows,
      goals: [
        ...goals,
        {
          what: "the registry's requests a new layer, everything counted",
          bound: 'at most',
          limit: 4,
          unit: '',
          value: requests && requests.all / files,
        },
      ],
      skipped,
    };
  },
};

function entrant(bench: Bench, hub: BenchHub, workers: Job['workers'], roundTripMs: number): Entrant {
  return {
    name: nameOf(workers, roundTripMs),
    missing: () => (workers === 'auto' ? missingOption('--workers', 'auto') : boxcar.missing()),
    run: () =>
      transfer(boxcar, bench.dir, {
        hub,
        workers,
        around: async (registry, work) => {
          const portOf = (url: string) => Number(new URL(url).port);
          const ports = [hub.hubUrl, hub.cdnUrl, registry.url].map(portOf);
          using delay = await startDelay({ roundTripMs, ports });
          const [farHub, farCdn, farRegistry] = delay.ports.map((port) => `http://127.0.0.1:${port}`);
          await hub.announceCdn(farCdn ?? '');
          // Awaited here: the proxy is there until then.
          return await work(farRegistry ?? '', farHub);
        },
      }),
  };
}

/** In a run that is not timed, through a proxy that writes them down. */
async function countRequests(bench: Bench, hub: BenchHub): Promise<{ all: number; told: string }> {
  const byMethod: Record<string, number> = {};
  await hub.announceCdn(hub.cdnUrl);
  await transfer(boxcar, bench.dir, {
    hub,
    workers: bench.options.workers,
    around: async (registry, work): Promise<Measured> => {
      await using proxy = await startFaultProxy(registry.url);
      const measured = await work(proxy.url);
      for (const { method } of proxy.requests) byMethod[method] = (byMethod[method] ?? 0) + 1;
      return measured;
    },
  });
  const entries = Object.entries(byMethod);
  return {
    all: entries.reduce((sum, [, count]) => sum + count, 0),
    told: entries.map(([method, count]) => `${count} ${method}`).join(', '),
  };
}
