import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import { Authorizer } from '../../src/registry/auth/authorizer.ts';
import { type UploadChoice, UploadManner } from '../../src/registry/upload-manner.ts';
import { type FaultProxy, type ProxyFault, startFaultProxy } from '../support/fault-proxy.ts';
import { describeEachRegistry, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { startTokenServer } from '../support/token-server.ts';
import { digestOf, gate, manifestType, mib, repositoryAt, seededBytes, TestBody, upload } from './setup.ts';

const bytes = seededBytes(5 * mib);
const digest = digestOf(bytes);

describeEachRegistry('a real registry behind a bad line', (kind) => {
  const keepsCut = kind === 'distribution-3';

  async function start(t: TestContext): Promise<{ registry: Registry; proxy: FaultProxy }> {
    const registry = await startRegistry({ kind });
    t.after(() => registry.stop());
    const proxy = await startFaultProxy(registry.url);
    t.after(() => proxy.close());
    return { registry, proxy };
  }

  const exchanges = ({ requests }: FaultProxy) => requests.map(({ method, status }) => `${method} ${status}`);
  /** Bytes of PATCHes, but for those that were out of step: distribution 3 may still be busy with a cut one. */
  const sent = ({ requests }: FaultProxy) =>
    requests
      .filter(({ method, status }) => method === 'PATCH' && status !== 416)
      .reduce((sum, { requestBytes }) => sum + requestBytes, 0);

  /** A fault of one request: [retries, bytes sent beyond the blob's own]. */
  const faults: Record<string, [method: string, ProxyFault, retries: number, extra: number]> = {
    'the answer of the POST is lost': ['POST', { kind: 'lose-answer' }, 1, 0],
    // 2.8 destroys a session that is asked for with an older Location.
    'the answer of the PATCH is lost': ['PATCH', { kind: 'lose-answer' }, 1, keepsCut ? 0 : bytes.length],
    'the answer of the PUT is lost': ['PUT', { kind: 'lose-answer' }, 0, 0],
    'PUT answers 503': ['PUT', { kind: 'status', status: 503 }, 1, 0],
    'PATCH is cut': ['PATCH', { kind: 'cut', after: mib }, 1, keepsCut ? 0 : mib],
    'PATCH answers 503 at its head': ['PATCH', { kind: 'status', status: 503, early: true }, 1, 0],
  };
  for (const [name, [method, action, retries, extra]] of Object.entries(faults)) {
    test(name, async (t) => {
      const { registry, proxy } = await start(t);
      proxy.faults.push({ match: { method }, action });
      const repository = repositoryAt(t, proxy.url);
      const result = await upload(repository, new UploadManner('stream', mib), new TestBody(bytes));
      assert.equal(result.digest, digest, result.error.message);
      assert.ok(inspectRegistry(registry).blob(digest).equals(bytes));
      assert.deepEqual(proxy.faults, []);
      const outOfStep = exchanges(proxy).filter((exchange) => exchange === 'PATCH 416').length;
      assert.equal(result.retries.length - outOfStep, retries, exchanges(proxy).join());
      assert.equal(sent(proxy) - bytes.length, extra, exchanges(proxy).join());
    });
  }

  test('the line stands still in the middle of a PATCH', async (t) => {
    const { registry, proxy } = await start(t);
    const large = seededBytes(24 * mib);
    proxy.faults.push({ match: { method: 'PATCH' }, action: { kind: 'stall', after: mib } });
    const repository = repositoryAt(t, proxy.url, { stallMs: 300 });
    const result = await upload(repository, new UploadManner('stream', mib), new TestBody(large));
    assert.equal(result.digest, digestOf(large), result.error.message);
    assert.match(result.retries[0]?.error.message ?? '', /no progress/);
    assert.ok(inspectRegistry(registry).blob(digestOf(large)).equals(large));
  });

  for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
    test(`${choice}: the registry is killed and started again in the middle`, async (t) => {
      const { registry, proxy } = await start(t);
      const half = gate();
      const back = gate();
      const body = new TestBody(bytes, {
        before: (offset) => {
          if (offset !== 3 * mib) return;
          half.open();
          return back.opened;
        },
      });
      const repository = repositoryAt(t, proxy.url);
      const uploaded = upload(repository, new UploadManner(choice, mib), body);
      await half.opened;
      await registry.restart();
      back.open();
      const result = await uploaded;
      assert.equal(result.digest, digest, result.error.message);
      assert.ok(inspectRegistry(registry).blob(digest).equals(bytes));
    });
  }

  test('the answer of a manifest’s PUT is lost', async (t) => {
    const { registry, proxy } = await start(t);
    const repository = repositoryAt(t, proxy.url);
    const config = Buffer.from('{}');
    await upload(repository, new UploadManner('auto', mib), new TestBody(config));
    const descriptor = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(config),
      size: 2,
    };
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: descriptor, layers: [] }),
    );
    proxy.faults.push({ match: { method: 'PUT', path: /manifests/ }, action: { kind: 'lose-answer' } });
    await repository.putManifest('v1', manifest, manifestType);
    assert.equal((await inspectRegistry(registry).manifest('acme/x', 'v1'))?.digest, digestOf(manifest));
    assert.deepEqual(exchanges(proxy).slice(-2), ['PUT 0', 'GET 200']);
  });

  test('a manifest of a blob that is not there is refused, and tags nothing', async (t) => {
    const { registry, proxy } = await start(t);
    const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 };
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: descriptor, layers: [] }),
    );
    await assert.rejects(repositoryAt(t, proxy.url).putManifest('v1', manifest, manifestType), /refused/);
    assert.equal(await inspectRegistry(registry).manifest('acme/x', 'v1'), undefined);
  });

  for (const choice of ['stream', 'chunked'] satisfies UploadChoice[]) {
    test(`${choice}: tokens that live shorter than the upload`, async (t) => {
      const tokens = await startTokenServer({ users: { ada: 'secret' }, expiresInSeconds: 2 });
      t.after(() => tokens.close());
      const registry = await startRegistry({ kind, auth: { token: tokens } });
      t.after(() => registry.stop());
      const dispatcher = new Agent();
      const authorizer = new Authorizer({
        registry: new URL(registry.url),
        repository: 'acme/x',
        credentials: { kind: 'basic', username: 'ada', password: 'secret', source: 'test' },
        dispatcher,
        stallMs: 5000,
        userAgent: 'test',
      });
      const repository = repositoryAt(t, registry.url, { authorizer, dispatcher });
      // Between two pieces every token given out so far expires.
      const body = new TestBody(bytes, {
        before: (offset) =>
          offset === 3 * mib ? new Promise((resolve) => setTimeout(resolve, 2100)) : undefined,
      });
      const result = await upload(repository, new UploadManner(choice, mib), body);
      assert.equal(result.digest, digest, result.error.message);
      assert.ok(tokens.issued >= 2, `${tokens.issued} tokens`);
      assert.deepEqual(body.opened, [0], 'nothing was sent twice');
      assert.ok(inspectRegistry(registry).blob(digest).equals(bytes));
    });
  }
});
