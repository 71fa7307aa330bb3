import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { bigModel, oneCommit } from '../../support/models.ts';
import { registryProgram } from '../../support/programs.ts';
import { needsOpenssl } from '../../support/tls.ts';
import { long, tally } from '../tally.ts';
import { mib, type Soak, served, soak, within, worst } from './limits.ts';
import { needsProc } from './watched.ts';

const skip: string | false =
  needsProc.skip || (registryProgram('distribution-3') ? false : 'no distribution 3 on this machine');
const inLong: { skip: string | false } = { skip: skip || (long ? false : 'npm run test:long runs it') };
const withTls = needsOpenssl.skip ? { skip: 'no openssl on PATH' } : inLong;
const minutes = 60_000;

after(() => {
  const { pushes, result } = worst();
  const what = `${pushes} pushes: either side 100 times slower, 16 workers, chunks, TLS, an image layout, a file of 9 GiB`;
  if (pushes > 0) tally('soak-memory', { what, result });
});

/** Far more than may be held, whoever is the slower side. */
const four = { model: bigModel({ files: 4, size: 96 * mib }) };
const sixteen = { model: bigModel({ files: 16, size: 64 * mib }), workers: 16 };
const chunked = { args: ['--upload', 'chunked'] };

/** What the hub may be ahead of the registry: windows, what is under way in the sockets of both sides, a chunk a worker. */
const ahead = (workers: number, chunk: number): number => 64 * mib + workers * (16 * mib + chunk);

describe('a registry 100 times slower than the hub', { timeout: 10 * minutes }, () => {
  const slow = { registryRate: mib, hub: { bytesPerSecond: 100 * mib } };
  const held = (name: string, job: Soak, options: { skip: string | false }) =>
    test(name, options, async (t) => {
      const { hub, proxy } = await soak(t, { ...slow, ...job });
      const taken = proxy?.requests.reduce((sum, { requestBytes }) => sum + requestBytes, 0) ?? 0;
      const lead = served(hub) - taken;
      const chunk = job.args ? 16 * mib : 0;
      assert.ok(lead <= ahead(job.workers ?? 4, chunk), `the hub was ${lead} bytes ahead`);
    });
  held('holds the hub back', { ...four, until: 8 * mib }, { skip });
  held('in chunks', { ...four, ...chunked, until: 48 * mib }, inLong);
  held('with 16 workers', { ...sixteen, until: 160 * mib }, inLong);
  held('with 16 workers, in chunks', { ...sixteen, ...chunked, until: 160 * mib }, inLong);
  held('over TLS', { ...four, tls: true, until: 48 * mib }, withTls);
});

describe('a hub 100 times slower than the registry', { timeout: 10 * minutes }, () => {
  const slow = { hub: { bytesPerSecond: mib } };
  test('fills no memory either', { skip }, within({ ...slow, ...four, until: 12 * mib }));
  test('in chunks', inLong, within({ ...slow, ...four, ...chunked, until: 64 * mib }));
  test('with 16 workers', inLong, within({ ...slow, ...sixteen, until: 160 * mib }));
  const cut: Soak['hubFaults'] = [
    { match: { origin: 'cdn' }, times: Infinity, action: { kind: 'cut', after: 300_000 } },
  ];
  test('that cuts every window', inLong, within({ ...four, hubFaults: cut, until: 64 * mib }));
});

describe('a whole push at full speed', { timeout: 20 * minutes }, () => {
  const size = (long ? 512 : 75) * mib;
  const model = bigModel({ files: 4, size });
  test('stays flat', inLong, within({ model }));
  test('stays flat in chunks', inLong, within({ model, ...chunked }));
  test('stays flat into an image layout', inLong, within({ model, target: 'layout' }));
  test('stays flat over TLS', withTls, within({ model, tls: true }));
  test(
    'stays flat with 16 workers',
    inLong,
    within({ model: bigModel({ files: 16, size: 128 * mib }), workers: 16 }),
  );
  test(
    'stays flat with 16 workers, in chunks',
    inLong,
    within({ model: bigModel({ files: 16, size: 128 * mib }), workers: 16, ...chunked }),
  );
  const huge = { size: 9 * 1024 * mib + 5, seed: 9, lfs: true };
  test(
    'stays flat with a file of 9 GiB',
    inLong,
    within({ model: oneCommit('acme/huge', { 'model.safetensors': huge }) }),
  );
});
