import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { mediaTypes } from '../../../src/oci/descriptor.ts';
import { long } from '../../reliability/tally.ts';
import { history, safetensors } from '../../support/models.ts';
import { describeEachRegistry, kindsInShort } from '../../support/registries.ts';
import { Forger, type Image } from './forged-image.ts';
import { freshPush, mixedFiles } from './fresh-runner.ts';
import { realParties } from './parties.ts';

const model = history('acme/mixed', mixedFiles, ['readme']);
const [, begin] = model.commits.map(({ id }) => id) as [string, string];
const all = Object.keys(mixedFiles).sort();
const large = 'model-1.safetensors';

/** What becomes of an image before it is looked at: all of it is refused. */
const images: [name: string, forge: (forger: Forger, image: Image) => Promise<void>][] = [
  [
    'the annotations on layers that another tool has packed',
    async (forger, image) => {
      for (const layer of image.manifest.layers) {
        const title = layer.annotations['org.opencontainers.image.title'];
        const zipped = gzipSync(forger.layer(image, title).bytes);
        layer.mediaType += '+gzip';
        layer.digest = await forger.putBlob(zipped);
        layer.size = zipped.length;
      }
      await forger.put(image);
    },
  ],
  [
    'the layers under an empty config, as oras writes it',
    async (forger, image) => {
      image.config = {};
      image.manifest.config.mediaType = 'application/vnd.oci.empty.v1+json';
      await forger.put(image);
    },
  ],
  [
    "the layers under Docker's config",
    (forger, image) => {
      image.config = { created: '2025-01-01T00:00:00Z', ...image.config, history: [] };
      return forger.put(image);
    },
  ],
  [
    'a config that names other layers than the manifest',
    (forger, image) => {
      image.config.rootfs.diff_ids.reverse();
      return forger.put(image);
    },
  ],
  [
    'a config of megabytes',
    (forger, image) => {
      image.config.filler = 'x'.repeat(5 * 1024 * 1024);
      return forger.put(image);
    },
  ],
  [
    'one more field',
    (forger, image) => {
      image.manifest.artifactType = 'application/vnd.example';
      return forger.put(image);
    },
  ],
  [
    'other white space',
    (forger, image) => forger.put(image, (manifest) => JSON.stringify(manifest, undefined, 1)),
  ],
  [
    'two layers changed places',
    (forger, image) => {
      image.manifest.layers.reverse();
      image.config.rootfs.diff_ids.reverse();
      return forger.put(image);
    },
  ],
  [
    'a path twice',
    (forger, image) => {
      image.manifest.layers.push(image.manifest.layers.at(-1));
      image.config.rootfs.diff_ids.push(image.config.rootfs.diff_ids.at(-1));
      return forger.put(image);
    },
  ],
  [
    'an index',
    async (forger, { manifest }) => {
      await forger.putManifest(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.index,
          manifests: [],
          annotations: manifest.annotations,
        }),
        mediaTypes.index,
      );
    },
  ],
];

/** What becomes of one layer's blob while manifest and config stay as boxcar writes them. */
const blobs: [name: string, path: string, forge: (bytes: Buffer) => Buffer][] = [
  [
    'other content of the same size',
    'config.json',
    (bytes) => Buffer.from(bytes.toString('latin1').replace('32}', '64}'), 'latin1'),
  ],
  [
    'the content under another name',
    'config.json',
    (bytes) => renamed(bytes, 'models/config.json', 'models/confih.json'),
  ],
  ['other modes', 'extra.txt', (bytes) => renamed(bytes, '0000644', '0000755')],
  ['truncated', 'extra.txt', (bytes) => bytes.subarray(0, 1024)],
  ['trailing garbage', 'extra.txt', (bytes) => Buffer.concat([bytes, Buffer.from('garbage')])],
  ['something in the padding', 'extra.txt', (bytes) => altered(bytes, bytes.length - 1100)],
  ['something in the trailer', 'extra.txt', (bytes) => altered(bytes, bytes.length - 1)],
  ['a second file behind', 'extra.txt', (bytes) => Buffer.concat([bytes.subarray(0, 1024), bytes])],
  ['far more than was said', 'small.bin', (bytes) => Buffer.concat([bytes, Buffer.alloc(200_000)])],
  ['nothing', 'empty.txt', () => Buffer.alloc(0)],
  ['a large layer cut short', large, (bytes) => bytes.subarray(0, 100_352)],
  ['a large layer with more behind', large, (bytes) => Buffer.concat([bytes, safetensors(512, 9)])],
];

describeEachRegistry(
  'an image that boxcar has not made',
  (kind) => {
    const parties = realParties(kind, { models: [model] });
    let right: string;
    let count = 0;
    before(async () => {
      right = (await push(model.name, 'right')).result.manifestDigest;
    });
    const push = (name: string, repository: string) => freshPush(parties, name, repository);

    /** The image of the commit before, in a repository of its own, as the forger leaves it; then the new commit is pushed. */
    async function pushOver(forge: (forger: Forger, image: Image) => Promise<void>) {
      const repository = `forged/${count++}`;
      await push(`${model.name}@${begin}`, repository);
      const forger = new Forger(parties.real, repository, begin.slice(0, 12));
      await forge(forger, await forger.image());
      return push(model.name, repository);
    }

    for (const [name, path, forge] of blobs)
      test(`${name}: that layer is transferred`, async () => {
        const { result, transferred, warnings } = await pushOver(async (forger, image) => {
          const before = forger.layer(image, path).bytes;
          const bytes = forge(before);
          assert.notDeepEqual(bytes, before);
          await forger.replaceLayer(image, path, bytes);
          await forger.put(image);
        });
        assert.deepEqual(transferred, ['README.md', path].sort());
        assert.equal(result.manifestDigest, right);
        assert.ok(warnings.length <= 1, warnings.join('\n'));
      });

    test('what remains: a large blob of the right size, under a manifest and config that are forged whole', async () => {
      const { result, transferred } = await pushOver(async (forger, image) => {
        await forger.replaceLayer(image, large, altered(forger.layer(image, large).bytes, 100_000));
        await forger.put(image);
      });
      assert.deepEqual(transferred, ['README.md']);
      assert.notEqual(result.manifestDigest, right);
    });

    // What a manifest says is judged without the registry.
    if (!long && kind === 'distribution-2') return;

    for (const [name, forge] of images)
      test(`${name}: nothing of it is reused`, async () => {
        const { result, transferred } = await pushOver(forge);
        assert.deepEqual(transferred, all);
        assert.equal(result.manifestDigest, right);
      });
  },
  kindsInShort,
);

function altered(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other.writeUInt8(other.readUInt8(at) ^ 1, at);
  return other;
}

/** Another word of the same length in the header, whose checksum is right again. */
function renamed(bytes: Buffer, from: string, to: string): Buffer {
  const other = Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1');
  other.write(' '.repeat(8), 148, 'latin1');
  const sum = other.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  other.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return other;
}
