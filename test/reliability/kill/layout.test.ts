import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
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
  const ofLayers = renamesOf(bySize.slice(0, 4).map(({ digest }) => digest.slice(-12)));
  const chosen = new Set(random.shuffled(ofLayers).slice(0, long ? ofLayers.length : 1));
  const bytes = Array.from({ length: long ? 24 : 1 }, (_, i) => i);
  // In the order in which a publish comes to them.
  const points: (KillPoint | number)[] = [
    ...random.shuffled([...bytes, ...renamesOf(['state.json']).slice(0, long ? 2 : 1)]),
    ...ofLayers.filter((point) => chosen.has(point)),
    ...renamesOf(['index.json']).slice(0, long ? 2 : 1),
  ];
  let kills = 0;
  for (const [i, place] of [...points, undefined].entries()) {
    const start = read();
    // So that there are bytes left for the places at the end of a layer.
    const missing = Math.max(0, size - sizeOf(image)) / (points.length - i + 1);
    const most = Math.ceil(Math.max(mib / 4, Math.min(6 * mib, missing)));
    const point = typeof place === 'number' ? 1 + random.below(most) : place;
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
  // Those of small layers in flight may be lost before the state knows of them.
  assert.ok(left(image).length <= 16 * kills, left(image).join());
  const extra = read() - before - size;
  t.diagnostic(`${kills} kills: ${extra} bytes read again`);
  // Windows of four files in flight, and what was hashed since the state was written.
  assert.ok(extra <= 0.1 * size + kills * 16 * mib, `${extra} bytes were read again`);
});

function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}

function assertRightOrNothing(image: string, manifestDigest: string): void {
  if (!existsSync(join(image, 'index.json'))) return;
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
