import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { mediaTypes } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import type { Repository } from '../../src/registry/repository.ts';
import { readBlob } from '../../src/registry/stored-blob.ts';
import { listTags } from '../../src/registry/tag-list.ts';
import { closeUpload, startUpload } from '../../src/registry/upload-session.ts';
import { manifestType, repositoryAt, seededBytes } from './setup.ts';

/** A registry that the suite runs on, with what it really holds. */
export interface ContentSubject {
  url: string;
  /** `METHOD status` of every request since the last call, in order. */
  exchanges(): string[];
  /** How many uploads of a repository are neither finished nor cancelled. */
  uploads(repository: string): number;
  /** Digests of the blobs that are in a repository. */
  blobsOf(repository: string): string[];
  /** Collects a blob of a repository as garbage. */
  forget(repository: string, digest: string): void;
  /** Gives a manifest that is there more tags, without requests. */
  addTags(repository: string, digest: string, tags: string[]): void;
}

/** What cannot be had everywhere. */
export interface ContentExpectation {
  mounts: 'mounts' | 'falls back' | 'refuses';
  /** Requests that 1,005 tags take; 0 where they are not listed. */
  tagPages: number;
  deletes: 'tags and digests' | 'digests' | 'untagged digests' | 'refused';
  /** GET of a blob is answered by the registry, or by a storage elsewhere. */
  blobs: 'here' | 'elsewhere';
}

