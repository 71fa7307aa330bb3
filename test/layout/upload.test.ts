import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { BoxcarError } from '../../src/errors.ts';
import { Layout } from '../../src/layout/layout.ts';
import { PartialFile } from '../../src/layout/partial-file.ts';
import { tempDir } from '../support/temp-dir.ts';
import { Body, type Saved } from './bodies.ts';

const never = new AbortController().signal;

async function layoutAt(directory: string): Promise<Layout> {
  const layout = new Layout(directory);
  await layout.connect();
  return layout;
}

function blobPath(directory: string, body: Body): string {
  return join(directory, 'blobs', 'sha256', body.digest().slice(7));
}

/** Files of the layout's own directory that are not part of it. */
function leftovers(directory: string): string[] {
  return readdirSync(directory).filter((name) => !['blobs', 'oci-layout', 'index.json'].includes(name));
}

/** An upload that fails after 500,000 bytes; what a process after it would find. */
async function interrupted(t: TestContext): Promise<{ directory: string; body: Body; saved: Saved }> {
  const directory = tempDir(t);
  const body = new Body();
  let saved: Saved | undefined;
  body.limit = 500_000;
  const layout = await layoutAt(directory);
  const onSaved = (now: Saved | undefined) => {
    saved = now;
  };
  const options = { stop: never, onSaved };
  await assert.rejects(layout.upload(body, options), { message: 'the hub is gone' });
  body.limit = Number.POSITIVE_INFINITY;
  body.opened.length = 0;
  assert.ok(saved);
  assert.equal(saved.offset, 500_000);
  assert.equal(await layout.hasBlob(body.digest()), false);
  return { directory, body, saved };
}

describe('a blob', () => {
  test('is where the image layout says, whole and alone', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    const body = new Body();
    const offsets: number[] = [];
    const digest = await layout.upload(body, { stop: never, onOffset: (offset) => offsets.push(offset) });
    assert.equal(digest, body.digest());
    assert.ok(readFileSync(blobPath(directory, body)).equals(body.bytes));
    assert.equal(statSync(blobPath(directory, body)).mode & 0o777, 0o644);
    assert.deepEqual(leftovers(directory), []);
    assert.ok(await layout.hasBlob(digest));
    assert.deepEqual([offsets[0], offsets.at(-1)], [0, body.size]);
  });

  test('of nothing, and of one byte', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    for (const bytes of [Buffer.alloc(0), Buffer.from('x')]) {
      const body = new Body(bytes);
      await layout.upload(body, { stop: never });
      assert.ok(readFileSync(blobPath(directory, body)).equals(bytes));
    }
  });

  test('that is not right is not there', async (t) => {
    const directory = tempDir(t);
    const layout = await layoutAt(directory);
    const wrong = new BoxcarError('wrong bytes', { code: 'content-mismatch', side: 'hub' });
    class Wrong extends Body {
      override digest(): never {
        throw wrong;
      }
    }
    const saved: unknown[] = [];
    const uploading = layout.upload(new Wrong(), { stop: never, onSaved: (now) => void saved.push(now) });
    await assert.rejects(uploading, (error) => error === wrong);
    assert.equal(saved.at(-1), undefined, 'nothing to go on with');
    assert.deepEqual(leftovers(directory), []);
    assert.deepEqual(readdirSync(join(directory, 'blobs', 'sha256')), []);
  });

  test('two at once, of the same bytes', async (t) => {
    const directory = tempDir(t);
    const body = new Body();
    const layouts = [await layoutAt(directory), await layoutAt(directory)];
    await Promise.all(layouts.map((layout) => layout.upload(body, { stop: never })));
    assert.ok(readFileSync(blobPath(directory, body)).equals(body.bytes));
    assert.deepEqual(leftovers(directory), []);
  });
});

