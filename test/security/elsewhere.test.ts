import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { HttpClient } from '../../src/http/client.ts';
import { Authorizer } from '../../src/registry/auth/authorizer.ts';
import { dispatcherFor, NoDispatcher, serve, socketsFor } from '../http/clients.ts';
import { ci, json, scriptedServer } from '../registry/auth/scripted-server.ts';
import { startProxy } from '../support/proxy.ts';

interface Names {
  [host: string]: string[];
}

/**
 * A registry at `http://registry.test` whose names are these, and what became of a request to where it sent us.
 * @param large over connections of our own, and by no other way.
 */
function network(t: TestContext, names: Names, env: NodeJS.ProcessEnv = {}, large = false) {
  const asked: string[] = [];
  const dispatcher = dispatcherFor(t, env, async (host) => {
    asked.push(host);
    const next = names[host];
    if (!next) throw Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
    return next.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  });
  const way = large
    ? { dispatcher: new NoDispatcher(), sockets: socketsFor(t, env, dispatcher) }
    : { dispatcher };
  const client = (origin: string, namedBy?: string) =>
    new HttpClient({
      side: 'registry',
      ...way,
      origin,
      stallMs: 10_000,
      userAgent: 'test',
      ...(namedBy ? { namedBy } : {}),
    });
  const follow = async (url: string, origin = 'http://registry.test') => {
    const answer = await client(origin).request({ method: 'GET', url: new URL(url), large });
    return (await answer.bytes(100)).toString();
  };
  return { asked, dispatcher, client, follow };
}

async function storage(t: TestContext) {
  let requests = 0;
  const { port } = await serve(t, (_request, response) => {
    requests += 1;
    response.end('stored');
  });
  return { port, requests: () => requests };
}

const refused = {
  code: 'registry-failed',
  transient: false,
  message: /names an address that is not followed: .* has a (private|loopback|link-local) address/,
} as const;

for (const large of [false, true]) {
  const how = large ? ', over connections of our own' : '';

  describe(`a public registry${how}`, () => {
    const at = { 'registry.test': ['203.0.113.7'] };

    test('names an address of this machine, in any form: refused, and nothing is connected', async (t) => {
      const { port, requests } = await storage(t);
      const { follow } = network(t, at, {}, large);
      for (const host of [
        '127.0.0.1',
        '2130706433',
        '0x7f.1',
        '017700000001',
        '[::ffff:127.0.0.1]',
        'localhost',
        '0',
      ])
        await assert.rejects(follow(`http://${host}:${port}/`), refused, host);
      assert.equal(requests(), 0);
    });

    test('names a host that has one', async (t) => {
      const { port, requests } = await storage(t);
      const { follow } = network(t, { ...at, 'storage.test': ['198.51.100.1', '127.0.0.1'] }, {}, large);
      await assert.rejects(follow(`http://storage.test:${port}/`), refused);
      assert.equal(requests(), 0);
    });

    test('names a host that has another address at every look: those judged are those connected to', async (t) => {
      const { port, requests } = await storage(t);
      const names: Names = { ...at };
      let looks = 0;
      Object.defineProperty(names, 'storage.test', {
        get: () => (looks++ % 2 === 0 ? ['198.51.100.1'] : ['127.0.0.1']),
      });
      const { follow, asked } = network(t, names, {}, large);
      looks = 1;
      await assert.rejects(follow(`http://storage.test:${port}/`), refused);
      assert.deepEqual(asked, ['storage.test', 'registry.test'], 'one look, which was judged');
      assert.equal(requests(), 0);
    });

    test('has our own address beside its public one: still public', async (t) => {
      const { port, requests } = await storage(t);
      const { follow } = network(t, { 'registry.test': ['127.0.0.1', '203.0.113.7'] }, {}, large);
      await assert.rejects(follow(`http://127.0.0.1:${port}/`), refused);
      assert.equal(requests(), 0);
    });

    test('a connection that another may use is not shared with it', async (t) => {
      const { port, requests } = await storage(t);
      const { follow } = network(
        t,
        { ...at, 'storage.test': ['127.0.0.1'], 'local.test': ['127.0.0.1'] },
        {},
        large,
      );
      assert.equal(await follow(`http://storage.test:${port}/`, 'http://local.test'), 'stored');
      await assert.rejects(follow(`http://storage.test:${port}/`), refused);
      assert.equal(requests(), 1);
    });
  });

  describe(`a registry on this machine or in a private network${how}`, () => {
    for (const from of ['127.0.0.1', '[::1]', 'localhost', 'local.test']) {
      test(`at ${from}: its storage here works`, async (t) => {
        const { port } = await storage(t);
        const { follow } = network(
          t,
          { 'local.test': ['127.0.0.1'], 'storage.test': ['127.0.0.1'] },
          {},
          large,
        );
        for (const to of ['127.0.0.1', 'storage.test'])
          assert.equal(await follow(`http://${to}:${port}/`, `http://${from}:1`), 'stored');
      });
    }

    test("names the cloud's metadata service: refused", async (t) => {
      const { follow } = network(t, { 'metadata.test': ['169.254.169.254'] }, {}, large);
      for (const host of [
        '169.254.169.254',
        '[fe80::1]',
        '[::ffff:a9fe:a9fe]',
        '2852039166',
        'metadata.test',
      ])
        await assert.rejects(follow(`http://${host}/latest/meta-data/`, 'http://127.0.0.1:1'), refused, host);
    });

    test('in a private network: not this machine', async (t) => {
      const { port, requests } = await storage(t);
      const { follow } = network(t, {}, {}, large);
      await assert.rejects(follow(`http://127.0.0.1:${port}/`, 'http://10.0.0.1'), refused);
      assert.equal(requests(), 0);
    });
  });

  test(`never from https to http, whoever asks for it${how}`, async (t) => {
    const { port, requests } = await storage(t);
    const { follow } = network(t, {}, {}, large);
    await assert.rejects(follow(`http://127.0.0.1:${port}/`, 'https://127.0.0.1:1'), {
      code: 'registry-failed',
      transient: false,
      message: /is https and names an address of http/,
    });
    assert.equal(requests(), 0);
  });
}

