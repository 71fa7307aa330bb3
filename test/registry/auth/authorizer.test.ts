import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Credentials } from '../../../src/registry/auth/credentials.ts';
import { anonymous, counting, identity, requests, scriptedServer } from './scripted-server.ts';

const basicRealm = 'Basic realm="Registry"';
const ours = 'repository:acme/model:pull,push';
const bearer = (realm: string, more = '') => `Bearer realm="${realm}",service="acme"${more}`;
const basicHeader = `Basic ${Buffer.from('ci:s3cret').toString('base64')}`;

describe('Basic', () => {
  test('nothing is sent unasked; then the credentials, until they are refused', async (t) => {
    const { authorizer, next } = requests(t);
    const first = await next();
    assert.equal(first.header, undefined);
    assert.equal(first.refused(basicRealm), true);
    const second = await next();
    assert.equal(second.header, basicHeader);
    assert.equal(second.refused(basicRealm), false);
    assert.equal(authorizer.source, 'the test');
  });

  test('every request of a first burst is worth sending again', async (t) => {
    const { next } = requests(t);
    const burst = [await next(), await next(), await next()];
    assert.deepEqual(
      burst.map((each) => each.refused(basicRealm)),
      [true, true, true],
    );
    assert.equal((await next()).refused(basicRealm), false);
  });

  test('without a password there is nothing to send', async (t) => {
    for (const credentials of [anonymous, identity]) {
      const { next } = requests(t, { credentials });
      assert.equal((await next()).refused(basicRealm), false);
      assert.equal((await next()).header, undefined);
    }
  });

  const useless = [undefined, '', 'Negotiate', 'Bearer service="no realm"', 'Bearer realm=""', [], ['NTLM']];
  test('a 401 that asks for nothing known changes nothing', async (t) => {
    const { next } = requests(t);
    for (const header of useless) {
      const request = await next();
      assert.equal(request.header, undefined);
      assert.equal(request.refused(header), false);
    }
  });

  test('one of several headers will do', async (t) => {
    assert.equal((await requests(t).next()).refused(['Negotiate', basicRealm]), true);
  });
});

describe('an access token that was given as such', () => {
  test('is sent at once, and when it is refused that is final', async (t) => {
    const credentials: Credentials = { kind: 'bearer', token: 's3cret', source: 'the test' };
    const { clock, next } = requests(t, { credentials });
    for (const header of [basicRealm, bearer('http://127.0.0.1:1/')]) {
      const request = await next();
      assert.equal(request.header, 'Bearer s3cret');
      clock.now += 5000;
      assert.equal(request.refused(header), false);
    }
  });
});

describe('a token that is refused', () => {
  test('the first time it is used: another one may help, once', async (t) => {
    const server = await scriptedServer(t, counting());
    const { clock, next } = requests(t);
    assert.equal((await next()).refused(bearer(server.url)), true);
    const request = await next();
    assert.equal(request.header, 'Bearer token-1');
    assert.equal(request.refused(bearer(server.url)), true);
    const again = await next();
    assert.equal(again.header, 'Bearer token-2');
    assert.equal(again.refused(bearer(server.url)), false);
    // It is not used again all the same.
    const later = await next();
    assert.equal(later.header, 'Bearer token-3');
    clock.now += 60_000;
    assert.equal((await next()).refused(bearer(server.url)), true, 'not in a row');
  });

  test('within a second: the same', async (t) => {
    const server = await scriptedServer(t, counting());
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    for (const helps of [true, false]) {
      await next();
      clock.now += 990;
      assert.equal((await next()).refused(bearer(server.url)), helps);
    }
  });

  test('after a while: another one may', async (t) => {
    const server = await scriptedServer(t, counting());
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    await next();
    clock.now += 20_000;
    const request = await next();
    clock.now += 500_000;
    assert.equal(request.refused(bearer(server.url, ',error="invalid_token"')), true);
    assert.equal((await next()).header, 'Bearer token-2');
  });

  test('and has been replaced since: the new one is for this request too', async (t) => {
    const server = await scriptedServer(t, counting());
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    await next();
    clock.now += 20_000;
    const together = [await next(), await next(), await next()];
    for (const each of together) {
      clock.now += 100;
      assert.equal(each.header, 'Bearer token-1');
      assert.equal(each.refused(bearer(server.url)), true);
      assert.equal((await next()).header, 'Bearer token-2');
    }
    assert.equal(server.seen.length, 2);
  });

  test('by a registry that names another realm each time: no loop', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    assert.equal((await next()).refused(bearer(`${server.url}/?n=0`)), true);
    for (let n = 1; n < 5; n++) {
      const request = await next();
      assert.equal(request.header, `Bearer token-${n}`);
      assert.equal(request.refused(bearer(`${server.url}/?n=${n}`)), n === 1);
    }
  });

  test('by a registry that goes over to Basic, and there again', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    assert.equal((await next()).refused(basicRealm), true);
    const request = await next();
    assert.equal(request.header, basicHeader);
    assert.equal(request.refused(basicRealm), false);
  });
});

