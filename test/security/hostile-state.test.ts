import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { renderStatus, statusJson } from '../../src/cli/reporters/status.ts';
import { stateArtifact } from '../../src/formats/state-artifact.ts';
import { listStates, removeStates } from '../../src/index.ts';
import type { LayerState, PublishState } from '../../src/state/state-schema.ts';
import { type Interrupted, layerOf, startInterrupted } from '../publish/progress/interrupted.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { tempDir } from '../support/temp-dir.ts';

const config = 'models/config.json';
const a = 'models/a.safetensors';
const b = 'models/b.safetensors';

/** Puts what somebody else with the right to push might put. */
async function plant(
  s: Interrupted,
  text: string,
  about: { blob?: boolean; created?: string } = {},
): Promise<void> {
  const { config: blob, manifest } = stateArtifact(text, [], 'v1.partial', Date.now());
  const bytes = Buffer.from(
    manifest.bytes
      .toString()
      .replace(/("org\.opencontainers\.image\.created":)"[^"]*"/, (all, key) =>
        about.created === undefined ? all : `${key}${JSON.stringify(about.created)}`,
      ),
  );
  if (about.blob !== false) await putBlob(s, blob.bytes);
  s.registry.manifests.set('acme/cut:v1.partial', { bytes, mediaType: manifest.descriptor.mediaType });
}

