import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  dialectNamed,
  dialectNames,
  dialectOfHost,
  dialectShown,
  limitsOf,
} from '../../src/registry/dialects.ts';
import { RegistryTarget } from '../../src/registry/registry-target.ts';
import { type SendFailure, UploadManner } from '../../src/registry/upload-manner.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { digestOf, mib, repositoryAt, seededBytes, TestBody, upload } from './setup.ts';

describe('dialects', () => {
  const hosts: Record<string, string | undefined> = {
    '123456789012.dkr.ecr.eu-west-1.amazonaws.com': 'ecr',
    '123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com': 'ecr',
    '123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn': 'ecr',
    '123456789012.dkr-ecr.eu-west-1.on.aws': 'ecr',
    'public.ecr.aws': 'ecr-public',
    'ghcr.io': 'ghcr',
    'GHCR.io:443': 'ghcr',
    'containers.acme.ghe.com': 'ghcr',
    'europe-docker.pkg.dev': 'gar',
    'eu.gcr.io': 'gar',
    'gcr.io': 'gar',
    'acme.azurecr.io': 'acr',
    'quay.io': 'quay',
    'acme.jfrog.io': 'artifactory',
    'docker.io': 'docker-hub',
    'registry.example.com': undefined,
    'localhost:5000': undefined,
    'notghcr.io': undefined,
    'ghcr.io.example.com': undefined,
    'azurecr.io.example.com': undefined,
  };
  for (const [host, name] of Object.entries(hosts)) {
    test(`${host} is ${name ?? 'nothing known'}`, () => {
      assert.equal(dialectOfHost(host)?.dialect.name, name);
    });
  }

  test('a registry shows what it is under any name, and so does a proxy before it', () => {
    const shown = (headers: Record<string, string | string[]>) => dialectShown(headers).dialect;
    assert.equal(shown({ 'docker-distribution-api-version': 'registry/2.0' }).name, 'standard');
    assert.equal(shown({ server: 'AzureContainerRegistry' }).name, 'acr');
    assert.equal(shown({ 'x-jfrog-version': 'Artifactory/7.90' }).name, 'artifactory');
    const harbor = 'Bearer realm="https://hub.acme.com/service/token",service="harbor-registry"';
    assert.equal(shown({ 'www-authenticate': [harbor] }).name, 'harbor');
    const ecr = shown({ 'www-authenticate': 'Basic realm="https://x/",service="ecr.amazonaws.com"' });
    assert.deepEqual([ecr.name, ecr.lastChunkInPut], ['ecr', true]);
    const both = shown({ 'cf-ray': '8c1', server: 'cloudflare', 'www-authenticate': 'x service="ghcr.io"' });
    assert.deepEqual(
      [both.name, both.chunksFirst, both.largestChunk],
      ['ghcr behind cloudflare', true, 4 * mib],
    );
  });

  test('what a dialect says is kept to from the first byte', () => {
    const manner = (name: string, choice: 'auto' | 'stream' | 'chunked', size?: number) =>
      new UploadManner(choice, size, dialectNamed(name).dialect);
    assert.deepEqual(manner('ghcr', 'chunked').now, { kind: 'chunked', chunkSize: 4 * mib });
    assert.deepEqual(manner('ecr', 'chunked', mib).now, { kind: 'chunked', chunkSize: 5 * mib });
    assert.deepEqual(manner('cloudflare', 'auto').now, { kind: 'chunked', chunkSize: 16 * mib });
    assert.equal(manner('cloudflare', 'stream').now.kind, 'stream');
    for (const name of dialectNames.filter((each) => each !== 'cloudflare'))
      assert.equal(manner(name, 'auto').now.kind, 'stream', name);
    assert.equal(manner('gar', 'auto').goesOn, false);
    assert.equal(manner('ecr', 'auto').for(0, 100 * mib).kind, 'stream');
    assert.equal(manner('ecr', 'auto').for(6 * mib, 100 * mib).kind, 'chunked');
    assert.deepEqual(limitsOf(dialectNamed('ghcr').dialect), { manifest: 4 * mib, layer: 10 * 1024 ** 3 });
    assert.deepEqual(limitsOf(dialectNamed('standard').dialect), { manifest: 4 * mib });
  });

  test('the first contact decides, and is told', async (t) => {
    const registry = await startFakeRegistry('cloudflare');
    t.after(() => registry.close());
    registry.faults.push({
      match: { path: /^\/v2\/$/ },
      action: { kind: 'answer', status: 200, headers: { 'cf-ray': '8c1' } },
    });
    const told: string[] = [];
    const target = new RegistryTarget(repositoryAt(t, registry.url), {
      choice: 'auto',
      chunkSize: 2 * mib,
      dialect: undefined,
      onDialect: ({ dialect, why }) => told.push(`${dialect.name} ${why}`),
    });
    const never = new AbortController().signal;
    await target.connect(never);
    assert.deepEqual(told, ['cloudflare by its answers']);
    const bytes = seededBytes(5 * mib);
    const digest = await target.upload(new TestBody(bytes), { stop: never, kill: never });
    assert.equal(digest, digestOf(bytes));
    assert.deepEqual(registry.exchanges('PATCH'), ['PATCH 202', 'PATCH 202', 'PATCH 202']);
  });
});

