import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { annotations, modelcarImage, type Plan, planModelcar } from '../../src/formats/modelcar.ts';
import { hasConfig, readModelcar } from '../../src/formats/published-modelcar.ts';
import { stateArtifact } from '../../src/formats/state-artifact.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { defaults, digestsOf, file, snapshotOf } from './snapshots.ts';

const files = ['README.md', '__proto__', 'constructor', 'nested/toString', 'weights.bin'].map((path, i) =>
  file(path, i * 1000),
);
let plan: Plan;
let manifest: Buffer;
let config: Buffer;

before(async () => {
  plan = await planModelcar(snapshotOf(files, { license: 'mit' }), defaults);
  const image = modelcarImage(plan, digestsOf(plan));
  manifest = image.manifest.bytes;
  config = image.config.bytes;
});

// biome-ignore lint/suspicious/noExplicitAny: whatever a forger makes of it
type Json = any;

/** The manifest after a change to what it says, written as JSON usually is. */
function changed(change: (manifest: Json) => void): Buffer {
  const document = JSON.parse(manifest.toString());
  change(document);
  return Buffer.from(JSON.stringify(document));
}

/** The manifest after a change to its text. */
function rewritten(from: string | RegExp, to: string): Buffer {
  const text = manifest.toString().replace(from, to);
  assert.notEqual(text, manifest.toString());
  return Buffer.from(text);
}

test('what boxcar writes is read again, file by file', () => {
  const modelcar = readModelcar(manifest);
  assert.deepEqual([modelcar?.model, modelcar?.prefix], ['acme/tiny', 'models/']);
  assert.deepEqual(
    modelcar?.layers.map(({ path, contentId, digest }) => [path, contentId, digest]),
    plan.layers.map(({ path, contentId }, i) => [path, contentId, digestsOf(plan)[i]]),
  );
  assert.ok(modelcar && hasConfig(modelcar, config));
});

test('so is an image without files, or under no directory, or of a platform with a variant', async () => {
  const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
  for (const [some, options] of [
    [[], defaults],
    [files, { ...defaults, prefix: '' }],
    [files, { ...defaults, platform }],
  ] as const) {
    const other = await planModelcar(snapshotOf([...some]), options);
    const image = modelcarImage(other, digestsOf(other));
    const modelcar = readModelcar(image.manifest.bytes);
    assert.ok(modelcar && hasConfig(modelcar, image.config.bytes));
    assert.ok(!hasConfig(modelcar, config));
  }
});

const first = (document: Json) => document.layers[0];

