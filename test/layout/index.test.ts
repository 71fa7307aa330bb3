import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Layout } from '../../src/layout/layout.ts';
import { mediaTypes } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { imageConfig, imageManifest, parsePlatform } from '../../src/oci/image.ts';
import { tempDir } from '../support/temp-dir.ts';

// biome-ignore lint/suspicious/noExplicitAny: what JSON.parse gives.
type Parsed = any;

const refName = 'org.opencontainers.image.ref.name';
const noSkopeo = spawnSync('skopeo', ['--version']).error ? 'no skopeo here: apt-get install skopeo' : false;

function indexOf(directory: string): Parsed {
  return JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
}

function manifestOf(text: string): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, text }));
}

async function layoutAt(directory: string): Promise<Layout> {
  const layout = new Layout(directory);
  await layout.connect();
  return layout;
}

describe('index.json', () => {
  test('names a manifest by its tag', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    const bytes = manifestOf('one');
    await layout.putManifest('v1', bytes, mediaTypes.manifest);
    assert.deepEqual(indexOf(directory), {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [
        {
          mediaType: mediaTypes.manifest,
          digest: digestOf(bytes),
          size: bytes.length,
          annotations: { [refName]: 'v1' },
        },
      ],
    });
    const found = { digest: digestOf(bytes), mediaType: mediaTypes.manifest, bytes };
    assert.deepEqual(await layout.manifest('v1'), found);
    assert.deepEqual(await layout.manifest(digestOf(bytes)), found);
    assert.equal(await layout.manifest('v2'), undefined);
  });

  test('a tag moves, several may be of one manifest', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    for (const [tag, text] of [
      ['v1', 'one'],
      ['v2', 'one'],
      ['v1', 'two'],
    ] as const) {
      await layout.putManifest(tag, manifestOf(text), mediaTypes.manifest);
    }
    assert.deepEqual(
      indexOf(directory).manifests.map((entry: Parsed) => [entry.annotations[refName], entry.digest]),
      [
        ['v2', digestOf(manifestOf('one'))],
        ['v1', digestOf(manifestOf('two'))],
      ],
    );
  });

  test('what others wrote in it stays', async (t) => {
    const directory = tempDir(t);
    const other = {
      mediaType: 'application/vnd.other+json',
      digest: `sha256:${'0'.repeat(64)}`,
      size: 7,
      platform: { os: 'linux', architecture: 'arm64' },
      annotations: { [refName]: 'theirs', more: 'x' },
    };
    const untagged = { ...other, annotations: undefined };
    const index = { schemaVersion: 2, manifests: [other, untagged], annotations: { 'com.example': 'y' } };
    writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
    const layout = await layoutAt(directory);
    await layout.putManifest('ours', manifestOf('one'), mediaTypes.manifest);
    const { manifests, annotations } = indexOf(directory);
    assert.deepEqual(manifests.slice(0, 2), JSON.parse(JSON.stringify(index.manifests)));
    assert.equal(manifests[2].annotations[refName], 'ours');
    assert.deepEqual(annotations, index.annotations);
  });

  test('twenty tags by two instances at once', async (t) => {
    const directory = tempDir(t);
    const layouts = [await layoutAt(directory), await layoutAt(directory)];
    const tags = Array.from({ length: 20 }, (_, i) => `t${i}`);
    const put = (tag: string, i: number) =>
      layouts[i % 2]?.putManifest(tag, manifestOf(tag), mediaTypes.manifest);
    await Promise.all(tags.map(put));
    const listed = indexOf(directory).manifests.map((entry: Parsed) => entry.annotations[refName]);
    assert.deepEqual(listed.sort(), tags.sort());
  });

  test('thirty tags by three processes at once', async (t) => {
    const directory = tempDir(t);
    await layoutAt(directory);
    const script = `
      const { Layout } = await import(${JSON.stringify(new URL('../../src/layout/layout.ts', import.meta.url).href)});
      const [directory, name] = process.argv.slice(1);
      const layout = new Layout(directory);
      for (let i = 0; i < 10; i++) await layout.putManifest(name + i, Buffer.from(name + i), 'x/y');
    `;
    const run = (name: string) =>
      promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script, directory, name]);
    await Promise.all(['a', 'b', 'c'].map(run));
    assert.equal(new Set(indexOf(directory).manifests.map((entry: Parsed) => entry.digest)).size, 30);
  });

  for (const text of ['', 'no JSON', 'null', '[]', '{}', '{"manifests":{}}', '{"manifests":[null]}']) {
    test(`damaged, it is left alone: ${text}`, async (t) => {
      const directory = tempDir(t);
      writeFileSync(join(directory, 'index.json'), text);
      const layout = new Layout(directory);
      const work = async (): Promise<void> => {
        await layout.connect();
        await layout.putManifest('v1', manifestOf('one'), mediaTypes.manifest);
      };
      await assert.rejects(work(), { code: 'usage', side: 'local' });
      assert.equal(readFileSync(join(directory, 'index.json'), 'utf8'), text);
    });
  }

  test('a manifest whose blob is gone is not there', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    await layout.putManifest('v1', manifestOf('one'), mediaTypes.manifest);
    writeFileSync(join(directory, 'blobs', 'sha256', digestOf(manifestOf('one')).slice(7)), 'other bytes');
    assert.notEqual((await layout.manifest('v1'))?.digest, digestOf(manifestOf('one')), 'read, not believed');
  });
});

test('the directory is named in what is told', async (t) => {
  const layout = new Layout('some/where');
  assert.equal(layout.imageRef('v1'), 'oci:some/where:v1');
  assert.equal(layout.imageRefDigest(`sha256:${'a'.repeat(64)}`), `oci:some/where@sha256:${'a'.repeat(64)}`);
  const directory = tempDir(t);
  mkdirSync(join(directory, 'blobs'), { recursive: true });
  await layoutAt(directory);
  assert.equal(readFileSync(join(directory, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
});

test('skopeo reads it', { skip: noSkopeo }, async (t) => {
  const directory = tempDir(t);
  const layout = await layoutAt(directory);
  const tar = Buffer.alloc(1024);
  await layout.putBlob(tar);
  const config = imageConfig(parsePlatform('linux/amd64'), [digestOf(tar)], { a: 'b' });
  await layout.putBlob(config.bytes);
  const layer = { mediaType: mediaTypes.layer, digest: digestOf(tar), size: tar.length };
  const { bytes } = imageManifest(config.descriptor, [layer], {});
  await layout.putManifest('v1', bytes, mediaTypes.manifest);
  const run = promisify(execFile);
  const { stdout } = await run('skopeo', ['inspect', `oci:${directory}:v1`]);
  const seen = JSON.parse(stdout);
  assert.deepEqual([seen.Digest, seen.Architecture, seen.Labels], [digestOf(bytes), 'amd64', { a: 'b' }]);
  await run('skopeo', ['copy', '--quiet', `oci:${directory}:v1`, `dir:${tempDir(t)}`]);
});