/** One suite for what is asked about images that are there: mounts, tags, deletion, small blobs. Each test gets a registry of its own. */
export function contentConformance(
  name: string,
  expected: ContentExpectation,
  start: (t: TestContext) => Promise<ContentSubject>,
): void {
  const begin = async (t: TestContext) => {
    const subject = await start(t);
    const here = repositoryAt(t, subject.url);
    return { subject, here, there: here.sibling('acme/y') };
  };

  describe(`registry content: ${name}`, () => {
    test(`a blob of another repository: ${expected.mounts}`, async (t) => {
      const { subject, here, there } = await begin(t);
      const bytes = seededBytes(100_000);
      const digest = digestOf(bytes);
      const manifest = await putImage(there, 'v1', bytes);
      assert.equal(await here.hasBlob(digest), false, 'repositories do not share blobs');
      await assert.rejects(here.putManifest('v1', manifest, manifestType), /refused the manifest/);
      subject.exchanges();

      const mounted = await mountBlob(here, digest, 'acme/y');
      assert.equal(mounted, expected.mounts === 'mounts');
      const answered = {
        mounts: ['POST 201'],
        'falls back': ['POST 202', 'DELETE 204'],
        refuses: ['POST 405'],
      };
      assert.deepEqual(subject.exchanges(), answered[expected.mounts]);
      assert.deepEqual(subject.blobsOf('acme/x'), mounted ? [digest] : []);
      assert.equal(await here.hasBlob(digest, undefined, bytes.length), mounted);
      assert.equal(subject.uploads('acme/x'), 0);
      if (!mounted) await uploadBytes(here, bytes);
      await uploadBytes(here, config);
      await here.putManifest('v1', manifest, manifestType);
      assert.deepEqual(subject.blobsOf('acme/x'), [digest, digestOf(config)].sort());
    });

    test('what cannot be mounted leaves no upload behind', async (t) => {
      const { subject, here, there } = await begin(t);
      const bytes = seededBytes(1000);
      const digest = digestOf(bytes);
      await putImage(there, 'v1', bytes);
      assert.equal(await mountBlob(here, digestOf(Buffer.from('none')), 'acme/y'), false);
      assert.equal(await mountBlob(here, digest, 'acme/none'), false);
      subject.forget('acme/y', digest);
      assert.equal(await there.hasBlob(digest), false, 'collected');
      assert.equal(await mountBlob(here, digest, 'acme/y'), false);
      assert.equal(subject.uploads('acme/x'), 0);
      assert.deepEqual(subject.blobsOf('acme/x'), []);
    });

    test('a blob that was collected is missed, though the image is there', async (t) => {
      const { subject, here } = await begin(t);
      const bytes = seededBytes(1000);
      await putImage(here, 'v1', bytes);
      assert.equal(await here.hasBlob(digestOf(bytes)), true);
      subject.forget('acme/x', digestOf(bytes));
      assert.equal(await here.hasBlob(digestOf(bytes)), false);
      assert.equal(await readBlob(here, digestOf(bytes), 10_000), undefined);
      assert.ok(await here.manifest('v1'));
      assert.equal(await here.hasBlob(digestOf(config)), true, 'and no other blob');
    });

    test(`tags: ${expected.tagPages} pages`, async (t) => {
      const { subject, here } = await begin(t);
      const listed = expected.tagPages > 0;
      assert.deepEqual(await listTags(here), listed ? [] : undefined, 'no such repository');
      const manifest = await putImage(here, 'v1', Buffer.from('layer'));
      assert.deepEqual(await listTags(here), listed ? ['v1'] : undefined);
      const more = Array.from({ length: 1004 }, (_, index) => `t${index}`);
      subject.addTags('acme/x', digestOf(manifest), more);
      subject.exchanges();
      const tags = await listTags(here);
      assert.deepEqual(tags?.sort(), listed ? ['v1', ...more].sort() : undefined);
      assert.deepEqual(subject.exchanges(), listed ? Array(expected.tagPages).fill('GET 200') : ['GET 405']);
    });

    test(`deletes: ${expected.deletes}`, async (t) => {
      const { subject, here } = await begin(t);
      const [one, two] = [
        await putImage(here, 'v1', Buffer.from('one')),
        await putImage(here, 'v3', Buffer.from('two')),
      ];
      await here.putManifest('v2', one, manifestType);
      const { deletes } = expected;
      const byTag = deletes === 'tags and digests' || deletes === 'untagged digests';
      const byDigest = deletes === 'tags and digests' || deletes === 'digests';
      subject.exchanges();

      assert.equal(await here.deleteManifest('v3'), byTag);
      const refusal = deletes === 'refused' ? 405 : 400;
      assert.deepEqual(subject.exchanges(), [`DELETE ${byTag ? 202 : refusal}`]);
      assert.equal((await here.manifest('v3')) === undefined, byTag);
      assert.ok(await here.manifest(digestOf(two)), 'a manifest outlives its tag');

      assert.equal(await here.deleteManifest(digestOf(one)), byDigest);
      for (const reference of ['v1', 'v2', digestOf(one)])
        assert.equal((await here.manifest(reference)) === undefined, byDigest, reference);
      const left = [...(byDigest ? [] : ['v1', 'v2']), ...(byTag ? [] : ['v3'])];
      if (expected.tagPages > 0) assert.deepEqual((await listTags(here))?.sort(), left);
      // A tag went before: then a digest without any goes everywhere but where nothing does.
      assert.equal(await here.deleteManifest(digestOf(two)), deletes !== 'refused');
      assert.equal(
        await here.hasBlob(digestOf(Buffer.from('two'))),
        true,
        'blobs stay until they are collected',
      );
    });

    test('deleting what is not there', async (t) => {
      const { here } = await begin(t);
      await putImage(here, 'v1', Buffer.from('one'));
      const gone = expected.deletes !== 'refused';
      assert.equal(await here.deleteManifest(digestOf(Buffer.from('none'))), gone);
      assert.equal(await here.deleteManifest('v9'), gone && expected.deletes !== 'digests');
      assert.ok(await here.manifest('v1'));
    });

    test(`a small blob is read, ${expected.blobs}, and no other one`, async (t) => {
      const { subject, here, there } = await begin(t);
      const bytes = seededBytes(70_000);
      const digest = digestOf(bytes);
      await uploadBytes(here, bytes);
      subject.exchanges();
      const read = await readBlob(here, digest, 70_000);
      assert.ok(read?.equals(bytes));
      assert.deepEqual(subject.exchanges(), expected.blobs === 'here' ? ['GET 200'] : ['GET 307', 'GET 200']);
      await assert.rejects(readBlob(here, digest, 69_999));
      assert.equal(await readBlob(there, digest, 70_000), undefined, 'not of this repository');
      assert.equal((await readBlob(here, await uploadBytes(here, Buffer.alloc(0)), 10))?.length, 0);
    });
  });
}

const config = Buffer.from('{}');

/** An image of one layer, under a tag. */
async function putImage(repository: Repository, tag: string, layer: Buffer): Promise<Buffer> {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {
        mediaType: mediaTypes.config,
        digest: await uploadBytes(repository, config),
        size: config.length,
      },
      layers: [
        { mediaType: mediaTypes.layer, digest: await uploadBytes(repository, layer), size: layer.length },
      ],
    }),
  );
  await repository.putManifest(tag, bytes, manifestType);
  return bytes;
}

async function uploadBytes(repository: Repository, bytes: Buffer): Promise<Digest> {
  await closeUpload(repository, await startUpload(repository), digestOf(bytes), bytes);
  return digestOf(bytes);
}
