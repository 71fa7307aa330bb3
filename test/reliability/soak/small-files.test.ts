import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { manyFiles } from '../../support/models.ts';
import { registryProgram } from '../../support/programs.ts';
import { long, tally } from '../tally.ts';
import { soak, worst } from './limits.ts';
import { needsProc } from './watched.ts';

const skip: string | false =
  needsProc.skip || (registryProgram('distribution-3') ? false : 'no distribution 3 on this machine');

const seconds: string[] = [];

after(() => {
  const { pushes, result } = worst();
  const what = `${pushes} pushes of up to 5,000 small files`;
  if (pushes > 0) tally('soak-small-files', { what, result: `${result}; ${seconds.join(', ')}` });
});

describe('many small files', { timeout: 600_000 }, () => {
  for (const [count, runs] of [
    [long ? 150 : 60, true],
    [1000, long],
    [5000, long],
  ] as const) {
    const unless = { skip: skip || (runs ? false : 'npm run test:long runs it') };
    test(`${count} cost the same each, in requests and memory`, unless, async (t) => {
      const isFile = ({ path }: { path: string }) => path.includes('/resolve/');
      const {
        hub,
        proxy,
        watched,
        seconds: took,
      } = await soak(t, {
        model: manyFiles(count),
        isHalf: ({ requests }) => requests.filter(isFile).length >= count / 2,
      });
      seconds.push(`${count} in ${took.toFixed(0)} s`);
      const sent = proxy?.requests ?? [];
      assert.equal(hub.requests.filter(isFile).length, count);
      // POST, PATCH and PUT of each layer and of the config; some for the beginning and the tag.
      assert.ok(sent.length - 3 * (count + 1) <= 12, `${sent.length} requests to the registry`);
      assert.ok(hub.requests.length - count <= 3 + count / 1000, `${hub.requests.length} to the hub`);
      const { firstHalf, secondHalf } = watched.peaks;
      // The heap is not collected at the same moments; what a file leaves behind would show with 5,000 of them.
      assert.ok(secondHalf - firstHalf < 24 + count / 200, `${secondHalf} MiB after ${firstHalf}`);
    });
  }
});