describe('what a run learns', () => {
  const failure = (manner: UploadManner, fields: Partial<SendFailure>): SendFailure => {
    const usual = { method: 'PATCH', status: undefined, offset: 0, sent: 64 * mib, failures: 1, lost: 0 };
    return { ...usual, as: manner.now, ...fields };
  };

  test('cut streams that cost whole layers lead to chunks, though each came further than the last', () => {
    const manner = new UploadManner('auto');
    assert.equal(manner.learn(failure(manner, { lost: 1 })), false);
    assert.equal(manner.learn(failure(manner, { lost: 2 })), true);
    assert.equal(manner.now.kind, 'chunked');
  });

  test('chunks that meet a balancer are given up for the rest of the run', () => {
    const manner = new UploadManner('auto');
    manner.learn(failure(manner, { status: 413 }));
    assert.equal(manner.now.kind, 'chunked');
    const chunk = { offset: 16 * mib, sent: 16 * mib, status: 404 };
    manner.learn(failure(manner, { ...chunk, failures: 1 }));
    manner.learn(failure(manner, { ...chunk, failures: 2 }));
    assert.equal(manner.now.kind, 'stream');
    assert.equal(manner.learn(failure(manner, { status: 413 })), false);
    assert.equal(manner.now.kind, 'stream');
  });

  test('sessions that go astray are not asked for any more', async (t) => {
    const registry = await startFakeRegistry('balancer');
    t.after(() => registry.close());
    const manner = new UploadManner('auto');
    for (let n = 0; n < 3; n++) {
      assert.equal(manner.goesOn, true);
      manner.learn(failure(manner, { status: 404, offset: 16 * mib }));
    }
    assert.equal(manner.goesOn, false);
    registry.faults.push({ match: { method: 'PATCH' }, action: { kind: 'cut', after: mib } });
    const bytes = seededBytes(2 * mib);
    const { digest } = await upload(repositoryAt(t, registry.url), manner, new TestBody(bytes));
    assert.equal(digest, digestOf(bytes));
    assert.deepEqual(registry.exchanges(), ['POST 202', 'PATCH 0', 'POST 202', 'PATCH 202', 'PUT 201']);
  });

  test('a bad line before a registry that drops what was cut: the layer arrives in chunks', async (t) => {
    const registry = await startFakeRegistry('distribution28');
    t.after(() => registry.close());
    // Each stream comes a little further than the one before, and never to the end.
    let streams = 0;
    const cutAt = () => (++streams + 3) * mib;
    for (let n = 0; n < 20; n++) {
      registry.faults.push({
        match: ({ method, headers }) => method === 'PATCH' && headers['content-range'] === undefined,
        action: { kind: 'cut', after: cutAt() },
      });
    }
    const manner = new UploadManner('auto', mib);
    const bytes = seededBytes(40 * mib);
    const result = await upload(repositoryAt(t, registry.url), manner, new TestBody(bytes));
    assert.equal(result.digest, digestOf(bytes), result.error.message);
    assert.equal(manner.now.kind, 'chunked');
    assert.ok(registry.bytesSent() < 40 * mib + 20 * mib, `${registry.bytesSent() / mib} MiB`);
  });

  test('what was to be closed when the process was killed is looked for before it is sent again', async (t) => {
    const registry = await startFakeRegistry('distribution3');
    t.after(() => registry.close());
    const bytes = seededBytes(mib);
    const first = await upload(repositoryAt(t, registry.url), new UploadManner('auto'), new TestBody(bytes));
    assert.equal(first.saved?.digest, digestOf(bytes));
    const body = new TestBody(bytes);
    const again = await upload(repositoryAt(t, registry.url), new UploadManner('auto'), body, {
      saved: first.saved,
    });
    assert.equal(again.digest, digestOf(bytes));
    assert.deepEqual([body.opened, registry.bytesSent()], [[], mib]);
    registry.blobs.clear();
    const gone = await upload(repositoryAt(t, registry.url), new UploadManner('auto'), new TestBody(bytes), {
      saved: first.saved,
    });
    assert.equal(gone.digest, digestOf(bytes), gone.error.message);
  });
});