describe('no manifest of boxcar', () => {
  const manifests: [name: string, make: () => Buffer][] = [
    ['nothing', () => Buffer.alloc(0)],
    ['half of it', () => manifest.subarray(0, manifest.length / 2)],
    ['no JSON', () => Buffer.from('<html>')],
    ['null', () => Buffer.from('null')],
    ['a list', () => Buffer.from('[]')],
    ['an index', () => changed((m) => Object.assign(m, { manifests: m.layers, layers: undefined }))],
    ['layers that are none', () => changed((m) => Object.assign(m, { layers: [null, 1, 'x', [], {}] }))],
    ['layers as an object', () => changed((m) => Object.assign(m, { layers: { length: 0 } }))],
    ['annotations that are a list', () => changed((m) => Object.assign(m, { annotations: [] }))],
    [
      'annotations of numbers',
      () => changed((m) => Object.assign(m.annotations, { 'dev.boxcar.layer.prefix': 1 })),
    ],
    ['no prefix', () => changed((m) => delete m.annotations[annotations.prefix])],
    ['no commit', () => changed((m) => delete m.annotations['org.opencontainers.image.revision'])],
    ['a commit in upper case', () => rewritten(/c0ffee/g, 'C0FFEE')],
    ['one more field', () => changed((m) => Object.assign(m, { subject: m.config }))],
    [
      'one more field of a layer',
      () => changed((m) => Object.assign(first(m), { urls: ['http://example.com'] })),
    ],
    ['data in the config descriptor', () => changed((m) => Object.assign(m.config, { data: 'e30=' }))],
    [
      'one more annotation of a layer',
      () => changed((m) => Object.assign(first(m).annotations, { extra: '1' })),
    ],
    ['fields in another order', () => rewritten(/^\{("schemaVersion":2),(.*)\}$/s, '{$2,$1}')],
    ['white space', () => rewritten(',"layers"', ', "layers"')],
    ['a byte order mark', () => Buffer.concat([Buffer.from('\ufeff'), manifest])],
    ['something behind', () => Buffer.concat([manifest, Buffer.from('\n')])],
    ['a key twice', () => rewritten('{"schemaVersion":2', '{"schemaVersion":2,"schemaVersion":2')],
    ['other escapes', () => rewritten('README.md', '\\u0052EADME.md')],
    ['__proto__ as a key', () => rewritten('{"schemaVersion"', '{"__proto__":{},"schemaVersion"')],
    ['layers in another order', () => changed((m) => m.layers.reverse())],
    ['a path twice', () => changed((m) => m.layers.splice(0, 0, first(m)))],
    [
      'another path in the other annotation',
      () => changed((m) => Object.assign(first(m).annotations, { 'org.cncf.model.filepath': 'other' })),
    ],
    [
      'a gzipped layer',
      () => changed((m) => Object.assign(first(m), { mediaType: `${first(m).mediaType}+gzip` })),
    ],
    [
      'a content id in upper case',
      () => rewritten(/(git:)([0-9a-f]{40})/, '$1ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD'),
    ],
    ['a content id of another hash', () => rewritten(/git:[0-9a-f]{40}/, `md5:${'0'.repeat(32)}`)],
    ['no content id', () => changed((m) => delete first(m).annotations[annotations.contentId])],
    ['no packing', () => changed((m) => delete first(m).annotations[annotations.packing])],
    [
      'a digest of another hash',
      () => rewritten(/"digest":"sha256:[0-9a-f]{64}"/, `"digest":"sha512:${'0'.repeat(128)}"`),
    ],
    ['a size that is a text', () => changed((m) => Object.assign(first(m), { size: '1024' }))],
    ['a size with a fraction', () => changed((m) => Object.assign(first(m), { size: 0.5 }))],
    ['a size beyond what is exact', () => changed((m) => Object.assign(first(m), { size: 2 ** 53 }))],
    ['a size of infinity', () => rewritten(/"size":\d+/, '"size":1e999')],
    ['a size written otherwise', () => rewritten(/"size":(\d+)/, '"size":$1.0')],
    ['a size of -0', () => rewritten(/"size":\d+/, '"size":-0')],
    ['the state of a publish', () => stateArtifact('{}', [], 'v1.partial', 0).manifest.bytes],
  ];
  for (const [name, make] of manifests)
    test(name, () => {
      assert.equal(readModelcar(make()), undefined);
    });
});

describe('no config of boxcar', () => {
  const texts: [name: string, text: () => string][] = [
    ['nothing', () => ''],
    ['an empty object', () => '{}'],
    ['null', () => 'null'],
    ['another architecture', () => config.toString().replace('amd64', 'arm64')],
    ['no architecture', () => config.toString().replace('"architecture":"amd64",', '')],
    ['a time', () => config.toString().replace('{', '{"created":"2025-01-01T00:00:00Z",')],
    ['a command', () => config.toString().replace('"config":{', '"config":{"Cmd":["sh"],')],
    ['other diff ids', () => config.toString().replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`)],
    ['white space', () => `${config} `],
  ];
  for (const [name, text] of texts)
    test(`${name}, though the manifest names it`, () => {
      const bytes = Buffer.from(text());
      assert.notDeepEqual(bytes, config);
      const named = changed((m) => Object.assign(m.config, { digest: digestOf(bytes), size: bytes.length }));
      const modelcar = readModelcar(named);
      // The platform is the image's own affair, the rest is not.
      assert.equal(modelcar && hasConfig(modelcar, bytes), name === 'another architecture');
    });

  test('of another type, or another than the manifest names', () => {
    const other = readModelcar(
      changed((m) => Object.assign(m.config, { mediaType: 'application/vnd.oci.empty.v1+json' })),
    );
    assert.ok(other && !hasConfig(other, config));
    const longer = readModelcar(changed((m) => Object.assign(m.config, { size: m.config.size + 1 })));
    assert.ok(longer && !hasConfig(longer, config));
  });
});

test('sizes that no layer has are read and match no file', () => {
  for (const size of [-1, 0, 2 ** 53 - 1]) {
    const modelcar = readModelcar(changed((m) => Object.assign(first(m), { size })));
    assert.equal(modelcar?.layers[0]?.size, size);
  }
});
