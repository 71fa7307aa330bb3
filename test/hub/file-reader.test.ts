import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mib, readAll, readerFor, until } from './hubs.ts';

describe('reading', () => {
  test('the whole file, and any tail of it', async (t) => {
    const { reader, truth, file, server } = await readerFor(t);
    for (const from of [0, 1, 4096, mib - 1, mib, 5 * mib + 7, file.size - 1]) {
      const got = await readAll(reader, from);
      assert.ok(got.equals(truth.subarray(from)), `from ${from}`);
    }
    assert.equal((await readAll(reader, file.size)).length, 0);
    assert.deepEqual(server.violations, []);
  });

  test('a file that the hub answers itself', async (t) => {
    for (const resolveCache of [false, true]) {
      const { reader, truth, asked } = await readerFor(t, { resolveCache, size: 300, lfs: false });
      assert.ok((await readAll(reader, 100)).equals(truth.subarray(100)));
      assert.equal(asked('cdn').length, 0);
    }
  });

  test('names that must be escaped', async (t) => {
    for (const path of ['Größe/模型 №1.bin', 'a b/c#d?e%f.bin', "it's+(1).bin"]) {
      const { reader, truth } = await readerFor(t, { path, size: 1000 });
      assert.ok((await readAll(reader)).equals(truth), path);
    }
  });

  test('mirrors: relative 308, no lengths', async (t) => {
    const mirror = { redirectStatus: 308, relativeRedirects: true, omitContentLength: true } as const;
    const { reader, truth, asked } = await readerFor(t, { ...mirror, omitRepoCommit: true });
    assert.ok((await readAll(reader)).equals(truth));
    assert.equal(asked('cdn').length, 0);
  });

  test('a store that refuses long answers', async (t) => {
    const { reader, truth } = await readerFor(t, { largestBody: 4 * mib });
    assert.ok((await readAll(reader)).equals(truth));
  });

  test('several readers of one file at once', async (t) => {
    const { reader, truth } = await readerFor(t);
    const all = await Promise.all([0, 1, 2 * mib].map((from) => readAll(reader, from)));
    assert.ok(all.every((got, i) => got.equals(truth.subarray([0, 1, 2 * mib][i]))));
  });
});

describe('what is asked of whom', () => {
  test('the hub is asked once, the store for all windows', async (t) => {
    const { reader, asked } = await readerFor(t);
    await readAll(reader);
    await readAll(reader, 5 * mib);
    assert.equal(asked('hub').length, 1);
    assert.ok(asked('cdn').length > 4);
  });

  test('always a range, always identity, never the token away from the hub', async (t) => {
    const { reader, server, asked } = await readerFor(t, { token: 'hf_secret' });
    await readAll(reader);
    for (const { range, headers } of server.requests) {
      assert.match(range ?? '', /^bytes=\d+-\d+$/);
      assert.equal(headers['accept-encoding'], 'identity');
    }
    assert.equal(asked('hub')[0]?.headers.authorization, 'Bearer hf_secret');
    assert.ok(asked('cdn').every(({ headers }) => headers.authorization === undefined));
    assert.deepEqual(server.violations, []);
  });

  test('no byte is asked for twice', async (t) => {
    const { reader, server, file } = await readerFor(t);
    await readAll(reader);
    assert.equal(server.bytesOf.get(file.path), file.size);
  });

  test('expired URLs are resolved anew, once', { timeout: 10_000 }, async (t) => {
    const { reader, server, truth, asked, retries } = await readerFor(t, { bytesPerSecond: 16 * mib });
    const reading = reader.open(0);
    const first = await reading.next();
    assert.ok(!first.done);
    const pieces = [Buffer.from(first.value)];
    // All four windows have their answers; those after them will be refused.
    await until(() => asked('cdn').filter(({ bytesSent }) => bytesSent > 0).length >= 4);
    server.expireUrls();
    for await (const piece of reading) pieces.push(Buffer.from(piece));
    assert.ok(Buffer.concat(pieces).equals(truth));
    assert.equal(asked('hub').length, 2);
    assert.deepEqual(retries, [], 'that is no failure');
  });

  test('expired while other windows waited for it, it is resolved anew', async (t) => {
    const { reader, server, truth, asked, retries } = await readerFor(t);
    server.faults.push({ match: { origin: 'cdn' }, skip: 1, action: { kind: 'status', status: 403 } });
    assert.ok((await readAll(reader)).equals(truth));
    assert.equal(asked('hub').length, 2);
    assert.deepEqual(retries, [], 'that is no failure');
  });

  test('a model that was renamed: one redirect more, which may fail as well', async (t) => {
    const { reader, server, truth, file, asked } = await readerFor(t);
    const location = `/acme/one/resolve/main/${file.path}?renamed`;
    const renamed = (request: { url: string }) =>
      !request.url.endsWith('renamed') && !/Expires/.test(request.url);
    const moved = { kind: 'status', status: 307, headers: { location } } as const;
    server.faults.push({ match: renamed, times: Infinity, action: moved });
    server.faults.push({ match: ({ url }) => url.endsWith('renamed'), action: { kind: 'reset' } });
    assert.ok((await readAll(reader)).equals(truth));
    assert.ok(asked('hub').length <= 5);
  });

  test('a store that refuses what was signed just now is given up', async (t) => {
    const { reader, asked } = await readerFor(t, { expiresInMs: -1, limit: 2 });
    await assert.rejects(readAll(reader), {
      code: 'hub-failed',
      message: "the hub's store refused weights.bin",
    });
    assert.ok(asked('hub').length <= 3 * 8, 'each window, each attempt');
  });
});

describe('refusals', () => {
  test('a gate, a wrong token, a file that is gone', async (t) => {
    const access = { token: 'hf_right', strangerToken: 'hf_stranger', anonymous: true };
    const refusal = async (options: object, match: object) => {
      const { reader, server, file } = await readerFor(t, { size: 1000, ...options });
      server.faults.push({ match: { origin: 'hub' }, times: Infinity, ...match } as never);
      const error = await readAll(reader).then(
        () => assert.fail(`${file.path} was read`),
        (thrown) => thrown,
      );
      return [error.code, error.request?.status];
    };
    const status = (code: number, headers = {}) => ({ action: { kind: 'status', status: code, headers } });
    assert.deepEqual(await refusal(access, status(401, { 'x-error-code': 'GatedRepo' })), [
      'unauthorized',
      401,
    ]);
    assert.deepEqual(await refusal(access, status(403)), ['unauthorized', 403]);
    assert.deepEqual(await refusal(access, status(404)), ['not-found', 404]);
  });
});
