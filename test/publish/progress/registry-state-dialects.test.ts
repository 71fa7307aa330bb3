import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finalizePush, listStates, removeStates } from '../../../src/index.ts';
import { stateFault } from '../../../src/state/state-schema.ts';
import type { Dialect } from '../../support/fake-registry.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { layerOf, model, startInterrupted } from './interrupted.ts';

/** Locations without a query: none of them is a secret. */
const open = { query: false } satisfies Partial<Dialect>;

describe('state in registries that do not delete, or do not move tags', () => {
  test('without DELETE it is emptied, and confuses nobody', async (t) => {
    const s = await startInterrupted(t, 'distribution3', { ...open, deletes: 'refused' });
    await s.fail();
    assert.ok(s.state('v1.partial').layers['models/b.safetensors']?.upload);
    const result = await s.push();
    assert.equal(layerOf(result, 'a.safetensors').outcome, 'reused');
    const b = layerOf(result, 'b.safetensors');
    assert.equal(b.outcome, 'resumed');
    assert.ok(b.bytesSent < b.size && b.bytesRead < b.size);
    assert.deepEqual(s.stateTags(), ['v1.partial']);
    assert.deepEqual(Object.keys(s.state('v1.partial').layers), []);
    assert.equal(stateFault(s.state('v1.partial')), undefined);
    assert.deepEqual(s.warnings, []);
    const env = { HOME: tempDir(t), HF_ENDPOINT: s.hub.url };
    assert.deepEqual(await listStates({ what: s.target, env }), []);
    assert.deepEqual(await removeStates({ what: s.target, env }), []);
    const finalized = await finalizePush({ model: model.name, target: s.target, env });
    assert.equal(finalized.manifestDigest, result.manifestDigest);
    // Another commit's push finds it, and has nothing from it.
    assert.equal((await s.push({ layerPrefix: 'x', force: true })).totals.transferred, 3);
    assert.deepEqual(s.warnings, []);
    assert.deepEqual(Object.keys(s.state('v1.partial').layers), []);
  });

  for (const deletes of ['tags and digests', 'digests', 'untagged digests'] as const)
    test(`immutable tags that can be deleted (${deletes}): deleted and put`, async (t) => {
      const s = await startInterrupted(t, 'distribution3', { ...open, immutableTags: true, deletes });
      await s.fail();
      await s.fail();
      assert.deepEqual(s.stateTags(), ['v1.partial']);
      assert.equal(layerOf(await s.push(), 'b.safetensors').outcome, 'resumed');
      assert.deepEqual(s.stateTags(), []);
      assert.deepEqual(s.warnings, []);
    });

  for (const tagsList of ['yes', 'refused'] as const)
    test(`immutable tags without DELETE, tags/list ${tagsList}: numbered, the newest found, the rest told`, async (t) => {
      const s = await startInterrupted(t, 'distribution3', {
        ...open,
        immutableTags: true,
        deletes: 'refused',
        tagsList,
      });
      await s.fail();
      await s.fail();
      await s.fail();
      assert.deepEqual(s.stateTags(), ['v1.partial', 'v1.partial.2', 'v1.partial.3']);
      s.registry.requests.length = 0;
      const result = await s.push();
      assert.equal(layerOf(result, 'a.safetensors').outcome, 'reused');
      assert.equal(layerOf(result, 'b.safetensors').outcome, 'resumed');
      assert.match(s.warnings.join(), /neither deletes nor moves tags: v1\.partial, .*v1\.partial\.3.* stay/);
      const env = { HOME: tempDir(t), HF_ENDPOINT: s.hub.url };
      const [removed] = await removeStates({ what: s.target, env });
      assert.match(removed?.kept ?? '', /neither deletes nor moves/);
    });

  test('a registry that refuses states: told once, the push goes on', async (t) => {
    const s = await startInterrupted(t, 'distribution3');
    s.registry.faults.push({
      match: { method: 'PUT', path: /manifests\/v1\.partial/ },
      times: Infinity,
      action: { kind: 'answer', status: 405 },
    });
    await s.fail();
    assert.deepEqual(s.stateTags(), []);
    assert.equal(s.warnings.filter((each) => /progress cannot be kept/.test(each)).length, 1);
    assert.equal((await s.push()).totals.transferred, 3);
  });

  test('an image is published although its state cannot be removed', async (t) => {
    const s = await startInterrupted(t, 'distribution3');
    await s.fail();
    s.registry.faults.push({
      match: { method: 'DELETE', path: /manifests/ },
      times: Infinity,
      action: { kind: 'answer', status: 500 },
    });
    await s.push();
    assert.match(s.warnings.join(), /the state of this publish stays/);
  });
});

test('what an earlier run has finished stays held by a run that does not need it, as long as it is there', async (t) => {
  const s = await startInterrupted(t, 'distribution3', open);
  await s.fail();
  const held = () => {
    const { bytes } = s.registry.manifests.get('acme/cut:v1.partial') ?? assert.fail();
    return JSON.parse(bytes.toString()).layers.map(({ digest }: { digest: string }) => digest);
  };
  const { digest = '' } = s.state('v1.partial').layers['models/a.safetensors'] ?? {};
  await s.fail({ include: ['b.safetensors'] });
  assert.ok(held().includes(digest));
  s.registry.forget('acme/cut', digest);
  await s.fail({ include: ['b.safetensors'] });
  assert.equal(held().length, 1);
  assert.deepEqual(s.warnings, []);
});

test('what has the tag of a state and is none stays as it is', async (t) => {
  const s = await startInterrupted(t, 'distribution3', open);
  await s.push({ target: s.target.replace(':v1', ':v1.partial'), state: 'file' });
  const before = s.registry.manifests.get('acme/cut:v1.partial');
  await s.push({ force: true, layerPrefix: 'x' });
  assert.match(s.warnings.join(), /no progress is kept.*v1\.partial.* is something else/);
  assert.equal(s.registry.manifests.get('acme/cut:v1.partial'), before);
  const env = { HOME: tempDir(t) };
  assert.deepEqual(await removeStates({ what: s.target, env }), []);
  assert.equal(s.registry.manifests.get('acme/cut:v1.partial'), before);
});

test('a tag of 128 characters has a state, too', async (t) => {
  const s = await startInterrupted(t, 'distribution3', open);
  const target = s.target.replace(':v1', `:${'v'.repeat(128)}`);
  await s.fail({ target });
  const [tag = ''] = s.stateTags();
  assert.equal(tag.length, 128);
  const states = await listStates({ what: target, env: { HOME: tempDir(t) } });
  assert.equal(states.length, 1);
  assert.equal(layerOf(await s.push({ target }), 'b.safetensors').outcome, 'resumed');
  assert.deepEqual(s.stateTags(), []);
});
