import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stateFault } from '../../src/state/state-schema.ts';
import { full, layers } from './states.ts';

test('a state with every kind of layer is one', () => {
  assert.equal(stateFault(full), undefined);
  assert.equal(stateFault({ ...full, layers: {} }), undefined);
});

describe('no state is', () => {
  const half = layers['models/half'];
  const layer = (changes: object): unknown => ({ ...full, layers: { x: { ...half, ...changes } } });
  const checkpoint = (changes: object): unknown =>
    layer({ checkpoints: [{ offset: 64, layer: 'ab'.repeat(32), ...changes }] });
  const { target: _, ...withoutTarget } = full;
  const cases: [string, unknown, RegExp][] = [
    ['null', null, /object/],
    ['a text', 'state', /object/],
    ['a list', [], /object/],
    ['another version', { ...full, version: 3 }, /\/version/],
    [
      'one of version 1 with what is newer',
      {
        ...full,
        version: 1,
        layers: { x: { ...half, upload: { location: 'x', offset: 1, began: '2026-01-01T00:00:00Z' } } },
      },
      /additional/,
    ],
    [
      'an upload that began at no time',
      layer({ upload: { location: 'x', offset: 1, began: 'yesterday' } }),
      /began/,
    ],
    ['one without a target', withoutTarget, /target/],
    ['one with a short commit', { ...full, commit: 'c0ffee' }, /\/commit/],
    ['one with more than is known', { ...full, token: 'x' }, /additional/],
    ['a layer without a size', layer({ size: undefined }), /size/],
    ['a layer with half a byte', layer({ size: 1.5 }), /integer/],
    ['a layer with a negative size', layer({ size: -1 }), /size/],
    ['a layer with another digest', layer({ digest: 'sha512:00' }), /digest/],
    ['a layer with a content id of no kind', layer({ contentId: 'md5:00' }), /contentId/],
    ['a layer with more than is known', layer({ secret: 'x' }), /additional/],
    ['an upload without an offset', layer({ upload: { location: 'x' } }), /offset/],
    ['an upload at a negative offset', layer({ upload: { location: 'x', offset: -1 } }), /offset/],
    ['a checkpoint at no multiple of 64', checkpoint({ offset: 65 }), /multiple of 64/],
    ['a checkpoint at 0', checkpoint({ offset: 0 }), /offset/],
    ['a checkpoint with a short hash', checkpoint({ layer: 'ab' }), /layer/],
    ['a checkpoint with a wrong hash of its content', checkpoint({ content: 'AB'.repeat(32) }), /content/],
  ];
  for (const [what, value, why] of cases) {
    test(what, () => assert.match(stateFault(JSON.parse(JSON.stringify(value))) ?? 'none', why));
  }
});
