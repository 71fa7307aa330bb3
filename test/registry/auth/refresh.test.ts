import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HeldToken } from '../../../src/registry/auth/held-token.ts';
import type { AccessToken } from '../../../src/registry/auth/token-answer.ts';
import { everythingIn } from './homes.ts';
import { counting, identity, json, requests, scriptedServer } from './scripted-server.ts';

const ours = 'repository:acme/model:pull,push';
const bearer = (realm: string) => `Bearer realm="${realm}",service="acme"`;
const basicHeader = `Basic ${Buffer.from('ci:s3cret').toString('base64')}`;

test('a token is asked for when a request needs one, kept, and replaced before it expires', async (t) => {
  const server = await scriptedServer(t, counting(120));
  const { clock, next } = requests(t);
  (await next()).refused(bearer(server.url));
  assert.equal(server.seen.length, 0);
  const tokens: (string | undefined)[] = [];
  for (const seconds of [0, 60, 29, 1, 89, 1]) {
    clock.now += seconds * 1000;
    tokens.push((await next()).header?.replace('Bearer token-', ''));
  }
  // Each is used for 90 s of its 120.
  assert.deepEqual(tokens, ['1', '1', '1', '2', '2', '3']);
  assert.deepEqual(
    server.seen.map(({ query, authorization }) => [
      query.getAll('scope'),
      query.get('service'),
      authorization,
    ]),
    Array(3).fill([[ours], 'acme', basicHeader]),
  );
});

test('an identity token is exchanged, by POST', async (t) => {
  const server = await scriptedServer(t, (_seen, response) => json(response, { access_token: 'abc' }));
  const { next } = requests(t, { credentials: identity });
  assert.equal((await next()).refused(['Basic realm="x"', bearer(server.url)]), true);
  assert.equal((await next()).header, 'Bearer abc');
  assert.deepEqual(
    server.seen.map(({ method, form }) => [method, form.get('scope')]),
    [['POST', ours]],
  );
});

