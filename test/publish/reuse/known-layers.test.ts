import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { modelcarImage, planModelcar } from '../../../src/formats/modelcar.ts';
import { type PublishedModelcar, readModelcar } from '../../../src/formats/published-modelcar.ts';
import { type LayerPlan, layerSize } from '../../../src/layer/layer.ts';
import { KnownLayers } from '../../../src/publish/reuse/known-layers.ts';
import { defaults, digestsOf, file, snapshotOf } from '../../formats/snapshots.ts';

let layer: LayerPlan;
let image: PublishedModelcar;

before(async () => {
  const plan = await planModelcar(snapshotOf([file('a/config.json'), file('b.txt')]), defaults);
  layer = plan.layers[0] as LayerPlan;
  image = readModelcar(modelcarImage(plan, digestsOf(plan)).manifest.bytes) as PublishedModelcar;
});

/** What is known of a layer that differs in so much from the one published. */
function of(changes: Partial<LayerPlan>): { count: number; why: string } {
  const known = new KnownLayers();
  known.addImage(image, ':old');
  const other = { ...layer, ...changes };
  return { count: known.candidates(other).length, why: known.whyNot(other) };
}

test('the same path in the image, content, packing and size make the same layer', () => {
  assert.equal(of({}).count, 1);
  assert.equal(of({ header: Buffer.from(layer.header) }).count, 1);
  // Prefix and path are one name in the archive, wherever one ends and the other begins.
  assert.equal(of({ path: 'config.json' }).count, 1);
});

test('any other makes another', () => {
  const contentId = `git:${'0'.repeat(40)}` as const;
  assert.deepEqual(of({ contentId }), { count: 0, why: 'its content has changed since :old' });
  assert.deepEqual(of({ name: 'data/a/config.json' }), {
    count: 0,
    why: 'in :old it is under models/: a layer of its own',
  });
  assert.deepEqual(of({ path: 'c.json', name: 'models/c.json' }), {
    count: 0,
    why: 'the same content as a/config.json in :old, under another path: a layer of its own',
  });
  assert.deepEqual(of({ path: 'c.json', name: 'models/c.json', contentId }), {
    count: 0,
    why: 'new since :old',
  });
  assert.equal(of({ fileSize: layer.fileSize + 1024 }).count, 0);
  assert.equal(of({ header: Buffer.alloc(layer.header.length + 512) }).count, 0);
});

test('an image that was packed by other rules has nothing', () => {
  const known = new KnownLayers();
  known.addImage({ ...image, layers: image.layers.map((each) => ({ ...each, packing: 'tar-0' })) }, ':old');
  assert.equal(known.candidates(layer).length, 0);
  assert.equal(known.whyNot(layer), 'in :old it was packed by other rules');
  assert.equal(new KnownLayers().whyNot(layer), 'not published before');
});

test('the same blob is named once for each repository, in the order it was found', () => {
  const known = new KnownLayers();
  known.addImage(image, ':new');
  known.addImage(image, ':old');
  known.addImage(image, 'r.io/other:new', 'other');
  const sources = known.candidates(layer).map(({ source, from }) => [source, from]);
  assert.deepEqual(sources, [
    [':new', undefined],
    ['r.io/other:new', 'other'],
  ]);
  assert.equal(known.candidates(layer)[0]?.digest, image.layers[0]?.digest);
  assert.equal(image.layers[0]?.size, layerSize(layer));
});
