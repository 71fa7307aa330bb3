import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type PublishEvent, type PublishResult, push } from '../../../src/index.ts';
import type { PublishState } from '../../../src/state/state-schema.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { bigModel } from '../../support/models.ts';
import { availableRegistries, type Registry, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { seededBy } from '../matrix/seeded.ts';
import { long } from '../tally.ts';

const mb = 1_000_000;
const model = bigModel({ files: 2, size: 7 * mb, name: 'acme/damaged' });
const [kind] = availableRegistries();

describe('a state file that is not as it was left', { skip: kind ? false : 'no registry here' }, () => {
  let hub: Hub;
  let registry: Registry;
  let undisturbed: PublishResult;
  let repositories = 0;
  before(async () => {
    hub = await startHub({ models: [model] });
    registry = await startRegistry({ kind: kind as Registry['kind'] });
    undisturbed = await publish(`oci:${tempDir()}`, join(tempDir(), 'state.json'));
  });
  after(() => Promise.all([registry.stop(), hub.close()]));

  function publish(
    target: string,
    stateFile: string,
    onEvent: (event: PublishEvent) => void = () => {},
    signal?: AbortSignal,
  ): Promise<PublishResult> {
    const env = { HF_ENDPOINT: hub.url, HOME: dirname(stateFile) };
    return push({
      model: model.name,
      target,
      stateFile,
      env,
      onEvent,
      backoffMs: 5,
      ...(signal && { signal }),
    });
  }

  /** A publish that was stopped half-way. */
  async function halfway(): Promise<{ target: string; stateFile: string; text: string }> {
    const target = `${registry.host}/damaged-${++repositories}:v1`;
    const stateFile = join(tempDir(), 'state.json');
    const abort = new AbortController();
    const stop = (event: PublishEvent) => {
      if (event.type === 'layer-progress' && event.offset > 3 * mb) abort.abort();
    };
    await assert.rejects(publish(target, stateFile, stop, abort.signal), { code: 'stopped' });
    return { target, stateFile, text: readFileSync(stateFile, 'utf8') };
  }

  async function assertPublished(pushing: Promise<PublishResult>, target: string): Promise<PublishResult> {
    const result = await pushing;
    assert.equal(result.manifestDigest, undisturbed.manifestDigest);
    const repository = target.slice(target.indexOf('/') + 1, target.lastIndexOf(':'));
    const there = await inspectRegistry(registry).manifest(repository, 'v1');
    assert.equal(there?.digest, undisturbed.manifestDigest);
    return result;
  }

  test('truncated anywhere', async () => {
    const random = seededBy(process.env.BOXCAR_TEST_SEED ?? 'boxcar');
    const { text } = await halfway();
    const places = [
      '{"ver',
      '"layers":{',
      '"upload":{',
      '"location":"http',
      '"checkpoints":[{',
      '"offset":1',
      '}',
    ];
    const found = places.map((place) => text.indexOf(place) + place.length);
    assert.ok(
      found.every((at) => at > 10 || at === 5),
      'the places are there',
    );
    const lengths = [0, 1, ...found, text.length - 2, random.below(text.length)];
    for (const length of random.shuffled(lengths).slice(0, long ? lengths.length : 2)) {
      const { target, stateFile, text: whole } = await halfway();
      writeFileSync(stateFile, whole.slice(0, length));
      await assertPublished(publish(target, stateFile), target);
      assert.equal(readFileSync(`${stateFile}.damaged`, 'utf8'), whole.slice(0, length));
    }
  });

  const lies: Record<string, (layer: PublishState['layers'][string]) => void> = {
    'another hash at every checkpoint': ({ checkpoints = [] }) => {
      for (const each of checkpoints) each.layer = each.layer.split('').reverse().join('');
    },
    'another hash of the content': ({ checkpoints = [] }) => {
      for (const each of checkpoints) each.content = each.layer;
    },
    'more bytes than the registry has': ({ upload }) => {
      if (upload) upload.offset += 2 * mb;
    },
    'an upload that never was': ({ upload }) => {
      if (upload) upload.location = upload.location.replace(/uploads\/[^?]*/, 'uploads/none');
    },
    'no Location at all': ({ upload }) => {
      if (upload) upload.location = 'nowhere';
    },
    'a digest of nothing': (layer) => {
      layer.digest = `sha256:${'0'.repeat(64)}`;
    },
    'no checkpoints': (layer) => {
      layer.checkpoints = [];
    },
  };
  const told = Object.entries(lies);
  for (const [what, lie] of long ? told : told.slice(0, 3)) {
    test(`saying what is not so: ${what}`, async () => {
      const { target, stateFile, text } = await halfway();
      const state = JSON.parse(text) as PublishState;
      for (const layer of Object.values(state.layers)) lie(layer);
      writeFileSync(stateFile, JSON.stringify(state));
      const events: PublishEvent[] = [];
      await assertPublished(
        publish(target, stateFile, (event) => events.push(event)),
        target,
      );
      assert.ok(!events.some((event) => event.type === 'layer-failed'));
    });
  }

  test('read-only', async () => {
    const { target, stateFile } = await halfway();
    chmodSync(stateFile, 0o400);
    const { totals } = await assertPublished(publish(target, stateFile), target);
    assert.ok(totals.resumed > 0);
  });

  for (const what of ['the file', 'its directory']) {
    test(`${what} is deleted while it is in use`, async () => {
      const { target, stateFile } = await halfway();
      const notices: string[] = [];
      let deleted = false;
      const onEvent = (event: PublishEvent) => {
        if (event.type === 'notice' && event.level === 'warning') notices.push(event.message);
        if (deleted || event.type !== 'layer-progress') return;
        deleted = true;
        rmSync(what === 'the file' ? stateFile : dirname(stateFile), { recursive: true });
      };
      await assertPublished(publish(target, stateFile, onEvent), target);
      assert.ok(deleted);
      if (what === 'the file') assert.ok(JSON.parse(readFileSync(stateFile, 'utf8')).layers);
      else
        assert.match(
          notices.join('\n'),
          /^the state file .* cannot be written \(ENOENT[^\n]*going on without$/,
        );
    });
  }
});
