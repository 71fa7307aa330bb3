import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { push } from '../../../src/index.ts';
import { startHub } from '../../support/hub.ts';
import { startBoxcar } from '../../support/run.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { seededBy } from '../matrix/seeded.ts';
import { long } from '../tally.ts';
import { model } from './disturbed-publish.ts';
import { atRename, type KillPoint } from './kill-points.ts';

const mib = 1024 * 1024;
const seed = process.env.BOXCAR_TEST_SEED ?? 'boxcar';

test('an image layout that is killed again and again', async (t) => {
  t.diagnostic(`BOXCAR_TEST_SEED=${seed}`);
  const random = seededBy(`${seed} layout`);
  const hub = await startHub({ models: [model] });
  t.after(() => hub.close());
  const home = tempDir(t);
  const env = { HF_ENDPOINT: hub.url };
  const undisturbed = await push({
    model: model.name,
    target: `oci:${join(home, 'undisturbed')}`,
    stateFile: false,
    env: { ...env, HOME: home },
  });
  const { size } = undisturbed.totals;
  const read = () => [...hub.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
  const before = read();
  const image = join(home, 'image');
  const args = ['push', model.name, `oci:${image}:first`, '--also-tag', 'second', '--log-style', 'json'];

  const renamesOf = (names: string[]) =>
    names.flatMap((name) => (['before', 'after'] as const).map((moment) => atRename(moment, 1, name)));
  const bySize = [...undisturbed.layers].sort((one, other) => other.size - one.size);
  const ofLayers = renamesOf(bySize.map(({ digest }) => digest.slice(-12)));
  const chosen = new Set(random.shuffled(ofLayers).slice(0, long ? ofLayers.length : 2));
  const bytes = Array.from({ length: long ? 24 : 2 }, () => 1 + random.below(6 * mib));
  // In the order in which a publish comes to them.
  const points: (KillPoint | number)[] = [
    ...random.shuffled([...bytes, ...renamesOf(['state.json'])]),
    ...ofLayers.filter((point) => chosen.has(point)),
    ...renamesOf(['index.json']),
  ];
  let kills = 0;
  for (const point of [...points, undefined]) {
    const start = read();
    const preload = typeof point === 'object' ? point.env : {};
    const program = startBoxcar([...args, '--state-file', join(home, 'state.json')], {
      env: { ...env, ...preload },
      home,
    });
    // Every millisecond: the hub knows how far it is, a file's size only what the disk was told.
    const watch = setInterval(() => {
      if (typeof point === 'number' && read() - start >= point) program.kill('SIGKILL');
    }, 1);
    const ended = await program.finished;
    clearInterval(watch);
    if (ended.signal === 'SIGKILL') kills += 1;
    else assert.equal(ended.code, 0, ended.stderr);
    assertRightOrNothing(image, undisturbed.manifestDigest);
  }
  assert.ok(kills >= points.length / 2, `only ${kills} of ${points.length} points were reached`);

  const index = JSON.parse(readFileSync(join(image, 'index.json'), 'utf8'));
  assert.equal(index.manifests.length, 2);
  const left = (folder: string) => readdirSync(folder).filter((name) => /partial|tmp/.test(name));
  assert.deepEqual(left(join(image, 'blobs/sha256')), []);
  assert.deepEqual(left(home), []);
  // One of a small layer may be lost before the state knows of it.
  assert.ok(left(image).length <= kills, left(image).join());
  const extra = read() - before - size;
  t.diagnostic(`${kills} kills: ${extra} bytes read again`);
  // Windows of four files in flight, and what was hashed since the state was written.
  assert.ok(extra <= 0.1 * size + kills * 8 * mib, `${extra} bytes were read again`);
});

function assertRightOrNothing(image: string, manifestDigest: string): void {
  if (!readdirSync(image).includes('index.json')) return;
  const blob = (digest: string) => readFileSync(join(image, 'blobs/sha256', digest.slice('sha256:'.length)));
  assert.ok(readFileSync(join(image, 'oci-layout'), 'utf8').includes('1.0.0'));
  const { manifests } = JSON.parse(readFileSync(join(image, 'index.json'), 'utf8'));
  for (const { digest } of manifests) {
    assert.equal(digest, manifestDigest);
    const { config, layers } = JSON.parse(blob(digest).toString());
    for (const each of [config, ...layers]) {
      assert.equal(`sha256:${createHash('sha256').update(blob(each.digest)).digest('hex')}`, each.digest);
    }
  }
}
