import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelcarImage, planModelcar } from '../../src/formats/modelcar.ts';
import { defaults, digestsOf, file, snapshotOf } from './snapshots.ts';

// What is published for a fixed snapshot, in full. When this changes, every image gets another digest.

const snapshot = snapshotOf(
  [
    {
      path: 'weights/model.safetensors',
      size: 9 * 2 ** 30,
      contentId: `sha256:${'ab'.repeat(32)}`,
      xetHash: 'cd'.repeat(32),
    },
    file('README.md', 300),
    file('config.json', 2),
  ],
  { license: 'apache-2.0' },
);

const about = {
  'dev.boxcar.layer.prefix': 'models/',
  'org.opencontainers.image.authors': 'acme',
  'org.opencontainers.image.documentation':
    'https://huggingface.co/acme/tiny/blob/c0ffee0000000000000000000000000000000000/README.md',
  'org.opencontainers.image.licenses': 'Apache-2.0',
  'org.opencontainers.image.revision': 'c0ffee0000000000000000000000000000000000',
  'org.opencontainers.image.source': 'https://huggingface.co/acme/tiny',
  'org.opencontainers.image.title': 'acme/tiny',
  'org.opencontainers.image.url':
    'https://huggingface.co/acme/tiny/tree/c0ffee0000000000000000000000000000000000',
  'org.opencontainers.image.vendor': 'acme',
  'org.opencontainers.image.version': 'c0ffee000000',
};

const config = {
  architecture: 'amd64',
  os: 'linux',
  config: { Labels: about },
  rootfs: {
    type: 'layers',
    diff_ids: [
      'sha256:1d83aff5f1fdb552508d5ab9735c4760be0f14f54bc2bb058506ad5e8698fe18',
      'sha256:760f649592606e48e02bbef5168aba22c7086155af8f9f0a29854d74125db6dd',
      'sha256:acac28f4f7e914392e6c583d361c14c3f5304021873800ca0d1a9e371476a368',
    ],
  },
};

const manifest = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: 'sha256:9d5ad17b290eab0effbf72630dcce968b5c2bf2299ab49d84ca294a19f58dd1c',
    size: 976,
  },
  layers: [
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: 'sha256:1d83aff5f1fdb552508d5ab9735c4760be0f14f54bc2bb058506ad5e8698fe18',
      size: 2560,
      annotations: {
        'dev.boxcar.content.id': 'git:8ec9a00bfd09b3190ac6b22251dbb1aa95a0579d',
        'dev.boxcar.packing': 'tar-1',
        'org.cncf.model.filepath': 'README.md',
        'org.opencontainers.image.title': 'README.md',
      },
    },
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: 'sha256:760f649592606e48e02bbef5168aba22c7086155af8f9f0a29854d74125db6dd',
      size: 2560,
      annotations: {
        'dev.boxcar.content.id': 'git:c5fd3201494e82cf94e6a681cdc535b306134e1a',
        'dev.boxcar.packing': 'tar-1',
        'org.cncf.model.filepath': 'config.json',
        'org.opencontainers.image.title': 'config.json',
      },
    },
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: 'sha256:acac28f4f7e914392e6c583d361c14c3f5304021873800ca0d1a9e371476a368',
      size: 9663678976,
      annotations: {
        'dev.boxcar.content.id': `sha256:${'ab'.repeat(32)}`,
        'dev.boxcar.packing': 'tar-1',
        'org.cncf.model.filepath': 'weights/model.safetensors',
        'org.opencontainers.image.title': 'weights/model.safetensors',
      },
    },
  ],
  annotations: about,
};

test('config and manifest, byte for byte', async () => {
  const plan = await planModelcar(snapshot, defaults);
  const image = modelcarImage(plan, digestsOf(plan));
  assert.equal(image.config.bytes.toString(), JSON.stringify(config));
  assert.equal(image.manifest.bytes.toString(), JSON.stringify(manifest));
  assert.deepEqual(image.config.descriptor, manifest.config);
  assert.deepEqual(image.manifest.descriptor, {
    mediaType: manifest.mediaType,
    digest: 'sha256:3022009fb572604edc5953d5c9e31a90e27e180dfcb63211f8829d691407f9f2',
    size: 2034,
  });
  assert.equal(plan.size, 2560 + 2560 + 9663678976);
});
