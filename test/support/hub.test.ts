import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { downloadFile, type HubApiError, listCommits, listFiles, modelInfo } from '@huggingface/hub';
import { type Hub, type HubOptions, startHub } from './hub.ts';
import {
  bigModel,
  type Change,
  commitId,
  filesOf,
  headOf,
  history,
  longName,
  manyFiles,
  tinyModel,
  unicodeName,
} from './models.ts';

// The judge is the hub's own library: what it reads out of the stand-in must be what was put in.

const token = 'hf_everything';
const shard = 'model-00002-of-00002.safetensors';

async function hubFor(t: TestContext, options: Partial<HubOptions> = {}): Promise<Hub> {
  const hub = await startHub({ models: [tinyModel()], ...options });
  t.after(() => hub.close());
  return hub;
}

test('listFiles reads 5,000 files over pages, with directories', async (t) => {
  const hub = await hubFor(t, { models: [manyFiles(5000)] });
  const entries = await Array.fromAsync(listFiles({ repo: 'acme/many', recursive: true, hubUrl: hub.url }));
  assert.equal(entries.filter((entry) => entry.type === 'file').length, 5000);
  assert.equal(entries.filter((entry) => entry.type === 'directory').length, 7);
  assert.equal(new Set(entries.map((entry) => entry.path)).size, 5007);
  assert.equal(hub.requests.length, 6);
});

test('listFiles tells git ids, LFS digests and Xet hashes', async (t) => {
  const hub = await hubFor(t);
  const listed = await Array.fromAsync(listFiles({ repo: 'acme/tiny', recursive: true, hubUrl: hub.url }));
  const entries = new Map(listed.map((entry) => [entry.path, entry]));
  assert.equal(entries.get('empty.txt')?.oid, 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391');
  assert.equal(entries.get('one-byte.bin')?.oid, 'c1b0730e0133447badcfd47fd144e254807b06e1');
  assert.ok(entries.has(unicodeName) && entries.has(longName));
  const weights = entries.get(shard);
  const bytes = tinyModel().commits[0]?.files[shard] as Buffer;
  assert.equal(weights?.lfs?.oid, createHash('sha256').update(bytes).digest('hex'));
  assert.equal(weights?.size, 2_500_077);
  assert.equal(weights?.lfs?.pointerSize, 132);
  assert.match(weights?.xetHash ?? '', /^[0-9a-f]{64}$/);
  assert.equal(entries.get('config.json')?.lfs, undefined);
});

test('listFiles of one folder, expanded', async (t) => {
  const hub = await hubFor(t);
  const repo = 'acme/tiny';
  const entries = await Array.fromAsync(
    listFiles({ repo, path: 'tokenizer', expand: true, hubUrl: hub.url }),
  );
  assert.deepEqual(
    entries.map((entry) => [entry.path, entry.lastCommit?.id, entry.securityFileStatus]),
    [['tokenizer/vocab.json', commitId('acme/tiny 1'), { status: 'safe' }]],
  );
});

test('modelInfo resolves branches, tags and commits', async (t) => {
  const hub = await hubFor(t);
  const fields = ['sha', 'cardData', 'tags', 'author'] as const;
  const about = { name: 'acme/tiny', hubUrl: hub.url };
  const info = await modelInfo({ ...about, additionalFields: [...fields] });
  assert.equal(info.sha, headOf(tinyModel()));
  assert.equal(info.name, 'acme/tiny');
  assert.equal(info.author, 'acme');
  assert.equal(info.cardData?.license, 'apache-2.0');
  assert.ok(info.tags.includes('license:apache-2.0'));
  for (const revision of ['v1.0', commitId('acme/tiny 1'), commitId('acme/tiny 1').slice(0, 8)]) {
    const older = await modelInfo({
      name: 'acme/tiny',
      hubUrl: hub.url,
      revision,
      additionalFields: ['sha'],
    });
    assert.equal(older.sha, commitId('acme/tiny 1'));
  }
});

test('listCommits walks the history over pages', async (t) => {
  const hub = await hubFor(t);
  const history = await Array.fromAsync(listCommits({ repo: 'acme/tiny', batchSize: 1, hubUrl: hub.url }));
  assert.deepEqual(
    history.map((commit) => commit.title),
    ['Widen', 'Begin'],
  );
  assert.equal(hub.requests.length, 2);
});

test('listCommits walks thousands of commits over pages, from any of them', async (t) => {
  const name = 'acme/old';
  const files = filesOf(bigModel({ files: 100, size: 1000 }));
  const changes = Array<Change>(4999).fill('readme');
  const hub = await hubFor(t, { models: [history(name, files, changes)] });
  const about = { repo: name, batchSize: 1000, hubUrl: hub.url };
  const all = (await Array.fromAsync(listCommits(about))).map(({ oid }) => oid);
  assert.equal(all.length, 5000);
  assert.deepEqual([all[0], all.at(-1)], [commitId(`${name} 5000`), commitId(`${name} 1`)]);
  assert.equal(new Set(all).size, 5000);
  assert.equal(hub.requests.length, 5);
  const revision = commitId(`${name} 150`);
  const older = await Array.fromAsync(listCommits({ ...about, revision, batchSize: 100 }));
  assert.deepEqual(
    older.map(({ oid }) => oid),
    all.slice(-150),
  );
  assert.equal(hub.requests.length, 7);
});

test('a history changes what its changes say, and nothing else', async (t) => {
  const name = 'acme/story';
  const files = filesOf(tinyModel());
  const [first, second] = ['model-00001-of-00002.safetensors', shard] as const;
  const changes: Change[] = [
    'readme',
    { rewrite: ['config.json', first] },
    { rename: { [second]: 'moved.safetensors' } },
    { put: { 'new.txt': 'new' }, remove: ['empty.txt'] },
  ];
  const hub = await hubFor(t, { models: [history(name, files, changes)] });
  const trees = await Promise.all(
    [1, 2, 3, 4, 5].map(async (number) => {
      const revision = commitId(`${name} ${number}`);
      const listed = await Array.fromAsync(
        listFiles({ repo: name, revision, recursive: true, hubUrl: hub.url }),
      );
      const contents = listed.filter(({ type }) => type === 'file');
      return new Map(contents.map(({ path, size, oid, lfs }) => [path, `${size} ${lfs?.oid ?? oid}`]));
    }),
  );
  const differences = (index: number): string[] => {
    const [before, after] = [trees[index - 1], trees[index]];
    const paths = new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])]);
    return [...paths].filter((path) => before?.get(path) !== after?.get(path)).sort();
  };
  assert.deepEqual(differences(1), ['README.md']);
  assert.deepEqual(differences(2), ['config.json', first]);
  assert.deepEqual(differences(3), [second, 'moved.safetensors']);
  assert.deepEqual(differences(4), ['empty.txt', 'new.txt']);
  for (const path of ['config.json', first])
    assert.equal(trees[1]?.get(path)?.split(' ')[0], trees[2]?.get(path)?.split(' ')[0], 'the same size');
  assert.equal(trees[3]?.get('moved.safetensors'), trees[2]?.get(second));
  assert.doesNotThrow(() =>
    JSON.parse(history(name, files, changes).commits[0]?.files['config.json'] as string),
  );
  assert.throws(() => history(name, files, [{ rewrite: ['nowhere.txt'] }]), /nowhere/);
});