describe('scopes', () => {
  const scopesOf = (server: { seen: { query: URLSearchParams }[] }) =>
    server.seen.at(-1)?.query.getAll('scope');

  test("a narrower one of ours changes nothing; the first contact's example of another repository neither", async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    const scope = 'repository:acme/model:pull repository:user/image:pull';
    (await next()).refused(bearer(server.url, `,scope="${scope}"`));
    await next();
    assert.deepEqual(scopesOf(server), [ours]);
  });

  test('more of ours joins at once', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    (await next()).refused(bearer(server.url, ',scope="repository:acme/model:pull,delete"'));
    await next();
    assert.deepEqual(scopesOf(server), ['repository:acme/model:pull,delete', ours]);
  });

  test('what a token is refused for joins, first in line, and is worth another try', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    const more = bearer(
      server.url,
      ',scope="repository:local/acme/model:push,pull",error="insufficient_scope"',
    );
    assert.equal((await next()).refused(more), true);
    const request = await next();
    assert.equal(request.header, 'Bearer token-2');
    assert.deepEqual(scopesOf(server), ['repository:local/acme/model:push,pull', ours]);
    assert.equal(request.refused(more), false);
  });

  test('what joins is in the next token, also where a newer one is held already', async (t) => {
    const server = await scriptedServer(t, counting());
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    await next();
    clock.now += 20_000;
    const together = [await next(), await next()];
    assert.equal(together[0]?.refused(bearer(server.url)), true);
    assert.equal((await next()).header, 'Bearer token-2');
    assert.equal(together[1]?.refused(bearer(server.url, ',scope="repository:x:pull"')), true);
    assert.equal((await next()).header, 'Bearer token-3');
    assert.deepEqual(scopesOf(server), ['repository:x:pull', ours]);
  });

  test('one that is added is in the next token; adding it again costs nothing', async (t) => {
    const server = await scriptedServer(t, counting());
    const { authorizer, next } = requests(t);
    authorizer.addScope('acme/base');
    (await next()).refused(bearer(server.url));
    await next();
    assert.deepEqual(scopesOf(server), [ours, 'repository:acme/base:pull']);
    authorizer.addScope('acme/base');
    authorizer.addScope('acme/model');
    await next();
    assert.equal(server.seen.length, 1);
    authorizer.addScope('acme/other');
    assert.equal((await next()).header, 'Bearer token-2');
  });

  test('a registry that wants ever more gets tired first', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    let helped = 0;
    for (let n = 0; n < 100; n++) {
      const scope = `repository:evil/${n}:pull ${'x'.repeat(600)} repository:\u00e9:pull`;
      if ((await next()).refused(bearer(server.url, `,scope="${scope}"`))) helped += 1;
    }
    // Fifteen scopes, and the one more try that any fresh token is worth.
    assert.equal(helped, 16);
    await next();
    assert.equal(scopesOf(server)?.length, 16);
    assert.equal(scopesOf(server)?.at(-1), ours);
  });
});

describe('realms', () => {
  const cases: [registry: string, realm: string, allowed: boolean][] = [
    ['https://registry.test', 'https://auth.test/token', true],
    ['https://registry.test', 'http://auth.test/token', false],
    ['https://registry.test', 'http://registry.test/token', false],
    ['https://registry.test', 'http://127.0.0.1:1/token', false],
    ['http://registry.test', 'http://auth.test/token', true],
    ['http://registry.test', 'https://auth.test/token', true],
    ['https://127.0.0.1:5000', 'http://127.0.0.1:5001/token', true],
    ['https://127.0.0.1:5000', 'http://auth.test/token', false],
    ['https://registry.test', '/token', true],
    ['https://registry.test', 'ftp://auth.test/token', false],
    ['https://registry.test', 'file:///etc/passwd', false],
    ['https://registry.test', 'data:application/json,{}', false],
    ['https://registry.test', 'http://', false],
    ['https://registry.test', 'https://', false],
  ];
  for (const [registry, realm, allowed] of cases) {
    test(`${registry} names ${realm}: ${allowed ? 'well' : 'refused'}`, async (t) => {
      const { next } = requests(t, { registry: new URL(registry) });
      const request = await next();
      if (allowed) return assert.equal(request.refused(bearer(realm)), true);
      assert.throws(() => request.refused(bearer(realm)), {
        code: 'registry-failed',
        side: 'registry',
        transient: false,
        message: /token server that credentials cannot be sent to/,
      });
      assert.equal((await next()).header, undefined);
    });
  }

  test('a login in the realm is not ours to use', async (t) => {
    const server = await scriptedServer(t, counting());
    const { next } = requests(t, { credentials: anonymous });
    (await next()).refused(bearer(server.url.replace('http://', 'http://a:b@')));
    await next();
    assert.equal(server.seen[0]?.authorization, undefined);
  });

  test('what is told of a realm is a bounded line', async (t) => {
    const request = await requests(t).next();
    const hostile = `ftp://x/\u001b[31m\r\n${'y'.repeat(5000)}`;
    assert.throws(
      () => request.refused(bearer(hostile)),
      ({ hint }) => hint.length < 200 && !/[\u0000-\u001f]/.test(hint),
    );
  });
});
