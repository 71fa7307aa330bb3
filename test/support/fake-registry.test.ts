import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Agent, request } from 'undici';
import { type Dialect, type DialectName, startFakeRegistry } from './fake-registry.ts';
import { describeEachRegistry, type RegistryKind, startRegistry } from './registries.ts';
import { forgetBlob } from './registry-storage.ts';

// The judges are the real registries: what the stand-in answers with their presets must be what they answer.

const presets: Record<RegistryKind, DialectName> = {
  'distribution-2': 'distribution28',
  'distribution-3': 'distribution3',
};
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const blob = Buffer.from('0123456789');
const config = Buffer.from('{}');
const none = digestOf(Buffer.from('none'));

interface Subject {
  url: string;
  forget(repository: string, digest: string): void;
}

/** What matters of an answer: status, telling header fields, and the error's code or the body. */
interface Told {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

type Ask = (line: string, body?: Buffer, headers?: Record<string, string>) => Promise<Told>;

/** Asks for `METHOD path` under `/v2/`. */
function asking(t: TestContext, kind: RegistryKind, url: string): Ask {
  const dispatcher = new Agent();
  t.after(() => dispatcher.destroy());
  return async (line, body, headers = {}) => {
    const [method = '', path = ''] = line.split(' ');
    const answer = await request(new URL(path, `${url}/v2/`), {
      method: method as 'GET',
      headers: { accept: manifestType, ...headers },
      body: body ?? null,
      dispatcher,
    });
    const text = await answer.body.text();
    const fields = ['location', 'docker-content-digest', 'link', 'range', 'content-range'];
    if (answer.statusCode < 300 && ['GET', 'HEAD'].includes(method) && !path.includes('tags'))
      fields.push('content-length', 'content-type');
    const shown = fields.flatMap((name) => {
      const value = answer.headers[name];
      return value === undefined ? [] : [[name, plainly(String(value))]];
    });
    return { status: answer.statusCode, headers: Object.fromEntries(shown), body: bodyOf(text, kind) };
  };
}

/** Without what is another in every session. */
function plainly(value: string): string {
  return value
    .replace(/^https?:\/\/[^/]+/, '')
    .replace(/uploads\/.*$/, 'uploads/')
    .replace(/[?].*>/, (query) => `?${[...new URLSearchParams(query.slice(1, -1))].sort().join('&')}>`);
}

function bodyOf(text: string, kind: RegistryKind): unknown {
  if (!text.startsWith('{')) return text;
  const { errors, tags, ...other } = JSON.parse(text);
  if (errors) return errors[0].code;
  // Distribution 2.8 lists them in no order.
  if (kind === 'distribution-2') tags?.sort();
  return tags === undefined ? other : { ...other, tags };
}

async function push(ask: Ask, url: string, repository: string, bytes: Buffer): Promise<void> {
  const begun = await request(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  await begun.body.dump();
  const location = new URL(String(begun.headers.location), url);
  const digest = `digest=${encodeURIComponent(digestOf(bytes))}`;
  const put = await ask(`PUT ${location}${location.search ? '&' : '?'}${digest}`, bytes);
  assert.equal(put.status, 201);
}

function manifestOf(version: string, fields: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', blob)],
      annotations: { version },
      ...fields,
    }),
  );
}

function descriptor(mediaType: string, bytes: Buffer): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

const one = manifestOf('one');
const two = manifestOf('two');
const artifact = manifestOf('artifact', {
  artifactType: 'application/vnd.acme.notes',
  config: descriptor('application/vnd.oci.empty.v1+json', config),
});
const referrer = manifestOf('referrer', {
  subject: { mediaType: manifestType, digest: none, size: 9 },
});