test('downloadFile gets every file, and its token does not reach the CDN', async (t) => {
  const model = tinyModel();
  const hub = await hubFor(t, { models: [{ ...model, private: true }], token });
  for (const [path, content] of Object.entries(model.commits[0]?.files ?? {})) {
    if (content === '') continue; // WebBlob asks for the first byte of what has none
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    const about = { repo: model.name, path: encoded, hubUrl: hub.url, accessToken: token, xet: false };
    const blob = await downloadFile(about);
    assert.ok(blob);
    const bytes = Buffer.from(await blob.arrayBuffer());
    assert.ok(bytes.equals(Buffer.from(content as string | Buffer)), path);
    assert.equal(
      hub.bytesOf.get(path),
      bytes.length + (bytes.length < 65536 ? 1 : 0),
      'with the probe for one byte',
    );
  }
  assert.deepEqual(
    hub.violations.filter((violation) => !violation.endsWith('gzip')),
    [],
  );
  assert.ok(hub.requests.some((request) => request.origin === 'cdn' && request.status === 200));
});

test('downloadFile: what is not there is null', async (t) => {
  const hub = await hubFor(t);
  assert.equal(await downloadFile({ repo: 'acme/tiny', path: 'none', hubUrl: hub.url }), null);
});

test('refusals are the hub’s', async (t) => {
  const closed = { ...tinyModel('acme/closed'), private: true };
  const gated = { ...tinyModel('acme/gated'), gated: 'manual' as const };
  const models = [tinyModel(), closed, gated];
  const hub = await hubFor(t, { models, token, strangerToken: 'hf_stranger', anonymous: true });
  const info = async (name: string, accessToken?: string, revision?: string): Promise<number> => {
    const about = {
      name,
      hubUrl: hub.url,
      ...(accessToken && { accessToken }),
      ...(revision && { revision }),
    };
    return modelInfo(about).then(
      () => 200,
      (error: HubApiError) => error.statusCode,
    );
  };
  const file = async (name: string, bearer?: string): Promise<(string | number | null)[]> => {
    const headers: Record<string, string> = bearer ? { authorization: `Bearer ${bearer}` } : {};
    const response = await fetch(`${hub.url}/${name}/resolve/main/config.json`, { headers });
    await response.text();
    return [response.status, response.headers.get('x-error-code')];
  };
  assert.equal(await info('acme/none'), 401);
  assert.equal(await info('acme/none', token), 404);
  assert.equal(await info('acme/tiny', undefined, 'none'), 404);
  assert.equal(await info('acme/tiny', 'hf_wrong'), 401);
  assert.equal(await info('acme/closed'), 401);
  assert.equal(await info('acme/closed', 'hf_stranger'), 404);
  assert.equal(await info('acme/closed', token), 200);
  assert.equal(await info('acme/gated'), 200);
  assert.deepEqual(await file('acme/gated'), [401, 'GatedRepo']);
  assert.deepEqual(await file('acme/gated', 'hf_stranger'), [403, 'GatedRepo']);
  assert.deepEqual(await file('acme/gated', token), [200, null]);
});
