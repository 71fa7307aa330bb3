import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { takeSnapshot } from '../../src/hub/snapshot.ts';
import type { Model } from '../support/hub/model.ts';
import type { HubOptions } from '../support/hub.ts';
import { commitId, filesOf, headOf, manyFiles, oneCommit, tinyModel } from '../support/models.ts';
import { hubAt, startTestHub } from './hubs.ts';

async function snapshot(
  t: TestContext,
  model: string,
  revision: string,
  options: Partial<HubOptions> = {},
  token?: string,
) {
  const server = await startTestHub(t, { models: [tinyModel()], ...options });
  const hub = hubAt(t, server.url, token === undefined ? {} : { token });
  return { server, ...(await takeSnapshot(hub, model, revision)) };
}

async function failure(...args: Parameters<typeof snapshot>): Promise<BoxcarError> {
  return snapshot(...args).then(
    () => assert.fail('it was taken'),
    (error) => error,
  );
}

const older = commitId('acme/tiny 1');

describe('a snapshot', () => {
  test('has every file with size and content id, sorted', async (t) => {
    const { files, commit, model, card, gated } = await snapshot(t, 'acme/tiny', 'main');
    assert.deepEqual([model, commit, gated], ['acme/tiny', headOf(tinyModel()), false]);
    assert.deepEqual(card, { license: 'apache-2.0' });
    const listed = Object.entries(filesOf(tinyModel())).map(([path, content]) => [
      path,
      Buffer.from(content as string).length,
    ]);
    assert.deepEqual(
      files.map(({ path, size }) => [path, size]),
      listed.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    );
    const ids = new Map(files.map((file) => [file.path, file]));
    assert.equal(ids.get('empty.txt')?.contentId, 'git:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391');
    assert.match(ids.get('model-00001-of-00002.safetensors')?.contentId ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.match(ids.get('model-00001-of-00002.safetensors')?.xetHash ?? '', /^[0-9a-f]{64}$/);
    assert.ok(!('xetHash' in (ids.get('config.json') ?? {})));
  });

  test('5,000 files over pages', async (t) => {
    const { files, server } = await snapshot(t, 'acme/many', 'main', { models: [manyFiles(5000)] });
    assert.equal(files.length, 5000);
    assert.equal(new Set(files.map(({ path }) => path)).size, 5000);
    assert.ok(files.every(({ path }, i) => i === 0 || path > (files[i - 1]?.path ?? '')));
    assert.ok(server.requests.length <= 7);
  });

  test('reads no file', async (t) => {
    const { server } = await snapshot(t, 'acme/tiny', 'main');
    assert.equal(server.bytesOf.size, 0);
  });

  test('is the same of a mirror whose links lead to the public hub', async (t) => {
    const link = { link: '<https://huggingface.co/api/models/acme/many/tree/x>; rel="next"' };
    const server = await startTestHub(t, { models: [oneCommit('acme/many', { a: 'a' })] });
    const nextPage = (request: { url: string }) => request.url.endsWith('/tree/x');
    const tree = (request: { path: string }) => request.path.includes('/tree/');
    server.faults.push({ match: nextPage, action: { kind: 'status', status: 200, body: '[]' } });
    server.faults.push({ match: tree, action: { kind: 'headers', headers: link } });
    const { files } = await takeSnapshot(hubAt(t, server.url), 'acme/many', 'main');
    assert.equal(files.length, 1);
    assert.equal(server.faults.length, 0, 'the next page was asked of the mirror');
  });

  test('knows the licence, also where it is a list or has a name of its own', async (t) => {
    for (const [cardData, card] of [
      [{ license: ['mit', 'gpl-3.0'] }, { license: 'mit' }],
      [
        { license: 'other', license_name: 'qwen' },
        { license: 'other', licenseName: 'qwen' },
      ],
      [{ license: 7, license_name: '' }, {}],
      [undefined, {}],
    ] as [Record<string, unknown> | undefined, object][]) {
      const model: Model = { ...oneCommit('acme/x', { a: 'a' }), ...(cardData ? { cardData } : {}) };
      assert.deepEqual((await snapshot(t, 'acme/x', 'main', { models: [model] })).card, card);
    }
  });
});

describe('a revision', () => {
  test('is a branch, a tag, or a commit', async (t) => {
    const branches = { main: headOf(tinyModel()), 'feature/x': older };
    const models = [{ ...tinyModel(), branches }];
    for (const [revision, commit] of [
      ['main', headOf(tinyModel())],
      ['v1.0', older],
      ['feature/x', older],
      [older, older],
    ] as const) {
      assert.equal((await snapshot(t, 'acme/tiny', revision, { models })).commit, commit, revision);
    }
  });

  test('is the start of a commit, however short and however written', async (t) => {
    for (const start of [
      older.slice(0, 12),
      older.slice(0, 7),
      older.slice(0, 5),
      older.slice(0, 5).toUpperCase(),
    ]) {
      assert.equal((await snapshot(t, 'acme/tiny', start)).commit, older, start);
    }
  });

  test('that several commits start with is refused, with more of their digits', async (t) => {
    const ids = ['abcde1'.padEnd(40, '0'), 'abcde2'.padEnd(40, '0')];
    const commits = ids.map((id) => ({ id, files: { a: 'a' } }));
    const error = await failure(t, 'acme/x', 'abcde', { models: [{ name: 'acme/x', commits }] });
    assert.deepEqual([error.code, error.exitCode], ['not-found', 4]);
    assert.match(error.message, /is the start of 2 commits/);
    assert.match(error.hint ?? '', /abcde1000, abcde2000/);
  });

  test('that there is not', async (t) => {
    for (const revision of ['nothing', 'ffff', 'f'.repeat(40)]) {
      const error = await failure(t, 'acme/tiny', revision);
      assert.deepEqual([error.code, error.exitCode], ['not-found', 4], revision);
      assert.match(error.message, new RegExp(`no such revision: acme/tiny at revision ${revision}`));
    }
  });

  test('that moves while it is listed changes nothing: the commit is listed', async (t) => {
    const { server, commit } = await snapshot(t, 'acme/tiny', 'main');
    const listings = server.requests.filter(({ path }) => path.includes('/tree/'));
    assert.ok(listings.length > 0 && listings.every(({ path }) => path.includes(`/tree/${commit}`)));
  });
});

describe('access', () => {
  const closed = { ...tinyModel('acme/closed'), private: true };
  const gated = { ...tinyModel('acme/gated'), gated: 'manual' as const };
  const options = {
    models: [tinyModel(), closed, gated],
    token: 'hf_right',
    strangerToken: 'hf_other',
    anonymous: true,
  };

  test('an unknown model: with a token it is not there, without one it may be private', async (t) => {
    const known = await failure(t, 'acme/none', 'main', options, 'hf_right');
    assert.deepEqual([known.code, known.exitCode], ['not-found', 4]);
    const anonymous = await failure(t, 'acme/none', 'main', options);
    assert.deepEqual([anonymous.code, anonymous.side], ['unauthorized', 'hub']);
    assert.match(anonymous.hint ?? '', /no such model, or it is private.*HF_TOKEN/);
  });

  test('a private model', async (t) => {
    assert.equal((await failure(t, 'acme/closed', 'main', options)).code, 'unauthorized');
    assert.equal((await failure(t, 'acme/closed', 'main', options, 'hf_other')).code, 'not-found');
    assert.equal((await snapshot(t, 'acme/closed', 'main', options, 'hf_right')).files.length, 10);
  });

  test('a wrong token', async (t) => {
    const error = await failure(t, 'acme/tiny', 'main', options, 'hf_wrong');
    assert.deepEqual([error.code, error.exitCode, error.side], ['unauthorized', 3, 'hub']);
    assert.match(error.hint ?? '', /is the token valid/);
    assert.ok(!JSON.stringify(error).includes('hf_wrong'));
  });

  test('a gate is known from the listing', async (t) => {
    assert.equal((await snapshot(t, 'acme/gated', 'main', options)).gated, true);
  });
});

describe('a hub that makes no sense', () => {
  const spoiled = async (t: TestContext, path: RegExp, body: string): Promise<BoxcarError> => {
    const server = await startTestHub(t, { models: [tinyModel()] });
    server.faults.push({ match: { path }, times: Infinity, action: { kind: 'status', status: 200, body } });
    return takeSnapshot(hubAt(t, server.url), 'acme/tiny', 'main').then(
      () => assert.fail('it was taken'),
      (error) => error,
    );
  };
  const entry = { type: 'file', path: 'a', size: 1, oid: 'a'.repeat(40) };
  const lfs = { oid: 'b'.repeat(64), size: 1, pointerSize: 100 };

  for (const [what, body] of [
    ['not JSON', '<html>maintenance</html>'],
    ['empty', ''],
    ['another shape', '{"files":[]}'],
    ['null', 'null'],
  ] as const) {
    test(`a listing that is ${what}`, async (t) => {
      const error = await spoiled(t, /\/tree\//, body);
      assert.deepEqual([error.code, error.exitCode, error.side], ['hub-failed', 5, 'hub']);
      assert.match(error.hint ?? '', /^is http:.* a hub\?$/);
    });
  }

  for (const [what, broken] of [
    ['size', { ...entry, size: -1 }],
    ['whole size', { ...entry, size: 1.5 }],
    ['object id', { ...entry, oid: 'xyz' }],
    ['path', { ...entry, path: 7 }],
    ['digest of its LFS file', { ...entry, lfs: { ...lfs, oid: 'short' } }],
  ] as const) {
    test(`a file without ${what}`, async (t) => {
      const error = await spoiled(t, /\/tree\//, JSON.stringify([broken]));
      assert.deepEqual([error.code, error.exitCode], ['content-mismatch', 9]);
    });
  }

  test('a model without a commit', async (t) => {
    const error = await spoiled(t, /\/revision\//, '{"id":"acme/tiny","sha":"main"}');
    assert.equal(error.code, 'hub-failed');
  });

  test('one that fails a while is asked again, one that always fails is given up', async (t) => {
    const server = await startTestHub(t, { models: [tinyModel()] });
    server.faults.push({ times: 3, action: { kind: 'status', status: 502 } });
    const hub = hubAt(t, server.url, { patience: { limit: 3 } });
    assert.equal((await takeSnapshot(hub, 'acme/tiny', 'main')).files.length, 10);
    server.faults.push({ times: Infinity, action: { kind: 'status', status: 502 } });
    await assert.rejects(takeSnapshot(hub, 'acme/tiny', 'main'), { code: 'hub-failed' });
  });

  test('a listing whose second page nobody named is not taken for the whole', async (t) => {
    const server = await startTestHub(t, { models: [manyFiles(30)], pageSize: 20 });
    assert.equal((await takeSnapshot(hubAt(t, server.url), 'acme/many', 'main')).files.length, 30);
    server.faults.push({ match: { path: /\/tree\// }, action: { kind: 'headers', headers: { link: '' } } });
    await assert.rejects(takeSnapshot(hubAt(t, server.url), 'acme/many', 'main'), {
      code: 'hub-failed',
      message: "the hub's listing of acme/many lacks 14 of its 30 files",
    });
  });

  test('a stop is a stop', async (t) => {
    const server = await startTestHub(t, { models: [tinyModel()] });
    const reason = new Error('stopped');
    const stopped = AbortSignal.abort(reason);
    await assert.rejects(
      takeSnapshot(hubAt(t, server.url), 'acme/tiny', 'main', { signal: stopped }),
      (error) => error === reason,
    );
  });
});
