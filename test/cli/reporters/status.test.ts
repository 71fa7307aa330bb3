import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderStatus, statusJson } from '../../../src/cli/reporters/status.ts';
import type { StoredState } from '../../../src/publish/progress/stored-state.ts';
import { digest, resolved, shard, size } from './story.ts';

const now = Date.UTC(2026, 5, 1, 12, 0, 0);
const location = 'https://registry.acme.com/v2/models/qwen-7b/blobs/uploads/1?_state=SECRET';

type LayerState = StoredState['state']['layers'][string];

function finished(bytes = size): LayerState {
  return { contentId: digest, size: bytes, digest };
}

function stored(layers: Record<string, LayerState>, changes: Partial<StoredState> = {}): StoredState {
  const { model, commit, target } = resolved;
  return {
    kind: 'file',
    name: '/home/ci/.local/state/boxcar/0123.json',
    writtenAt: now - 5 * 60_000,
    state: { version: 2, model, commit, target, layers },
    ...changes,
  };
}

const layers: Record<string, LayerState> = {
  [`models/${shard(3)}`]: { contentId: digest, size },
  [`models/${shard(2)}`]: { contentId: digest, size, upload: { location, offset: 0 } },
  [`models/${shard(1)}`]: {
    contentId: digest,
    size,
    upload: { location, offset: 2_418_000_000, digest, began: '2026-06-01T09:31:00.000Z' },
    checkpoints: [{ offset: 1024, layer: 'cd'.repeat(32) }],
  },
  'models/config.json': finished(2048),
};

test('a state: whose it is, each layer by name, the sum', () => {
  const inRegistry = stored(
    {},
    {
      kind: 'registry',
      name: 'registry.acme.com/models/qwen-7b:latest.partial',
      writtenAt: now - 3 * 86_400_000,
    },
  );
  assert.equal(
    renderStatus([stored(layers, { usedBy: 4711 }), inRegistry], now),
    `/home/ci/.local/state/boxcar/0123.json
  Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b
  written 5 min ago, process 4711 is using it
  models/config.json                       done, 2 KB
  models/model-00001-of-00004.safetensors  62 % (2.4/3.9 GB), session 2 h old
  models/model-00002-of-00004.safetensors  0 % (0.0/3.9 GB)
  models/model-00003-of-00004.safetensors  not begun, 3.9 GB
  1 of 4 known layers done, 2.4/11.7 GB

registry.acme.com/models/qwen-7b:latest.partial
  Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b
  written 3 days ago
  no layer has begun
`,
  );
});

test('many finished layers are one line, unless all are asked for', () => {
  const many = (count: number) => ({
    ...Object.fromEntries(Array.from({ length: count }, (_, index) => [shard(index + 1, count), finished()])),
    [shard(99)]: layers[`models/${shard(1)}`] as LayerState,
  });
  assert.equal(
    renderStatus([stored(many(21))], now),
    `/home/ci/.local/state/boxcar/0123.json
  Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b
  written 5 min ago
  21 layers done, 81.9 GB (--verbose lists them)
  model-00099-of-00004.safetensors  62 % (2.4/3.9 GB), session 2 h old
  21 of 22 known layers done, 84.3/85.8 GB
`,
  );
  const listed = (text: string) => text.match(/safetensors {2}done/g)?.length;
  assert.equal(listed(renderStatus([stored(many(21))], now, { verbose: true })), 21);
  assert.equal(listed(renderStatus([stored(many(20))], now)), 20);
});

test('where there is no state a sentence says so', () => {
  assert.equal(renderStatus([], now), 'no state of an unfinished publish was found\n');
  assert.deepEqual(JSON.parse(statusJson([], now)), { states: [] });
});

test('--json has every layer', () => {
  const { model, commit, target } = resolved;
  const { state: _, ...place } = stored({});
  assert.deepEqual(JSON.parse(statusJson([stored(layers, { usedBy: 4711 }), stored({})], now)), {
    states: [
      {
        name: place.name,
        kind: 'file',
        model,
        commit,
        target,
        writtenAt: '2026-06-01T11:55:00.000Z',
        usedBy: 4711,
        layers: [
          { name: 'models/config.json', size: 2048, done: true },
          {
            name: `models/${shard(1)}`,
            size,
            done: false,
            offset: 2_418_000_000,
            sessionSeconds: 8940,
          },
          { name: `models/${shard(2)}`, size, done: false, offset: 0 },
          { name: `models/${shard(3)}`, size, done: false },
        ],
      },
      {
        name: place.name,
        kind: 'file',
        model,
        commit,
        target,
        writtenAt: '2026-06-01T11:55:00.000Z',
        layers: [],
      },
    ],
  });
});

test('the Location of an upload is told by neither', () => {
  const states = [stored(layers)];
  const told = [
    renderStatus(states, now),
    renderStatus(states, now, { verbose: true }),
    statusJson(states, now),
  ];
  for (const text of told) assert.doesNotMatch(text, /uploads|SECRET|cdcd/);
});

test('a state from elsewhere does nothing to a terminal or a CI system', () => {
  const nasty = '\x1b[2J\u202egnp.\n##vso[task.setvariable variable=x]y';
  const state = stored({ [nasty]: finished() }, { name: nasty });
  Object.assign(state.state, { model: nasty, target: nasty });
  const text = renderStatus([state], now);
  assert.equal(text.trimEnd().split('\n').length, 5);
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|##vso/);
  const json = statusJson([state], now);
  assert.match(json, /^[\x0a\x20-\x7e]+$/);
  assert.equal(JSON.parse(json).states[0].layers[0].name, nasty);
});

test('a session that no clock can date has no age, one from the future none either', () => {
  const began = (at: string) =>
    stored({ a: { contentId: digest, size, upload: { location, offset: 1, began: at } } });
  assert.doesNotMatch(renderStatus([began('yesterday')], now), /session/);
  assert.match(renderStatus([began('2026-06-01T12:00:07Z')], now), /session 0 s old/);
});
