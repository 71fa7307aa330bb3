import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mediaTypes } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf, isDigest } from '../../src/oci/digest.ts';
import { imageConfig, imageManifest, parsePlatform } from '../../src/oci/image.ts';

const digest: Digest = `sha256:${'ab'.repeat(32)}`;

describe('platforms', () => {
  test('are os/architecture, with a variant or without', () => {
    assert.deepEqual(parsePlatform('linux/amd64'), { os: 'linux', architecture: 'amd64' });
    assert.deepEqual(parsePlatform('linux/arm64/v8'), { os: 'linux', architecture: 'arm64', variant: 'v8' });
  });

  for (const text of [
    '',
    'linux',
    'linux/',
    '/amd64',
    'linux//v8',
    'linux/arm64/',
    'linux/arm64/v8/x',
    'Linux/amd64',
    'linux/amd64 ',
    'linux/amd64\n',
    'linux,amd64',
  ]) {
    test(`refused: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePlatform(text), { code: 'usage' });
    });
  }
});

test('digests', () => {
  assert.ok(isDigest(digest));
  for (const bad of [
    '',
    'sha256:',
    digest.toUpperCase(),
    `${digest}0`,
    `sha512:${'ab'.repeat(64)}`,
    `${digest}\n`,
  ]) {
    assert.ok(!isDigest(bad), bad);
  }
  assert.equal(
    digestOf(Buffer.from('abc')),
    'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('a config names its platform, its labels in order, and its layers', () => {
  const { bytes, descriptor } = imageConfig(parsePlatform('linux/arm64/v8'), [digest], { b: '2', a: '1' });
  assert.equal(
    bytes.toString(),
    `{"architecture":"arm64","os":"linux","variant":"v8","config":{"Labels":{"a":"1","b":"2"}},"rootfs":{"type":"layers","diff_ids":["${digest}"]}}`,
  );
  assert.deepEqual(descriptor, { mediaType: mediaTypes.config, digest: digestOf(bytes), size: bytes.length });
});

test('a manifest has the keys of the specification in its order', () => {
  const config = { mediaType: mediaTypes.config, digest, size: 2 };
  const { bytes, descriptor } = imageManifest(config, [], { b: 'é', a: '1' });
  assert.equal(
    bytes.toString(),
    `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"${digest}","size":2},"layers":[],"annotations":{"a":"1","b":"é"}}`,
  );
  assert.deepEqual(descriptor, {
    mediaType: mediaTypes.manifest,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  assert.equal(descriptor.size, Buffer.byteLength(bytes.toString()), 'bytes, not characters');
});