test('behind a proxy names are the proxy’s to look up, and addresses are judged all the same', async (t) => {
  const { port, requests } = await storage(t);
  const proxy = await startProxy();
  t.after(() => proxy.close());
  const { follow, asked } = network(t, {}, { HTTP_PROXY: proxy.url });
  // The proxy finds `localhost.` nowhere else than we do: what counts is that it was asked.
  await assert.rejects(
    follow(`http://storage.invalid:${port}/`).then(() => Promise.reject(new Error('asked'))),
  );
  assert.deepEqual(
    proxy.requests.map(({ target }) => target),
    [`http://storage.invalid:${port}/`],
  );
  assert.deepEqual(asked, []);
  await assert.rejects(follow(`http://127.0.0.1:${port}/`), refused);
  await assert.rejects(follow('http://169.254.169.254/'), refused);
  assert.equal(proxy.requests.length, 1);
  assert.equal(requests(), 0);
});

test('a realm is named by the registry: the same rule', async (t) => {
  const server = await scriptedServer(t, (_seen, response) => json(response, { token: 'abc' }));
  const { dispatcher } = network(t, { 'registry.test': ['203.0.113.7'], 'auth.test': ['127.0.0.1'] });
  const port = new URL(server.url).port;
  const token = async (registry: string, realm: string) => {
    const options = { repository: 'acme/x', credentials: ci, dispatcher, stallMs: 10_000, userAgent: 'test' };
    const authorizer = new Authorizer({ registry: new URL(registry), ...options });
    authorizer.challenged(`Bearer realm="${realm}"`, performance.now());
    return authorizer.authorize();
  };
  await assert.rejects(token('http://registry.test', server.url), refused);
  await assert.rejects(token('http://registry.test', `http://auth.test:${port}/`), refused);
  assert.equal(server.seen.length, 0, 'no credentials were sent');
  assert.equal(await token('http://127.0.0.1:1', `http://auth.test:${port}/`), 'Bearer abc');
});
