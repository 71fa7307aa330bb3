import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createDispatcher } from '../../src/http/dispatcher.ts';
import { type Listener, listen } from '../support/listen.ts';
import { startProxy } from '../support/proxy.ts';
import { tempDir } from '../support/temp-dir.ts';
import { needsOpenssl, temporaryAuthority } from '../support/tls.ts';
import { clientFor, serve } from './clients.ts';

async function get(t: TestContext, url: string, env: NodeJS.ProcessEnv): Promise<string> {
  const answer = await clientFor(t, url, { env }).request({ method: 'GET', url: new URL(url) });
  return String(await answer.bytes(1000));
}

async function serveTls(t: TestContext): Promise<Listener & { caFile: string }> {
  const { server: identity, caFile } = await temporaryAuthority();
  const server = await listen((_request, response) => void response.end('over TLS'), identity);
  t.after(() => server.close());
  return { ...server, caFile };
}

async function proxyFor(t: TestContext, credentials?: string) {
  const proxy = await startProxy(credentials === undefined ? {} : { credentials });
  t.after(() => proxy.close());
  return proxy;
}

describe('certificates', () => {
  test('those of SSL_CERT_FILE are trusted', needsOpenssl, async (t) => {
    const server = await serveTls(t);
    assert.equal(await get(t, server.url, { SSL_CERT_FILE: server.caFile }), 'over TLS');
    await assert.rejects(get(t, server.url, {}));
    await assert.rejects(get(t, server.url, { SSL_CERT_FILE: '' }));
  });

  test('a file that cannot be read is a wrong configuration', (t) => {
    const missing = join(tempDir(t), 'none.pem');
    assert.throws(() => createDispatcher({ SSL_CERT_FILE: missing }), {
      code: 'usage',
      message: new RegExp(`SSL_CERT_FILE.*${missing}`),
    });
  });
});

describe('proxies', () => {
  test('HTTPS_PROXY is asked for a tunnel', needsOpenssl, async (t) => {
    const [server, proxy] = [await serveTls(t), await proxyFor(t)];
    const env = { SSL_CERT_FILE: server.caFile, HTTPS_PROXY: proxy.url };
    assert.equal(await get(t, server.url, env), 'over TLS');
    assert.deepEqual(
      proxy.requests.map(({ method, target }) => `${method} ${target}`),
      [`CONNECT ${new URL(server.url).host}`],
    );
  });

  test('HTTP_PROXY is for plain HTTP', async (t) => {
    const [server, proxy] = [
      await serve(t, (_request, response) => void response.end('plain')),
      await proxyFor(t),
    ];
    assert.equal(await get(t, server.url, { HTTP_PROXY: proxy.url }), 'plain');
    assert.equal(proxy.requests.length, 1);
    assert.equal(await get(t, server.url, { HTTPS_PROXY: proxy.url }), 'plain');
    assert.equal(proxy.requests.length, 1, 'HTTPS_PROXY is not');
  });

  test('lower case wins', async (t) => {
    const server = await serve(t, (_request, response) => void response.end('plain'));
    const [one, two] = [await proxyFor(t), await proxyFor(t)];
    await get(t, server.url, { http_proxy: one.url, HTTP_PROXY: two.url });
    assert.deepEqual([one.requests.length, two.requests.length], [1, 0]);
  });

  test('NO_PROXY goes past them', needsOpenssl, async (t) => {
    const [server, proxy] = [await serveTls(t), await proxyFor(t)];
    const env = { SSL_CERT_FILE: server.caFile, HTTPS_PROXY: proxy.url, NO_PROXY: 'example.com,127.0.0.1' };
    assert.equal(await get(t, server.url, env), 'over TLS');
    assert.deepEqual(proxy.requests, []);
  });

  test('their credentials are theirs', needsOpenssl, async (t) => {
    const [server, proxy] = [await serveTls(t), await proxyFor(t, 'user:password')];
    const url = proxy.url.replace('//', '//user:password@');
    assert.equal(await get(t, server.url, { SSL_CERT_FILE: server.caFile, HTTPS_PROXY: url }), 'over TLS');
    await assert.rejects(get(t, server.url, { SSL_CERT_FILE: server.caFile, HTTPS_PROXY: proxy.url }));
  });

  test('the environment given wins over that of the process', async (t) => {
    const [server, proxy] = [
      await serve(t, (_request, response) => void response.end('plain')),
      await proxyFor(t),
    ];
    const before = process.env.http_proxy;
    process.env.http_proxy = proxy.url;
    t.after(() => {
      if (before === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = before;
    });
    assert.equal(await get(t, server.url, {}), 'plain');
    assert.deepEqual(proxy.requests, []);
    assert.equal(await get(t, server.url, process.env), 'plain');
    assert.equal(proxy.requests.length, 1);
  });
});