describe('going on', () => {
  test('a new process appends to what is there', async (t) => {
    const { directory, body, saved } = await interrupted(t);
    const layout = await layoutAt(directory);
    assert.equal(await layout.upload(body, { stop: never, saved }), body.digest());
    assert.deepEqual(body.opened, [500_000]);
    assert.ok(readFileSync(blobPath(directory, body)).equals(body.bytes));
    assert.deepEqual(leftovers(directory), []);
  });

  test('what the disk has counts, not what was remembered', async (t) => {
    const { directory, body, saved } = await interrupted(t);
    for (const [onDisk, from] of [
      [body.bytes.subarray(0, 123_456), 123_456],
      [Buffer.alloc(0), 0],
      [body.bytes, body.size],
      [Buffer.concat([body.bytes, Buffer.from('x')]), 0],
    ] as const) {
      writeFileSync(join(directory, saved.location), onDisk);
      body.opened.length = 0;
      const layout = await layoutAt(directory);
      assert.equal(await layout.upload(body, { stop: never, saved }), body.digest());
      assert.deepEqual(body.opened, [from]);
      assert.ok(readFileSync(blobPath(directory, body)).equals(body.bytes));
    }
  });

  test('bytes that were altered meanwhile are found, and all written once more', async (t) => {
    const { directory, body, saved } = await interrupted(t);
    const partial = join(directory, saved.location);
    const altered = readFileSync(partial);
    altered[7] = (altered[7] as number) ^ 1;
    writeFileSync(partial, altered);
    const layout = await layoutAt(directory);
    const told: string[] = [];
    const onRetry = ({ error }: { error: BoxcarError }) => told.push(error.message);
    assert.equal(await layout.upload(body, { stop: never, saved, onRetry }), body.digest());
    assert.match(told.join(), /altered on the disk/);
    assert.deepEqual(body.opened, [500_000, 0]);
    assert.ok(readFileSync(blobPath(directory, body)).equals(body.bytes));
    assert.deepEqual(leftovers(directory), []);
  });

  test('one that was renamed already is there', async (t) => {
    const { directory, body, saved } = await interrupted(t);
    const layout = await layoutAt(directory);
    const known = { ...saved, digest: body.digest() };
    assert.equal(await layout.upload(body, { stop: never, saved: known }), body.digest());
    body.opened.length = 0;
    assert.equal(await layout.upload(body, { stop: never, saved: known }), body.digest());
    assert.deepEqual(body.opened, [], 'nothing was read');
  });

  test('a file that another process writes to is left to it', async (t) => {
    const { directory, body, saved } = await interrupted(t);
    const other = await PartialFile.reopen(directory, saved.location);
    assert.ok(other);
    t.after(() => other.file.close());
    const layout = await layoutAt(directory);
    assert.equal(await layout.upload(body, { stop: never, saved }), body.digest());
    assert.deepEqual(body.opened, [0]);
    assert.equal(statSync(join(directory, saved.location)).size, 500_000);
  });

  test('a stop keeps what there is', async (t) => {
    const directory = tempDir(t);
    const body = new Body();
    const stop = new AbortController();
    const reason = new Error('stopped');
    // As a source does that ends cleanly when told to stop.
    body.open = async function* (from: number) {
      yield this.bytes.subarray(from, from + 300_000);
      stop.abort(reason);
    };
    let saved: Saved | undefined;
    const onSaved = (now: Saved | undefined) => {
      saved = now;
    };
    const options = { stop: stop.signal, onSaved };
    await assert.rejects((await layoutAt(directory)).upload(body, options), (error) => error === reason);
    assert.equal(saved?.offset, 300_000);
    assert.equal(statSync(join(directory, saved?.location ?? '')).size, 300_000);
  });

  test('a name that is not ours is not written to', async (t) => {
    const { directory, body } = await interrupted(t);
    const outside = join(tempDir(t), 'precious');
    writeFileSync(outside, 'precious');
    const before = leftovers(directory).length;
    for (const location of [outside, `../${outside}`, 'index.json', 'oci-layout', '', '.boxcar-x.partial']) {
      const layout = await layoutAt(directory);
      assert.equal(await layout.upload(body, { stop: never, saved: { location, offset: 3 } }), body.digest());
    }
    assert.equal(readFileSync(outside, 'utf8'), 'precious');
    assert.equal(readFileSync(join(directory, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    assert.equal(leftovers(directory).length, before);
  });
});

describe('a directory that cannot be used', () => {
  const isUsage = (error: BoxcarError) =>
    error.code === 'usage' && error.side === 'local' && Boolean(error.hint);

  test('is a file, or below one', async (t) => {
    const file = join(tempDir(t), 'file');
    writeFileSync(file, '');
    await assert.rejects(layoutAt(file), isUsage);
    await assert.rejects(layoutAt(join(file, 'below')), isUsage);
  });
});
