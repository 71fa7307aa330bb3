import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createDispatcher } from '../../src/http/dispatcher.ts';
import { push } from '../../src/publish/push.ts';
import { clientFor, serve } from '../http/clients.ts';
import { everythingIn } from '../registry/auth/homes.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { tinyModel } from '../support/models.ts';
import { startProxy } from '../support/proxy.ts';
import { runBoxcar, tempDir } from '../support/run.ts';

/** Refused as bad configuration, before any request, and without a word of the login in it. */
async function refused(
  t: TestContext,
  env: NodeJS.ProcessEnv,
  options: { model?: string; target?: string } = {},
) {
  const hub = await startHub({ models: [tinyModel('acme/x')] });
  const registry = await startFakeRegistry('distribution3');
  t.after(() => Promise.all([hub.close(), registry.close()]));
  const error = await push({
    model: 'acme/x',
    target: `http://${registry.host}/acme/x`,
    env: { HOME: tempDir(t), HF_ENDPOINT: hub.url, ...env },
    ...options,
  }).then(
    () => assert.fail('it was published'),
    (thrown) => thrown,
  );
  assert.deepEqual([error.code, error.exitCode], ['usage', 2], error.stack);
  assert.equal(hub.requests.length + registry.requests.length, 0);
  assert.doesNotMatch(everythingIn(error), /us3r|l0gin/);
  return error;
}

describe('HF_ENDPOINT', () => {
  for (const endpoint of [
    'ftp://hub.test',
    'file:///etc',
    'javascript:alert(1)',
    'hub.test',
    '//hub.test',
    'https://us3r:l0gin@hub.test',
    'https://us3r:l0gin/@hub.test:99999999',
    'https://hub.test/?token=l0gin',
    'https://hub.test/#l0gin',
  ]) {
    test(endpoint, async (t) => void (await refused(t, { HF_ENDPOINT: endpoint })));
  }
});

describe('proxies', () => {
  for (const proxy of [
    'ftp://proxy.test',
    'file:///etc/passwd',
    'http://',
    'http://us3r:l0gin@',
    'http://us3r:l0gin@proxy.test:99999999',
    'http://us3r:l0gin%@proxy.test',
    'us3r:l0gin@',
    'gopher://us3r:l0gin@proxy.test',
  ]) {
    for (const name of ['HTTPS_PROXY', 'http_proxy']) {
      test(`${name}=${proxy}`, async (t) => {
        const error = await refused(t, { [name]: proxy });
        assert.match(error.message, new RegExp(`^${name} is not the address of a proxy`));
      });
    }
  }

  test('without a scheme it is http, as for curl', async (t) => {
    const server = await serve(t, (_request, response) => void response.end('plain'));
    const proxy = await startProxy();
    t.after(() => proxy.close());
    const http = clientFor(t, server.url, { env: { HTTP_PROXY: new URL(proxy.url).host } });
    const answer = await http.request({ method: 'GET', url: new URL(server.url) });
    assert.equal((await answer.bytes(10)).toString(), 'plain');
    assert.equal(proxy.requests.length, 1);
  });

  test('one that refuses us, or is not there: an error without its login', async (t) => {
    const closed = await startProxy({ credentials: 'someone:else' });
    t.after(() => closed.close());
    for (const host of [new URL(closed.url).host, '127.0.0.1:1']) {
      for (const to of ['http://registry.test/', 'https://registry.test/']) {
        const proxy = `http://us3r:l0gin-of-the-proxy@${host}`;
        const env = { HTTPS_PROXY: proxy, HTTP_PROXY: proxy };
        const http = clientFor(t, new URL(to).origin, { env });
        const error = await http.request({ method: 'GET', url: new URL(to) }).then(
          () => assert.fail('it was let through'),
          (thrown) => thrown,
        );
        assert.doesNotMatch(everythingIn(error), /l0gin-of|dXMzcjps/);
      }
    }
  });
});

describe('SSL_CERT_FILE', () => {
  const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  for (const [what, content] of [
    ['empty', ''],
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['damaged', pem('AAAA')],
    ['not base64', pem('!!!!')],
  ] as const) {
    test(what, async (t) => {
      const file = join(tempDir(t), 'ca.pem');
      writeFileSync(file, content);
      assert.match((await refused(t, { SSL_CERT_FILE: file })).message, /^SSL_CERT_FILE names a file that/);
    });
  }

  test('missing, or a directory', async (t) => {
    await refused(t, { SSL_CERT_FILE: '/nonexistent/ca.pem' });
    await refused(t, { SSL_CERT_FILE: tempDir(t) });
  });
});

describe('a login in an argument is refused and not repeated', () => {
  for (const target of [
    'us3r:l0gin@registry.test/acme/x',
    'https://us3r:l0gin@registry.test/acme/x',
    'https://us3r:l0gin@registry.test/acme/x@y',
  ])
    test(target, async (t) => void (await refused(t, {}, { target })));
  for (const model of ['https://us3r:l0gin@huggingface.co/acme/x', 'https://us3r:l0gin@hub.test/a/b/c/d'])
    test(model, async (t) => void (await refused(t, {}, { model })));
});

test('the command says so as well: exit 2', async () => {
  const run = await runBoxcar(['push', 'acme/x', 'registry.test/acme/x', '--verbose'], {
    env: { HTTPS_PROXY: 'ftp://us3r:l0gin@proxy.test' },
  });
  assert.equal(run.code, 2, run.stderr);
  assert.doesNotMatch(run.stdout + run.stderr, /us3r|l0gin/);
  assert.match(run.stderr, /HTTPS_PROXY is not the address of a proxy/);
});

test('an empty variable is none', (t) => {
  const dispatcher = createDispatcher({ HTTPS_PROXY: '', http_proxy: '', SSL_CERT_FILE: '' });
  t.after(() => dispatcher.destroy());
});
