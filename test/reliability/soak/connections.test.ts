import { after, describe, test } from 'node:test';
import { bigModel } from '../../support/models.ts';
import { registryProgram } from '../../support/programs.ts';
import { long, tally } from '../tally.ts';
import { mib, type Soak, within, worst } from './limits.ts';
import { needsProc } from './watched.ts';

const skip: string | false =
  needsProc.skip || (registryProgram('distribution-3') ? false : 'no distribution 3 on this machine');
const inLong = { skip: skip || (long ? false : 'npm run test:long runs it') };

after(() => {
  const { pushes, result } = worst();
  const what = `${pushes} pushes in which every second answer stalls or every one is cut, on either side`;
  if (pushes > 0) tally('soak-connections', { what, result });
});

const files = (workers: number): Pick<Soak, 'model' | 'workers'> => ({
  model: bigModel({ files: workers, size: 32 * mib }),
  workers,
});
const every = (n: number, times = 200) => Array.from({ length: times }, (_, i) => ({ skip: i * n }));
const cdn = { match: { origin: 'cdn' } } as const;
const patches = { match: { method: 'PATCH' } } as const;
const quick = ['--stall-seconds', '1'];

describe('sockets and descriptors stay within their limits', { timeout: 300_000 }, () => {
  for (const workers of [4, 16]) {
    const options = workers === 4 ? { skip } : inLong;
    test(
      `${workers} workers, every second answer of the hub stalls`,
      options,
      within({
        ...files(workers),
        args: quick,
        hubFaults: every(2, long ? 30 : 8).map((skips) => ({
          ...cdn,
          ...skips,
          action: { kind: 'stall', after: 100_000 },
        })),
      }),
    );
    test(
      `${workers} workers, every answer of the hub is cut`,
      inLong,
      within({
        ...files(workers),
        hubFaults: [{ ...cdn, times: Infinity, action: { kind: 'cut', after: 200_000 } }],
      }),
    );
    test(
      `${workers} workers, every second PATCH is cut`,
      inLong,
      within({
        ...files(workers),
        args: [...quick, '--upload', 'chunked', '--chunk-mib', '4', '--oci-max-retries', '50'],
        registryFaults: every(2).map((skips) => ({
          ...patches,
          ...skips,
          action: { kind: 'cut', after: 100_000 },
        })),
      }),
    );
    // As streams: a chunk may be in the system's buffers as a whole, and an answer to one is waited for much longer.
    const stall: Soak['registryFaults'] = every(2, 3 * workers).map((skips) => ({
      ...patches,
      ...skips,
      action: { kind: 'stall', after: 100_000 },
    }));
    test(
      `${workers} workers, every second PATCH stalls`,
      inLong,
      within({ ...files(workers), args: [...quick, '--oci-max-retries', '50'], registryFaults: stall }),
    );
  }
});