async function putBlob({ registry }: Interrupted, bytes: Buffer): Promise<`sha256:${string}`> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
  const begun = await fetch(`${registry.url}/v2/acme/cut/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', registry.url);
  location.search += `${location.search ? '&' : '?'}digest=${digest}`;
  const put = await fetch(location, { method: 'PUT', body: bytes });
  assert.equal(put.status, 201);
  return digest;
}

type Change = (layer: LayerState, s: Interrupted) => Promise<void> | void;

/** A true state with a lie in it; then a push, which must give the right image. */
async function lied(t: { after(f: () => unknown): void }, name: string, change: Change) {
  const s = await startInterrupted(t, 'distribution3', { query: false });
  const right = await s.push({ target: s.target.replace(':v1', ':right'), state: 'file' });
  const clean = await startInterrupted(t, 'distribution3', { query: false });
  await clean.fail();
  const state: PublishState = clean.state('v1.partial');
  state.target = s.target.replace(':v1', '');
  // The image that is there would be reused otherwise.
  s.registry.manifests.clear();
  const layer = state.layers[name] ?? assert.fail(name);
  delete layer.digest;
  await change(layer, s);
  await plant(s, JSON.stringify(state));
  s.registry.requests.length = 0;
  const result = await s.push();
  assert.equal(result.manifestDigest, right.manifestDigest);
  assert.deepEqual(s.stateTags(), []);
  return { s, result };
}

for (const where of ['digest', 'upload'] as const)
  test(`the digest of another small layer, as ${where}: looked into, and not taken`, async (t) => {
    const { s } = await lied(t, config, async (layer, { registry, ...rest }) => {
      const wrong = Buffer.alloc(layer.size, 'x');
      const digest = await putBlob({ registry, ...rest }, wrong);
      const location = `${registry.url}/v2/acme/cut/blobs/uploads/x`;
      if (where === 'digest') layer.digest = digest;
      else layer.upload = { location, offset: 0, digest };
    });
    assert.match(s.warnings.join(), /config\.json.*is not what it is said to be/);
  });

for (const where of ['digest', 'upload'] as const)
  test(`the digest of a large layer of another size, as ${where}: not taken`, async (t) => {
    await lied(t, a, async (layer, s) => {
      const digest = await putBlob(s, Buffer.alloc(layer.size - 1, 'x'));
      const location = `${s.registry.url}/v2/acme/cut/blobs/uploads/x`;
      if (where === 'digest') layer.digest = digest;
      else layer.upload = { location, offset: 0, digest };
    });
  });

test('a checkpoint of other bytes: found out by the content, and the layer is sent again', async (t) => {
  const { result } = await lied(t, b, async (layer, s) => {
    const begun = await fetch(`${s.registry.url}/v2/acme/cut/blobs/uploads/`, { method: 'POST' });
    const location = new URL(begun.headers.get('location') ?? '', s.registry.url).href;
    const body = Buffer.alloc(1024 * 1024, 'x');
    const patched = await fetch(location, { method: 'PATCH', body });
    layer.upload = {
      location: new URL(patched.headers.get('location') ?? '', location).href,
      offset: body.length,
    };
    layer.checkpoints = [{ offset: body.length, layer: '1'.repeat(64), content: '2'.repeat(64) }];
  });
  assert.ok(layerOf(result, 'b.safetensors').bytesSent > layerOf(result, 'b.safetensors').size);
});

test('Locations elsewhere and of other things are not spoken to, by push or abort', async (t) => {
  const other = await startFakeRegistry('distribution3');
  t.after(() => other.close());
  const hostile = [
    () => `${other.url}/v2/acme/cut/blobs/uploads/x`,
    (s: Interrupted) => `${s.registry.url}/v2/acme/cut/manifests/latest`,
    (s: Interrupted) => `${s.registry.url}/v2/acme/other/blobs/uploads/x`,
    (s: Interrupted) => `${s.registry.url}/api/v2.0/projects/acme`,
    () => 'file:///etc/passwd',
    () => '',
  ];
  for (const location of hostile) {
    const { s } = await lied(t, b, (layer, s) => {
      layer.upload = { location: location(s), offset: 2_000_000 };
    });
    const told = new URL(location(s) || 'x:/none');
    assert.deepEqual(
      s.registry.requests.filter(({ url }) => url === told.pathname),
      [],
    );
    const state = {
      layers: {
        [b]: { contentId: `git:${'0'.repeat(40)}`, size: 1, upload: { location: location(s), offset: 1 } },
      },
    };
    const about = { version: 2, model: 'acme/cut', commit: '0'.repeat(40), target: `${other.host}/acme/cut` };
    await plant(s, JSON.stringify({ ...about, ...state }));
    s.registry.requests.length = 0;
    const [removed] = await removeStates({ what: s.target, env: { HOME: tempDir() } });
    assert.deepEqual([removed?.cancelled, removed?.uncancelled, removed?.kept], [0, 1, undefined]);
    const deletes = s.registry.requests.filter(({ method }) => method === 'DELETE');
    assert.ok(deletes.length > 0 && deletes.every(({ path }) => path.startsWith('/v2/acme/cut/manifests/')));
    assert.deepEqual(s.stateTags(), []);
  }
  assert.equal(other.requests.length, 0);
});

const identity = (s: Interrupted) => ({
  version: 2,
  model: 'acme/cut',
  commit: '0'.repeat(40),
  target: s.target.replace(':v1', ''),
});
const layer = { contentId: `git:${'0'.repeat(40)}`, size: 10 };

const texts: Record<string, (s: Interrupted) => string> = {
  'no JSON': () => '{"version":2,',
  null: () => 'null',
  'another version': (s) => JSON.stringify({ ...identity(s), version: 3, layers: {} }),
  'deep nesting': () => '['.repeat(1_000_000),
  'huge numbers': (s) =>
    JSON.stringify({
      ...identity(s),
      layers: {
        [b]: {
          ...layer,
          size: 3_002_368,
          upload: { location: s.registry.url, offset: Number.MAX_SAFE_INTEGER },
        },
      },
    }),
  'names of the prototype': (s) =>
    `${JSON.stringify({ ...identity(s), layers: {} }).slice(0, -2)}"__proto__":${JSON.stringify(layer)},"constructor":${JSON.stringify({ ...layer, digest: `sha256:${'0'.repeat(64)}` })}}}`,
  'dates that are none': (s) =>
    JSON.stringify({
      ...identity(s),
      layers: {
        [b]: { ...layer, upload: { location: s.registry.url, offset: 1, began: '9999-99-99T99:99:99Z' } },
      },
    }),
  '150,000 layers': (s) =>
    JSON.stringify({
      ...identity(s),
      layers: Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [`models/${i}`, layer])),
    }),
};

for (const [what, text] of Object.entries(texts))
  test(`a state with ${what}: nothing crashes, and the image is right`, async (t) => {
    const s = await startInterrupted(t, 'distribution3', { query: false });
    await plant(s, text(s), { created: 'the day before yesterday' });
    const env = { HOME: tempDir(t) };
    const states = await listStates({ what: s.target, env });
    assert.equal(states.length, 1);
    assert.match(renderStatus(states, Date.now()), /v1\.partial/);
    assert.equal(JSON.parse(statusJson(states, Date.now())).states.length, 1);
    assert.equal((await s.push()).totals.transferred, 3);
    assert.deepEqual(s.stateTags(), []);
    assert.equal(({} as Record<string, unknown>).contentId, undefined);
  });

test('a state whose content was collected: told, begun anew, and removable', async (t) => {
  const s = await startInterrupted(t, 'distribution3', { query: false });
  await plant(s, JSON.stringify({ ...identity(s), layers: {} }), { blob: false });
  const env = { HOME: tempDir(t) };
  const [stored] = await listStates({ what: s.target, env });
  assert.match(stored?.fault ?? '', /lost its content/);
  const [removed] = await removeStates({ what: s.target, env });
  assert.deepEqual([removed?.kept, s.stateTags()], [undefined, []]);
  await plant(s, JSON.stringify({ ...identity(s), layers: {} }), { blob: false });
  await s.push();
  assert.match(s.warnings.join(), /lost its content: starting a new state/);
});
