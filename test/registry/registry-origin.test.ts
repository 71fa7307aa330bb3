import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import { isLoopback, registryOrigin } from '../../src/registry/registry-origin.ts';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { needsOpenssl, temporaryAuthority } from '../support/tls.ts';
import { mib, repositoryAt, seededBytes, TestBody, upload } from './setup.ts';

const userAgent = 'test';

function agent(t: TestContext, ca?: string): Agent {
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca } });
  t.after(() => dispatcher.destroy());
  return dispatcher;
}

test('https, except where told otherwise; docker.io is Docker Hub', async (t) => {
  const dispatcher = agent(t);
  for (const [registry, scheme, origin] of [
    ['registry.example.com', undefined, 'https://registry.example.com'],
    ['registry.example.com:5000', undefined, 'https://registry.example.com:5000'],
    ['registry.example.com', 'http', 'http://registry.example.com'],
    ['docker.io', undefined, 'https://registry-1.docker.io'],
    ['127.0.0.1:1', 'https', 'https://127.0.0.1:1'],
    ['127.0.0.1:1', 'http', 'http://127.0.0.1:1'],
    ['[2001:db8::1]:5000', undefined, 'https://[2001:db8::1]:5000'],
  ] as const) {
    assert.equal(await registryOrigin({ registry, scheme, dispatcher, userAgent }), origin);
  }
});

test('what is loopback', () => {
  for (const host of ['localhost', 'localhost:5000', 'a.localhost', '127.0.0.1', '127.9.9.9:1', '[::1]:5000'])
    assert.ok(isLoopback(host), host);
  for (const host of ['localhost.example.com', '128.0.0.1', 'registry.local', '127.0.0.1.example.com'])
    assert.ok(!isLoopback(host), host);
});

test('loopback: http where the other side speaks no TLS, and where nobody listens', async (t) => {
  const plain = await startFakeRegistry('distribution3');
  const dispatcher = agent(t);
  assert.equal(await registryOrigin({ registry: plain.host, dispatcher, userAgent }), plain.url);
  await plain.close();
  assert.equal(await registryOrigin({ registry: plain.host, dispatcher, userAgent }), plain.url);
});

test('loopback: http where the other side hangs up on TLS', async (t) => {
  const server = createServer((socket) =>
    socket.once('data', (data) => {
      if (data.toString().startsWith('GET ')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      else socket.destroy();
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const registry = `127.0.0.1:${(server.address() as { port: number }).port}`;
  assert.equal(await registryOrigin({ registry, dispatcher: agent(t), userAgent }), `http://${registry}`);
});

test('loopback: https where there is TLS, trusted or not', needsOpenssl, async (t) => {
  const authority = await temporaryAuthority();
  const registry = await startFakeRegistry('distribution3', {}, authority.server);
  t.after(() => registry.close());
  const trusting = agent(t, authority.ca);
  const origin = await registryOrigin({ registry: registry.host, dispatcher: trusting, userAgent });
  assert.equal(origin, registry.url);
  const repository = repositoryAt(t, origin, { dispatcher: trusting });
  const body = new TestBody(seededBytes(100));
  const { digest, error } = await upload(repository, new UploadManner('auto', mib), body);
  assert.ok(digest, error.message);

  const doubting = agent(t);
  assert.equal(
    await registryOrigin({ registry: registry.host, dispatcher: doubting, userAgent }),
    registry.url,
  );
  const contacted = repositoryAt(t, registry.url, { dispatcher: doubting });
  // At once and once: trying again changes nothing about a certificate.
  await assert.rejects(contacted.ping(new AbortController().signal), {
    code: 'registry-failed',
    exitCode: 6,
    message: /TLS failed: .*(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT)/,
    hint: /NODE_EXTRA_CA_CERTS or SSL_CERT_FILE/,
    transient: false,
  });
});

test('https to a registry that speaks http: at once, with what to do', async (t) => {
  const registry = await startFakeRegistry('distribution3');
  t.after(() => registry.close());
  const repository = repositoryAt(t, registry.url.replace('http:', 'https:'));
  await assert.rejects(repository.ping(new AbortController().signal), {
    code: 'registry-failed',
    message: /TLS failed/,
    hint: /--plain-http/,
  });
});

test(
  'a registry on https that sends its uploads to http is refused: its bytes would leave TLS',
  needsOpenssl,
  async (t) => {
    const authority = await temporaryAuthority();
    const registry = await startFakeRegistry('distribution3', {}, authority.server);
    t.after(() => registry.close());
    const location = registry.url.replace('https:', 'http:');
    registry.faults.push({
      match: { method: 'POST' },
      times: 2,
      action: { kind: 'answer', status: 202, headers: { location } },
    });
    const repository = repositoryAt(t, registry.url, { dispatcher: agent(t, authority.ca) });
    const { error, retries } = await upload(
      repository,
      new UploadManner('auto', mib),
      new TestBody(seededBytes(9)),
    );
    assert.match(error.message, /Location that cannot be used/);
    assert.match(error.hint ?? '', /leaves https/);
    assert.equal(retries.length, 0);
  },
);

test(
  'a TLS registry on loopback whose first connection breaks is not taken for one without',
  needsOpenssl,
  async (t) => {
    const authority = await temporaryAuthority();
    const registry = await startFakeRegistry('distribution3', {}, authority.server);
    t.after(() => registry.close());
    registry.faults.push({ action: { kind: 'lose-answer' } });
    const origin = await registryOrigin({
      registry: registry.host,
      dispatcher: agent(t, authority.ca),
      userAgent,
    });
    assert.equal(origin, registry.url);
  },
);
