import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isSecretLocation,
  openLayer,
  openLocation,
  sealLayer,
} from '../../../src/publish/progress/kept-location.ts';
import { StateKey, stateKeyOf } from '../../../src/publish/progress/state-key.ts';
import type { LayerState } from '../../../src/state/state-schema.ts';

const store = { origin: 'https://r.example.com', name: 'r.example.com/models/a' };
const identity = { model: 'a/b', commit: '0'.repeat(40), target: store.name };
const uploads = 'https://r.example.com/v2/models/a/blobs/uploads';

const cases: [string, boolean][] = [
  [`${uploads}/1b3c`, false],
  [`${uploads}/1b3c?_state=x`, false],
  [`${uploads}/1b3c?_nouploadcache=false&_state=x`, false],
  ['https://r.example.com/v2/models/a/blobs/upload/1b3c', false],
  [`${uploads}/1b3c?sig=x`, true],
  [`${uploads}/1b3c?_state=x&X-Amz-Signature=y`, true],
  ['https://user:secret@r.example.com/v2/models/a/blobs/uploads/1', true],
  ['http://r.example.com/v2/models/a/blobs/uploads/1', true],
  ['https://storage.example.com/v2/models/a/blobs/uploads/1', true],
  ['https://r.example.com/artifacts-uploads/1', true],
  ['https://r.example.com/v2/models/other/blobs/uploads/1', true],
  ['https://r.example.com/v2/models/a/manifests/latest', true],
  ['https://r.example.com/v2/models/a/blobs/uploads/../../manifests/latest', true],
  ['nonsense', true],
];

for (const [location, secret] of cases)
  test(`${location} is ${secret ? 'kept to ourselves, and not believed' : 'open'}`, () => {
    assert.equal(isSecretLocation(location, store), secret);
    const believed = openLocation(location, 'models/x', { store, identity, key: undefined });
    assert.equal(believed, secret ? undefined : location);
  });

const secret = 'https://storage.example.com/x?sig=0f1e2d3c';
const layer: LayerState = {
  contentId: `git:${'0'.repeat(40)}`,
  size: 10,
  upload: { location: secret, offset: 5 },
};
const keeper = (passphrase?: string) => ({
  store,
  identity,
  key: stateKeyOf(passphrase === undefined ? {} : { BOXCAR_STATE_KEY: passphrase }),
});

test('without a key a secret is left out; an empty key is none', () => {
  for (const each of [keeper(), keeper('')])
    assert.deepEqual(sealLayer(layer, 'models/x', each), { contentId: layer.contentId, size: 10 });
});

test('with a key it is sealed, and opens with that key for that layer of that target alone', () => {
  const sealed = sealLayer(layer, 'models/x', keeper('pass'));
  assert.doesNotMatch(JSON.stringify(sealed), /storage|0f1e2d3c/);
  assert.deepEqual(openLayer(sealed, 'models/x', keeper('pass')), layer);
  const closed = { contentId: layer.contentId, size: 10 };
  assert.deepEqual(openLayer(sealed, 'models/x', keeper('other')), closed);
  assert.deepEqual(openLayer(sealed, 'models/x', keeper()), closed);
  assert.deepEqual(openLayer(sealed, 'models/y', keeper('pass')), closed);
  const moved = { ...keeper('pass'), identity: { ...identity, target: 'r.example.com/b' } };
  assert.deepEqual(openLayer(sealed, 'models/x', moved), closed);
  const text = sealed.upload?.location ?? '';
  for (const altered of [
    `${text.slice(0, -4)}AAAA`,
    text.slice(0, -1),
    'sealed:1:',
    'sealed:1:x:y:z',
    'sealed:1',
  ])
    assert.equal(openLocation(altered, 'models/x', keeper('pass')), undefined, altered);
});

test('a state with thousands of salts does not keep the processor busy', () => {
  const texts = Array.from({ length: 6 }, () => new StateKey('pass').seal('x', 'y'));
  const key = new StateKey('pass');
  assert.deepEqual(
    texts.map((text) => key.open(text, 'y')),
    ['x', 'x', 'x', 'x', undefined, undefined],
  );
});
