import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Dialect, standard } from '../../src/registry/dialects.ts';
import { type UploadChoice, UploadManner, wholeSize } from '../../src/registry/upload-manner.ts';
import {
  appendUpload,
  cancelUpload,
  closeUpload,
  startUpload,
  uploadStatus,
} from '../../src/registry/upload-session.ts';
import {
  digestOf,
  manifestType,
  mib,
  repositoryAt,
  seededBytes,
  stopReason,
  TestBody,
  upload,
} from './setup.ts';

/** A registry that the suite runs on: a real one behind the fault proxy, or the fake with one of its presets. */
export interface Subject {
  url: string;
  /** Cuts the connection of the next PATCH after so many bytes of it. */
  cutPatch(after: number): void;
  /** Bytes of all PATCHes and closing PUTs that arrived. */
  bytesSent(): number;
  /** `METHOD status` of every request that was refused, but for HEAD and GET of what is not there. */
  refusals(): string[];
  /** URLs of the closing PUTs, as sent. */
  closings(): string[];
  blob(digest: string): Buffer | undefined;
  /** How many uploads are neither finished nor cancelled. */
  uploads(): number;
}

/** What cannot be had everywhere. */
export interface Expectation {
  /** A layer sent as one stream, as chunks: arrives, or cannot arrive there when nothing else is allowed. */
  stream: 'arrives' | 'impossible';
  chunked: 'arrives' | 'impossible';
  /** After a clean stop, and after a cut: no byte is sent twice, or the layer starts again from its first byte. */
  afterStop: 'goes on' | 'starts again';
  afterCut: 'goes on' | 'starts again';
  /** Whether Locations have a query of their own. */
  query: boolean;
  /** What a chunk that starts too early gets: a refusal, or a place at the end. */
  outOfStep: 'refused' | 'appended';
}

const chunkSize = 2 * mib;
const large = 5 * mib + 3;