describe('all who wait share one refresh', () => {
  test('the first, of a burst that was refused, and every later one', async (t) => {
    const server = await scriptedServer(t, counting(60));
    const { clock, next } = requests(t);
    for (const each of [await next(), await next(), await next()]) each.refused(bearer(server.url));
    for (const token of ['Bearer token-1', 'Bearer token-2']) {
      const all = await Promise.all(Array.from({ length: 20 }, () => next()));
      assert.deepEqual([...new Set(all.map(({ header }) => header))], [token]);
      clock.now += 50_000;
    }
    assert.equal(server.seen.length, 2);
  });

  test('one who stops waiting does not stop the others', async (t) => {
    const asked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const server = await scriptedServer(t, async (_seen, response) => {
      asked.resolve();
      await goOn.promise;
      json(response, { token: 'abc' });
    });
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    const abort = new AbortController();
    const first = next(abort.signal);
    const second = next(new AbortController().signal);
    await asked.promise;
    const reason = new Error('stopped');
    abort.abort(reason);
    await assert.rejects(first, reason);
    goOn.resolve();
    assert.equal((await second).header, 'Bearer abc');
    assert.equal(server.seen.length, 1);
  });

  test('when all have gone the request is stopped, and the next one starts anew', async (t) => {
    const asked = Promise.withResolvers<void>();
    const cut = Promise.withResolvers<void>();
    const server = await scriptedServer(t, (_seen, response) => {
      response.on('close', () => cut.resolve());
      asked.resolve();
    });
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    const abort = new AbortController();
    const waiting = [next(abort.signal), next(abort.signal)];
    await asked.promise;
    server.script = counting();
    abort.abort(new Error('stopped'));
    const left = await Promise.allSettled(waiting);
    assert.deepEqual(
      left.map((each) => each.status === 'rejected' && each.reason.message),
      ['stopped', 'stopped'],
    );
    assert.equal((await next()).header, 'Bearer token-1');
    await cut.promise;
  });

  test('one that was given up and does not end is not waited for', async () => {
    const fetches: PromiseWithResolvers<AccessToken>[] = [];
    const held = new HeldToken(
      () => {
        const fetch = Promise.withResolvers<AccessToken>();
        fetches.push(fetch);
        return fetch.promise;
      },
      () => 0,
    );
    const abort = new AbortController();
    const first = held.get(0, abort.signal);
    abort.abort(new Error('stopped'));
    await assert.rejects(first, /stopped/);
    const second = held.get(0);
    assert.equal(fetches.length, 2);
    const token = { token: 'abc', issuedAt: 0, expiresAt: 60_000 };
    fetches[0]?.resolve({ ...token, token: 'too late' });
    fetches[1]?.resolve(token);
    assert.equal(await second, token);
    assert.equal(await held.get(0), token);
  });

  test('a stop before the request asks for nothing', async (t) => {
    const server = await scriptedServer(t, (_seen, response) => json(response, {}, 500));
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    await assert.rejects(next(AbortSignal.abort(new Error('stopped'))), /stopped/);
    // Had it asked, the next one would have waited for the same answer.
    server.script = counting();
    await next();
    assert.equal(server.seen.length, 1);
  });

  test('one that was on its way when the scopes grew is for those who asked then', async (t) => {
    const asked = [Promise.withResolvers<() => void>(), Promise.withResolvers<() => void>()];
    const server = await scriptedServer(t, (_seen, response) => {
      const n = server.seen.length;
      asked[n - 1]?.resolve(() => json(response, { token: `token-${n}` }));
    });
    const { authorizer, next } = requests(t);
    (await next()).refused(bearer(server.url));
    const before = next();
    const answerFirst = await asked[0]?.promise;
    authorizer.addScope('acme/base');
    const after = next();
    const answerSecond = await asked[1]?.promise;
    answerSecond?.();
    assert.equal((await after).header, 'Bearer token-2');
    answerFirst?.();
    assert.equal((await before).header, 'Bearer token-1');
    assert.equal((await next()).header, 'Bearer token-2');
    // The refusal of the older one says nothing of the newer one.
    assert.equal((await before).refused(bearer(server.url)), true);
    assert.equal((await next()).header, 'Bearer token-2');
    assert.equal((await after).refused(bearer(server.url)), true, 'one fresh token may be bad luck');
  });
});

describe('a token server that fails', () => {
  test('is told to all who wait, and asked again by the next request', async (t) => {
    const server = await scriptedServer(t, (_seen, response) => json(response, {}, 503));
    const { next } = requests(t);
    (await next()).refused(bearer(server.url));
    const all = await Promise.allSettled([next(), next(), next()]);
    assert.deepEqual(
      all.map((each) => each.status === 'rejected' && each.reason.transient),
      [true, true, true],
    );
    assert.equal(server.seen.length, 1);
    server.script = counting();
    assert.equal((await next()).header, 'Bearer token-1');
  });

  test('for a moment, stops nothing while the token is good', async (t) => {
    const server = await scriptedServer(t, counting(60));
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    await next();
    server.script = (_seen, response) => json(response, {}, 503);
    clock.now += 50_000;
    assert.equal((await next()).header, 'Bearer token-1');
    clock.now += 10_000;
    await assert.rejects(next(), { transient: true });
  });

  test('for good, is told at once: asking on could lock the account', async (t) => {
    const server = await scriptedServer(t, counting(60));
    const { clock, next } = requests(t);
    (await next()).refused(bearer(server.url));
    await next();
    server.script = (_seen, response) => json(response, {}, 401);
    clock.now += 50_000;
    await assert.rejects(next(), { code: 'unauthorized' });
  });

  test('no secret is in the error, of the credentials or of the realm', async (t) => {
    const server = await scriptedServer(t, ({ authorization }, response) =>
      json(response, `no: ${authorization}`, 401),
    );
    const { next } = requests(t);
    (await next()).refused(bearer(`${server.url}/?key=t0psecret`));
    const error = await next().catch((thrown) => thrown);
    assert.equal(error.code, 'unauthorized');
    assert.doesNotMatch(everythingIn(error), /s3cret|Y2k6|t0psecret/);
  });
});