/** Everything that is asked of both, in this order. */
async function transcript(
  t: TestContext,
  kind: RegistryKind,
  { url, forget }: Subject,
): Promise<[string, Told][]> {
  const ask = asking(t, kind, url);
  const told: [string, Told][] = [];
  const say: Ask = async (line, body, headers) => {
    const answer = await ask(line, body, headers);
    told.push([`${line} ${headers?.range ?? ''}`, answer]);
    return answer;
  };
  const put = (path: string, bytes: Buffer, type = manifestType) =>
    say(`PUT ${path}`, bytes, { 'content-type': type });

  await say('GET acme/a/tags/list');
  for (const bytes of [blob, config, Buffer.alloc(0)]) await push(ask, url, 'acme/a', bytes);
  await put('acme/b/manifests/v1', one);
  for (const tag of ['v1', 'v2', digestOf(one)]) await put(`acme/a/manifests/${tag}`, one);
  await put('acme/a/manifests/v3', two);
  await put('acme/a/manifests/notes', artifact);
  await put('acme/a/manifests/about', referrer);
  await put('acme/a/manifests/v4', two, 'application/json');
  await put(`acme/a/manifests/${none}`, two);

  for (const query of [
    '',
    '?n=2',
    '?n=2&last=v1',
    '?n=2&last=v2',
    '?n=5',
    '?n=6',
    '?last=zz',
    '?n=x',
    '?n=-1',
  ])
    await say(`GET acme/a/tags/list${query}`);

  const mount = (query: string) => say(`POST acme/b/blobs/uploads/?${query}`);
  await mount(`mount=${digestOf(blob)}&from=acme/none`);
  await mount(`mount=${none}&from=acme/a`);
  await mount(`mount=${digestOf(blob)}`);
  await say(`HEAD acme/b/blobs/${digestOf(blob)}`);
  await mount(`mount=${digestOf(blob)}&from=acme/a`);
  await mount(`mount=${digestOf(blob)}&from=acme/a`);

  const paths = [
    ...['a', 'b', 'none'].map((name) => `acme/${name}/blobs/${digestOf(blob)}`),
    ...['a', 'b'].map((name) => `acme/${name}/blobs/${digestOf(config)}`),
    `acme/a/blobs/${digestOf(Buffer.alloc(0))}`,
    `acme/a/blobs/${digestOf(one)}`,
    ...['v1', 'v9', digestOf(one), 'notes', 'about'].map((name) => `acme/a/manifests/${name}`),
    ...['v1', digestOf(one)].map((name) => `acme/b/manifests/${name}`),
  ];
  for (const path of paths) for (const method of ['HEAD', 'GET']) await say(`${method} ${path}`);

  const ranges = ['bytes=0-3', 'bytes=4-', 'bytes=-3', 'bytes=5-100'];
  // Distribution 2.8 ends the connection.
  if (kind !== 'distribution-2') ranges.push('bytes=10-');
  for (const range of ranges) await say(`GET acme/a/blobs/${digestOf(blob)}`, undefined, { range });

  for (const reference of ['v9', none, 'v3', digestOf(one), digestOf(one)])
    await say(`DELETE acme/a/manifests/${reference}`);
  for (const reference of ['v1', 'v2', 'v3', digestOf(one), digestOf(two)])
    await say(`GET acme/a/manifests/${reference}`);
  await say('GET acme/a/tags/list');
  for (const bytes of [two, artifact, referrer]) await say(`DELETE acme/a/manifests/${digestOf(bytes)}`);
  await say('GET acme/a/tags/list');
  await say('GET acme/b/tags/list');

  forget('acme/a', digestOf(blob));
  for (const name of ['a', 'b']) await say(`HEAD acme/${name}/blobs/${digestOf(blob)}`);
  await mount(`mount=${digestOf(blob)}&from=acme/a`);
  forget('acme/b', digestOf(blob));
  await say(`GET acme/b/blobs/${digestOf(blob)}`);
  return told;
}

describeEachRegistry('the fake registry answers', (kind) => {
  for (const deletes of [true, false]) {
    test(`as this one does, ${deletes ? 'with' : 'without'} deletion`, async (t) => {
      const real = await startRegistry({ kind, delete: deletes });
      t.after(() => real.stop());
      const changes: Partial<Dialect> = deletes ? {} : { deletes: 'refused' };
      const fake = await startFakeRegistry(presets[kind], changes);
      t.after(() => fake.close());
      const expected = await transcript(t, kind, {
        url: real.url,
        forget: (repository, digest) => forgetBlob(real, repository, digest),
      });
      const actual = await transcript(t, kind, fake);
      assert.ok(expected.length > 60);
      for (const [index, [line, told]] of expected.entries()) assert.deepEqual(actual[index], [line, told]);
    });
  }
});

test('a blob in a storage elsewhere: in ranges, for what its URL was signed for, and as much as is read', async (t) => {
  const fake = await startFakeRegistry('gar', { locations: 'absolute' });
  t.after(() => fake.close());
  const large = Buffer.alloc(32 * 1024 * 1024, 'boxcar');
  const digest = digestOf(large);
  await push(asking(t, 'distribution-3', fake.url), fake.url, 'acme/a', large);
  const at = `${fake.url}/v2/acme/a/blobs/${digest}`;
  const locationOf = async (method: 'GET' | 'HEAD'): Promise<string> => {
    const { statusCode, headers, body } = await request(at, { method });
    await body.dump();
    assert.equal(statusCode, 307);
    return String(headers.location);
  };
  const location = await locationOf('GET');
  const first = await request(location, { headers: { range: 'bytes=0-1023' } });
  assert.deepEqual([first.statusCode, first.headers['content-range']], [206, `bytes 0-1023/${large.length}`]);
  assert.ok(Buffer.from(await first.body.arrayBuffer()).equals(large.subarray(0, 1024)));
  assert.equal(fake.requests.at(-1)?.responseBytes, 1024);

  fake.dialect.blobRanges = false;
  const whole = await request(location, { headers: { range: 'bytes=0-1023' } });
  assert.equal(whole.statusCode, 200);
  whole.body.destroy();
  // What the connection had taken before it ended, and no more.
  assert.ok((fake.requests.at(-1)?.responseBytes ?? 0) < large.length);

  for (const url of [await locationOf('HEAD'), location.replace('~', '%7E'), location.replace(/[?].*/, '')]) {
    const refused = await request(url);
    await refused.body.dump();
    assert.equal(refused.statusCode, 403, url);
  }
  const betrayed = await request(location, { headers: { authorization: 'Bearer x' } });
  await betrayed.body.dump();
  assert.equal(betrayed.statusCode, 400);
});

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