/** One suite for every registry. Each test gets a registry of its own from `start`. */
export function conformance(
  name: string,
  expected: Expectation,
  start: (t: TestContext) => Promise<Subject>,
  dialect?: Dialect,
): void {
  const mannerOf = (choice: UploadChoice) => new UploadManner(choice, chunkSize, dialect ?? standard);
  describe(`registry conformance: ${name}`, () => {
    for (const choice of ['stream', 'chunked', 'auto'] satisfies UploadChoice[]) {
      const impossible = choice !== 'auto' && expected[choice] === 'impossible';
      test(`${choice}: blobs of 0, 1 and 1,000 bytes, and of several MiB${impossible ? ' (cannot)' : ''}`, async (t) => {
        const subject = await start(t);
        const repository = repositoryAt(t, subject.url);
        const manner = mannerOf(choice);
        for (const size of [0, 1, 1000, large]) {
          const bytes = seededBytes(size);
          assert.equal(await repository.hasBlob(digestOf(bytes)), false, `HEAD before ${size}`);
          const { digest, error } = await upload(repository, manner, new TestBody(bytes));
          if (size === large && impossible) {
            assert.equal(error.code, 'registry-failed');
            assert.equal(subject.blob(digestOf(bytes)), undefined);
            continue;
          }
          assert.equal(digest, digestOf(bytes), `${size}: ${error.message}`);
          assert.ok(subject.blob(digestOf(bytes))?.equals(bytes), `stored ${size}`);
          assert.equal(await repository.hasBlob(digestOf(bytes)), true, `HEAD after ${size}`);
        }
        if (choice !== 'auto') assert.equal(manner.now.kind, choice);
        if (dialect && choice === 'auto')
          assert.deepEqual(subject.refusals(), [], 'a known dialect costs nothing');
      });
    }

    for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
      if (expected[choice] === 'impossible') continue;
      test(`${choice}: stopped in the middle, a second run ${expected.afterStop}`, async (t) => {
        const subject = await start(t);
        const repository = repositoryAt(t, subject.url);
        const bytes = seededBytes(large);
        const stop = new AbortController();
        const half = new TestBody(bytes, {
          before(offset) {
            if (offset >= 4 * mib + 1000) stop.abort(stopReason());
          },
        });
        const first = await upload(repository, mannerOf(choice), half, {
          stop: stop.signal,
        });
        assert.equal(first.error.code, 'stopped');
        const inSession = subject.bytesSent();
        assert.equal(first.saved?.offset, inSession, 'what was sent is what is saved');
        assert.ok(inSession >= 4 * mib && inSession < large);
        assert.equal(subject.blob(digestOf(bytes)), undefined);

        const body = new TestBody(bytes);
        const second = await upload(repository, mannerOf(choice), body, {
          saved: first.saved,
        });
        assert.equal(second.digest, digestOf(bytes), second.error.message);
        assert.ok(subject.blob(digestOf(bytes))?.equals(bytes));
        if (expected.afterStop === 'goes on') {
          assert.equal(subject.bytesSent(), large);
          assert.deepEqual(body.opened, [inSession]);
        } else {
          assert.ok(subject.bytesSent() >= inSession + large && subject.bytesSent() <= 2 * large);
        }
      });
    }

    test(`auto: a cut in the middle ${expected.afterCut}`, async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const bytes = seededBytes(2 * mib);
      subject.cutPatch(mib + 1);
      const manner = mannerOf('auto');
      const { digest, error, retries } = await upload(repository, manner, new TestBody(bytes));
      assert.equal(digest, digestOf(bytes), error.message);
      assert.ok(subject.blob(digestOf(bytes))?.equals(bytes));
      assert.ok(retries.length >= 1);
      if (expected.afterCut === 'goes on') assert.equal(subject.bytesSent(), bytes.length);
      else assert.ok(subject.bytesSent() >= bytes.length + mib && subject.bytesSent() <= bytes.length * 2);
    });

    test('a saved session that is no more costs nothing but its bytes', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const bytes = seededBytes(100_000);
      const { location } = await startUpload(repository);
      const url = new URL(location);
      url.pathname = url.pathname.replace(/[^/]+$/, '00000000-0000-4000-8000-000000000000');
      const saved = { location: url.href, offset: 50_000 };
      const manner = mannerOf('auto');
      const { digest, error } = await upload(repository, manner, new TestBody(bytes), { saved });
      assert.equal(digest, digestOf(bytes), error.message);
      assert.equal(subject.bytesSent(), bytes.length);
    });

    for (const size of [1000, 2 * mib]) {
      test(`a wrong digest never becomes a blob: ${size} bytes`, async (t) => {
        const subject = await start(t);
        const repository = repositoryAt(t, subject.url);
        const bytes = seededBytes(size);
        const claimed = digestOf(Buffer.from('other'));
        const body = new TestBody(bytes, { claimed });
        const { error, saved } = await upload(repository, mannerOf('auto'), body);
        assert.equal(error.code, 'registry-failed');
        assert.match(error.request?.answer ?? '', /DIGEST_INVALID/);
        assert.deepEqual(body.opened, [0, 0], 'sent once more from its first byte, and no further time');
        assert.equal(saved, undefined);
        assert.equal(await repository.hasBlob(claimed), false);
        assert.equal(await repository.hasBlob(digestOf(bytes)), false);
        // Distribution 2.8 forgets a session whose PUT brought the bytes and was refused, and leaves its file behind.
        if (size > wholeSize) assert.equal(subject.uploads(), 0);
      });
    }

    test('a cancelled upload is gone', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const session = await startUpload(repository);
      const body = new TestBody(Buffer.from('hello')).open(0, new AbortController().signal);
      const location = await appendUpload(repository, session, body, undefined);
      assert.equal(subject.uploads(), 1);
      await cancelUpload(repository, { location, offset: 5 });
      assert.equal(await uploadStatus(repository, { location, offset: 5 }), undefined);
      assert.equal(subject.uploads(), 0);
    });

    test(`the closing PUT keeps ${expected.query ? 'the query of its Location' : 'a Location without query'}`, async (t) => {
      const subject = await start(t);
      const bytes = seededBytes(10);
      const manner = mannerOf('auto');
      await upload(repositoryAt(t, subject.url), manner, new TestBody(bytes));
      const digest = encodeURIComponent(digestOf(bytes));
      const [closing = '', ...more] = subject.closings();
      assert.deepEqual(more, []);
      assert.equal(closing.endsWith(`${expected.query ? '&' : '?'}digest=${digest}`), true, closing);
      assert.equal(closing.split('?').length, 2, closing);
    });

    test('the same blob four times at once', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const bytes = seededBytes(300_000);
      const manner = mannerOf('auto');
      const uploads = await Promise.all(
        [1, 2, 3, 4].map(() => upload(repository, manner, new TestBody(bytes))),
      );
      for (const { digest, error } of uploads) assert.equal(digest, digestOf(bytes), error.message);
      assert.ok(subject.blob(digestOf(bytes))?.equals(bytes));
    });

    test('a chunk that is out of step never becomes part of a blob', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const bytes = seededBytes(2000);
      const whole = new TestBody(bytes).open(0, new AbortController().signal);
      const begun = await startUpload(repository);
      const location = await appendUpload(repository, begun, whole, bytes.length);
      const again = { location, offset: 1000 };
      const late = new TestBody(bytes).open(1000, new AbortController().signal);
      const appending = appendUpload(repository, again, late, 1000);
      if (expected.outOfStep === 'refused') await assert.rejects(appending);
      else {
        const next = { location: await appending, offset: 2000 };
        await assert.rejects(closeUpload(repository, next, digestOf(bytes), undefined), /finished upload/);
      }
      assert.equal(subject.blob(digestOf(bytes)), undefined);
    });

    test('a blob in one PUT', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const bytes = seededBytes(1_000_000);
      await closeUpload(repository, await startUpload(repository), digestOf(bytes), bytes);
      assert.ok(subject.blob(digestOf(bytes))?.equals(bytes));
      assert.equal(await repository.hasBlob(digestOf(bytes)), true);
    });

    test('a manifest is refused before its blobs are there, and under another digest than its own', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      const config = Buffer.from('{"of":"nothing"}');
      const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', size: config.length };
      const bytes = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: manifestType,
          config: { ...descriptor, digest: digestOf(config) },
          layers: [],
        }),
      );
      await assert.rejects(repository.putManifest('v1', bytes, manifestType), /refused the manifest/);
      assert.equal(await repository.manifest('v1'), undefined);
      await upload(repository, mannerOf('auto'), new TestBody(config));
      const other = digestOf(Buffer.from('other'));
      await assert.rejects(repository.putManifest(other, bytes, manifestType), /refused the manifest/);
      assert.equal(await repository.manifest(other), undefined);
      await repository.putManifest(digestOf(bytes), bytes, manifestType);
      assert.ok((await repository.manifest(digestOf(bytes)))?.bytes.equals(bytes));
    });

    test('a manifest is put, read, and its tag moved; an unknown one is undefined', async (t) => {
      const subject = await start(t);
      const repository = repositoryAt(t, subject.url);
      assert.equal(await repository.manifest('v1'), undefined);
      const config = Buffer.from('{}');
      await upload(repository, mannerOf('auto'), new TestBody(config));
      const [one, two] = ['1', '2'].map((version) =>
        Buffer.from(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: manifestType,
            config: {
              mediaType: 'application/vnd.oci.image.config.v1+json',
              digest: digestOf(config),
              size: config.length,
            },
            layers: [],
            annotations: { version },
          }),
        ),
      ) as [Buffer, Buffer];
      for (const bytes of [one, two]) {
        await repository.putManifest('v1', bytes, manifestType);
        const there = await repository.manifest('v1');
        assert.equal(there?.bytes.toString(), bytes.toString());
        assert.equal(there?.mediaType, manifestType);
        assert.equal(there?.digest, digestOf(bytes));
      }
      assert.ok((await repository.manifest(digestOf(one)))?.bytes.equals(one), 'by its digest');
      assert.equal(await repository.manifest('v2'), undefined);
      assert.equal(await repository.manifest(digestOf(Buffer.from('none'))), undefined);
    });
  });
}
