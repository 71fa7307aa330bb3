import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BoxcarError, type PublishEvent, planPush, push } from '../../src/index.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { headOf, manyFiles, tinyModel } from '../support/models.ts';
import { realModel } from '../support/real-model.ts';
import { describeEachRegistry, kindsInShort, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { tempDir } from '../support/temp-dir.ts';
import { contentsOfModel, has, unpack } from './image.ts';

const model = tinyModel();
const tag = headOf(model).slice(0, 12);
/** The image that every machine, registry and run makes of the model. */
const goldenDigest = 'sha256:b231969c0882b4aac51f1f14fff2ef55bfa80afc2079e237024aab14960cec34';
const consumer = { skip: has('skopeo') ? false : 'no skopeo on PATH' };
const modes = new Set(['drwxr-xr-x 0/0', '-rw-r--r-- 0/0']);

function clean(hub: Hub): { env: NodeJS.ProcessEnv; backoffMs: number } {
  const home = tempDir();
  return { env: { HF_ENDPOINT: hub.url, HOME: home, XDG_STATE_HOME: join(home, 'state') }, backoffMs: 5 };
}

describeEachRegistry('push', (kind) => {
  let hub: Hub;
  let registry: Registry;
  before(async () => {
    hub = await startHub({ models: [model, manyFiles(60)] });
    registry = await startRegistry({ kind });
  });
  after(() => Promise.all([registry.stop(), hub.close()]));

  test('the image holds the model, and skopeo and tar agree', consumer, async () => {
    const result = await push({ model: model.name, target: `${registry.host}/models/tiny`, ...clean(hub) });
    assert.equal(result.manifestDigest, goldenDigest);
    assert.equal(result.imageRef, `${registry.host}/models/tiny:${tag}`);
    assert.equal(result.imageRefDigest, `${registry.host}/models/tiny@${goldenDigest}`);
    const image = unpack(`docker://${result.imageRef}`, ['--src-tls-verify=false']);
    assert.deepEqual(image.files, contentsOfModel(model));
    assert.deepEqual(image.modes, modes);
    assert.deepEqual(hub.violations, []);
  });

  test('a second push without a state file asks for one manifest and moves nothing', async () => {
    const target = `${registry.host}/models/again`;
    await push({ model: model.name, target, ...clean(hub) });
    const before = hub.requests.length;
    const result = await push({ model: model.name, target, ...clean(hub) });
    assert.equal(result.manifestDigest, goldenDigest);
    assert.deepEqual([result.totals.reused, result.totals.bytesSent, result.totals.bytesRead], [9, 0, 0]);
    assert.equal(hub.requests.length - before, 2);
  });

  // What follows is asked of every registry in the same words.
  if (!kindsInShort.includes(kind)) return;

  test('another commit under the same tag is refused before any byte moves, and moved with force', async () => {
    const target = `${registry.host}/models/moving:stable`;
    await push({ model: `${model.name}@v1.0`, target, ...clean(hub) });
    const blobs = inspectRegistry(registry).blobs();
    await assert.rejects(push({ model: model.name, target, ...clean(hub) }), {
      code: 'tag-exists',
      exitCode: 8,
    });
    assert.deepEqual(inspectRegistry(registry).blobs(), blobs);
    const forced = await push({ model: model.name, target, force: true, ...clean(hub) });
    assert.equal(forced.manifestDigest, goldenDigest);
    // What both commits have is there; what the tag points to already is transferred again when that is asked for.
    assert.deepEqual([forced.totals.transferred, forced.totals.reused], [1, 8]);
    const again = await push({ model: model.name, target, force: true, ...clean(hub) });
    assert.equal(again.totals.transferred, 9);
  });

  test('further tags are written after the first, and move', async () => {
    const repository = 'models/tags';
    const target = `${registry.host}/${repository}`;
    await push({ model: `${model.name}@v1.0`, target, alsoTags: ['latest'], ...clean(hub) });
    const result = await push({ model: model.name, target, alsoTags: ['latest', 'v2'], ...clean(hub) });
    assert.deepEqual(result.tags, [tag, 'latest', 'v2']);
    for (const name of result.tags) {
      assert.equal((await inspectRegistry(registry).manifest(repository, name))?.digest, goldenDigest);
    }
    const again = await push({ model: model.name, target, alsoTags: ['late'], ...clean(hub) });
    assert.equal(again.totals.bytesSent, 0);
    assert.equal((await inspectRegistry(registry).manifest(repository, 'late'))?.digest, goldenDigest);
  });

  test('all workers at once move many small files', async () => {
    const many = manyFiles(60);
    const result = await push({
      model: many.name,
      target: `${registry.host}/models/many`,
      workers: 16,
      ...clean(hub),
    });
    assert.equal(result.totals.transferred, 60);
  });

  test('a real model comes out as it went in', consumer, async (context) => {
    const real = await realModel();
    if ('skip' in real) return context.skip(real.skip);
    const own = await startHub({ models: [real.model] });
    context.after(() => own.close());
    const result = await push({ model: real.model.name, target: `${registry.host}/real`, ...clean(own) });
    const image = unpack(`docker://${result.imageRef}`, ['--src-tls-verify=false']);
    assert.deepEqual(image.files, contentsOfModel(real.model));
  });
});

describe('push to an image layout', () => {
  test('the directory holds the same image, and skopeo and tar agree', consumer, async (context) => {
    const hub = await startHub({ models: [model] });
    context.after(() => hub.close());
    const directory = join(tempDir(context), 'image');
    const result = await push({ model: model.name, target: `oci:${directory}:v1`, ...clean(hub) });
    assert.equal(result.manifestDigest, goldenDigest);
    assert.equal(result.imageRef, `oci:${directory}:v1`);
    const image = unpack(result.imageRef);
    assert.deepEqual(image.files, contentsOfModel(model));
    const again = await push({ model: model.name, target: `oci:${directory}:v1`, ...clean(hub) });
    assert.deepEqual([again.totals.reused, again.totals.bytesRead], [9, 0]);
  });
});

describe('the library', () => {
  test('a plan of 5,000 files touches nothing but the listing', async (context) => {
    const many = manyFiles(5000);
    const hub = await startHub({ models: [many] });
    context.after(() => hub.close());
    const directory = join(tempDir(context), 'image');
    const plan = await planPush({ model: many.name, target: `oci:${directory}`, ...clean(hub) });
    assert.equal(plan.layers.length, 5000);
    assert.equal(plan.imageRef, `oci:${directory}:${headOf(many).slice(0, 12)}`);
    // One for the commit, six pages of 1,000 entries (directories count).
    assert.equal(hub.requests.length, 7);
    assert.equal(existsSync(directory), false);
  });

  test('events come in order, and each layer ends once', async (context) => {
    const hub = await startHub({ models: [model] });
    context.after(() => hub.close());
    const events: PublishEvent[] = [];
    const target = `oci:${join(tempDir(context), 'image')}`;
    await push({ model: model.name, target, onEvent: (event) => events.push(event), ...clean(hub) });
    const order = events
      .map((event) => (event.type === 'stage' ? event.stage : event.type))
      .filter((type) => !type.startsWith('layer-') && type !== 'notice');
    assert.deepEqual(order, [
      ...['listing', 'resolved', 'settling', 'planned', 'transferring', 'committing', 'tagged', 'done'],
    ]);
    const ended = events.flatMap((event) => (event.type === 'layer-done' ? [event.result.path] : []));
    assert.equal(new Set(ended).size, 9);
    assert.equal(ended.length, 9);
  });

  test('an aborted signal ends it as stopped, and the next push goes on', async (context) => {
    const hub = await startHub({ models: [model], bytesPerSecond: 1_000_000 });
    context.after(() => hub.close());
    const abort = new AbortController();
    const options = { model: model.name, target: `oci:${join(tempDir(context), 'image')}`, ...clean(hub) };
    const onEvent = (event: PublishEvent) => {
      if (event.type === 'layer-progress' && event.size > 2_000_000 && event.offset > 500_000) abort.abort();
    };
    const stopped = await push({ ...options, signal: abort.signal, onEvent }).catch((error) => error);
    assert.ok(stopped instanceof BoxcarError);
    assert.equal(stopped.code, 'stopped');
    const result = await push(options);
    assert.equal(result.manifestDigest, goldenDigest);
    assert.equal(result.layers.find(({ size }) => size > 2_000_000)?.outcome, 'resumed');
    assert.ok(result.totals.bytesSent < 3_000_000);
  });
});
