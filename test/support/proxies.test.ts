import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, fetch, ProxyAgent } from 'undici';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { startHub } from './hub.ts';
import { tinyModel } from './models.ts';
import { startProxy } from './proxy.ts';
import { describeEachRegistry, startRegistry } from './registries.ts';
import { needsOpenssl, temporaryAuthority } from './tls.ts';

test('the forward proxy tunnels, forwards and writes down', needsOpenssl, async (t) => {
  const { ca, server } = await temporaryAuthority();
  const secure = await startHub({ models: [tinyModel()], tls: server });
  const plain = await startHub({ models: [tinyModel()] });
  const proxy = await startProxy();
  t.after(() => Promise.all([secure.close(), plain.close(), proxy.close()]));
  const dispatcher = new ProxyAgent({ uri: proxy.url, requestTls: { ca }, proxyTunnel: false });
  t.after(() => dispatcher.close());
  const path = '/acme/tiny/resolve/main/config.json';
  for (const hub of [secure, plain]) {
    const response = await fetch(hub.url + path, { dispatcher });
    assert.match(await response.text(), /Tiny/);
  }
  assert.deepEqual(
    proxy.requests.map(({ method, target, status }) => [method, target, status]),
    [
      ['CONNECT', new URL(secure.url).host, 200],
      ['GET', plain.url + path, 200],
    ],
  );
});

test('the forward proxy can demand credentials', async (t) => {
  const hub = await startHub({ models: [tinyModel()] });
  const proxy = await startProxy({ credentials: 'ada:secret' });
  t.after(() => Promise.all([hub.close(), proxy.close()]));
  const through = async (uri: string): Promise<number> => {
    const dispatcher = new ProxyAgent({ uri, proxyTunnel: true });
    t.after(() => dispatcher.close());
    const response = await fetch(`${hub.url}/api/models/acme/tiny/revision/main`, { dispatcher });
    await response.text();
    return response.status;
  };
  await assert.rejects(through(proxy.url));
  assert.equal(await through(proxy.url.replace('//', '//ada:secret@')), 200);
});

describeEachRegistry('the fault proxy', (kind) => {
  /** Status and Location of one step of an upload. */
  const step = async (proxy: FaultProxy, method: string, url: string, body?: Buffer) => {
    // A connection for each step, so that a fault of one cannot show in the next.
    const dispatcher = new Agent({ pipelining: 0 });
    try {
      const response = await fetch(new URL(url, proxy.url), { method, dispatcher, ...(body && { body }) });
      await response.arrayBuffer();
      const { headers } = response;
      return {
        status: response.status,
        location: headers.get('location') ?? '',
        range: headers.get('range'),
      };
    } finally {
      await dispatcher.close();
    }
  };

  test('passes an upload through, counts it, and does what the script says', async (t) => {
    const registry = await startRegistry({ kind });
    const proxy = await startFaultProxy(registry.url);
    t.after(() => Promise.all([registry.stop(), proxy.close()]));
    const bytes = Buffer.alloc(3_000_000, 7);
    const begin = () => step(proxy, 'POST', '/v2/acme/x/blobs/uploads/');
    const patches = () => proxy.requests.filter((request) => request.method === 'PATCH');

    proxy.faults.push(
      { match: { method: 'PATCH' }, skip: 1, action: { kind: 'cut', after: 1_000_001 } },
      { match: { method: 'PATCH' }, skip: 2, action: { kind: 'status', status: 413 } },
      { match: { method: 'PATCH' }, skip: 3, action: { kind: 'lose-answer' } },
      {
        match: { method: 'PATCH' },
        skip: 4,
        action: { kind: 'rewrite', status: 201, headers: { range: '0-0' } },
      },
    );
    const { location } = await begin();
    assert.equal(new URL(location, proxy.url).origin, proxy.url, 'locations lead back to the proxy');
    const first = await step(proxy, 'PATCH', location, bytes);
    assert.deepEqual([first.status, first.range], [202, '0-2999999']);
    await assert.rejects(step(proxy, 'PATCH', first.location, bytes));
    assert.equal(patches()[1]?.requestBytes, 1_000_001);

    const { location: second } = await begin();
    assert.equal((await step(proxy, 'PATCH', second, bytes)).status, 413);
    await assert.rejects(step(proxy, 'PATCH', second, bytes));
    const { location: third } = await begin();
    const rewritten = await step(proxy, 'PATCH', third, bytes);
    assert.deepEqual([rewritten.status, rewritten.range], [201, '0-0']);
    assert.deepEqual(
      patches().map(({ requestBytes, status }) => [requestBytes, status]),
      [
        [3_000_000, 202],
        [1_000_001, 0],
        [3_000_000, 413],
        [3_000_000, 0],
        [3_000_000, 201],
      ],
    );
    assert.equal(proxy.faults.length, 0);
  });

  test('holds back what is sent', async (t) => {
    const registry = await startRegistry({ kind });
    const proxy = await startFaultProxy(registry.url, { bytesPerSecond: 1_000_000 });
    t.after(() => Promise.all([registry.stop(), proxy.close()]));
    const { location } = await step(proxy, 'POST', '/v2/acme/x/blobs/uploads/');
    const started = performance.now();
    await step(proxy, 'PATCH', location, Buffer.alloc(300_000));
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds > 0.24, `300 kB at 1 MB/s took ${seconds} s`);
  });
});
