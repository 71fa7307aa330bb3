import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planModelcar } from '../../../src/formats/modelcar.ts';
import type { PublishEvent } from '../../../src/publish/events.ts';
import { KnownLayers } from '../../../src/publish/reuse/known-layers.ts';
import { findPublishedImages, type ImageSearch } from '../../../src/publish/reuse/published-images.ts';
import type { ImageSource } from '../../../src/publish/target.ts';
import { defaults, file, snapshotOf } from '../../formats/snapshots.ts';
import { warningsOf } from './fresh-runner.ts';

/** A search in a registry that never answers, and how often it was asked. */
async function searching(changes: Partial<ImageSearch>) {
  const { layers } = await planModelcar(snapshotOf([file('config.json')]), defaults);
  const events: PublishEvent[] = [];
  let asked = 0;
  const never = (signal: AbortSignal) => {
    asked += 1;
    return new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  const source: ImageSource = {
    name: 'r.io/x',
    manifest: (_reference, signal) => never(signal),
    blob: (_digest, _limit, signal) => never(signal),
    tags: (signal) => never(signal),
  };
  const search: ImageSearch = {
    target: { lookup: () => ({ source, forget: () => {} }) } as unknown as ImageSearch['target'],
    layers,
    tags: ['v1', 'latest'],
    taken: false,
    reuseFrom: [],
    mountFrom: ['a', 'b'],
    history: never,
    emit: (event) => events.push(event),
    signal: new AbortController().signal,
    ...changes,
  };
  const ended = findPublishedImages(search, new KnownLayers());
  return { ended, asked: () => asked, warnings: () => warningsOf(events) };
}

test('a search takes its time and no more, and it is told once', async () => {
  const { ended, asked, warnings } = await searching({ withinMs: 30 });
  await ended;
  assert.deepEqual(warnings(), [
    'earlier images were not found within 0 s: what is not known is transferred',
  ]);
  assert.equal(asked(), 1);
});

test('a stop ends it at once, with its own reason and no words', async () => {
  const stop = new AbortController();
  const { ended, warnings } = await searching({ signal: stop.signal });
  stop.abort(new Error('stopped'));
  await assert.rejects(ended, /stopped/);
  assert.deepEqual(warnings(), []);
});
