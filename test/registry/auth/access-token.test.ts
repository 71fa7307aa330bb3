import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fetchAccessToken } from '../../../src/registry/auth/access-token.ts';
import type { Credentials } from '../../../src/registry/auth/credentials.ts';
import { refreshAt } from '../../../src/registry/auth/token-answer.ts';
import { everythingIn } from './homes.ts';
import {
  anonymous,
  ci,
  httpTo,
  identity,
  json,
  type Script,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts';

const scopes = ['repository:acme/model:pull,push', 'repository:localhost:5000/base:pull'];
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

function ask(
  t: TestContext,
  server: ScriptedServer,
  credentials: Credentials,
  realm = `${server.url}/token?x=1`,
) {
  const http = httpTo(t, server.url);
  return fetchAccessToken(
    http,
    credentials,
    { realm: new URL(realm), service: 'acme registry', scopes },
    () => 500,
  );
}

const gives =
  (document: unknown): Script =>
  (_seen, response) =>
    json(response, document);

describe('what is asked', () => {
  test('GET with Basic credentials, service, every scope and the account', async (t) => {
    const server = await scriptedServer(t, gives({ token: 'abc', expires_in: 300 }));
    assert.deepEqual(await ask(t, server, ci), { token: 'abc', issuedAt: 500, expiresAt: 300_500 });
    const [seen] = server.seen;
    assert.deepEqual([server.seen.length, seen?.method, seen?.path], [1, 'GET', '/token']);
    assert.deepEqual(
      [...(seen?.query ?? [])],
      [
        ['x', '1'],
        ['service', 'acme registry'],
        ...scopes.map((scope) => ['scope', scope]),
        ['account', 'ci'],
      ],
    );
    assert.equal(seen?.authorization, basic('ci:s3cret'));
  });

  test('GET without credentials', async (t) => {
    const server = await scriptedServer(t, gives({ token: 'abc' }));
    await ask(t, server, anonymous);
    assert.equal(server.seen[0]?.authorization, undefined);
    assert.equal(server.seen[0]?.query.has('account'), false);
  });

  test('an identity token by POST, never in the URL', async (t) => {
    const server = await scriptedServer(t, gives({ access_token: 'abc', expires_in: 300, scope: '' }));
    assert.equal((await ask(t, server, identity)).token, 'abc');
    const [seen] = server.seen;
    assert.deepEqual([server.seen.length, seen?.method, seen?.authorization], [1, 'POST', undefined]);
    assert.deepEqual(Object.fromEntries(seen?.form ?? []), {
      grant_type: 'refresh_token',
      service: 'acme registry',
      client_id: 'boxcar',
      scope: scopes.join(' '),
      refresh_token: 's3cret',
    });
    assert.deepEqual([...(seen?.query ?? [])], [['x', '1']]);
  });

  for (const status of [404, 405]) {
    test(`a server without OAuth2 (${status}) gets the identity token as a password`, async (t) => {
      const server = await scriptedServer(t, ({ method }, response) =>
        method === 'POST' ? json(response, {}, status) : json(response, { token: 'abc' }),
      );
      await ask(t, server, identity);
      await ask(t, server, { ...identity, kind: 'identity', token: 's3cret', username: '0000' });
      assert.deepEqual(
        server.seen.map(({ method, authorization }) => [method, authorization]),
        [
          ['POST', undefined],
          ['GET', basic('<token>:s3cret')],
          ['POST', undefined],
          ['GET', basic('0000:s3cret')],
        ],
      );
      assert.ok(server.seen.every(({ query }) => !query.has('account')));
    });
  }
});

describe('what is answered', () => {
  const tokens: [name: string, document: unknown, token: string, seconds: number][] = [
    ['token', { token: 'abc' }, 'abc', 60],
    ['access_token', { access_token: 'abc' }, 'abc', 60],
    ['both', { token: 'abc', access_token: 'abc' }, 'abc', 60],
    ['an empty token beside an access_token', { token: '', access_token: 'abc' }, 'abc', 60],
    ['a lifetime', { token: 'abc', expires_in: 300 }, 'abc', 300],
    ['a lifetime as text', { token: 'abc', expires_in: '300' }, 'abc', 300],
    ['a lifetime of nothing', { token: 'abc', expires_in: 0 }, 'abc', 60],
    ['a lifetime under nothing', { token: 'abc', expires_in: -5 }, 'abc', 60],
    ['a lifetime that is no number', { token: 'abc', expires_in: 'soon' }, 'abc', 60],
    ['null', { token: 'abc', expires_in: null }, 'abc', 60],
    ["Go's zero time", { token: 'abc', expires_in: 300, issued_at: '0001-01-01T00:00:00Z' }, 'abc', 300],
    [
      'a clock that is ahead',
      { token: 'abc', expires_in: 300, issued_at: '2999-01-01T00:00:00Z' },
      'abc',
      300,
    ],
    ['a long token', { token: 'x'.repeat(60_000) }, 'x'.repeat(60_000), 60],
  ];
  for (const [name, document, token, seconds] of tokens) {
    test(name, async (t) => {
      const server = await scriptedServer(t, gives(document));
      const expected = { token, issuedAt: 500, expiresAt: 500 + seconds * 1000 };
      assert.deepEqual(await ask(t, server, ci), expected);
    });
  }

  const nonsense = [
    '',
    'null',
    '5',
    '[]',
    '{}',
    '{"token":5}',
    '{"token":""}',
    '{"token":"a b"}',
    '{"token":"a\\r\\nx: y"}',
    '{"token":"é"}',
    '{"token":"tok3n',
  ];
  for (const document of nonsense) {
    test(`no token: ${document || 'nothing'}`, async (t) => {
      const server = await scriptedServer(t, gives(document));
      const error = await ask(t, server, ci).catch((thrown) => thrown);
      assert.deepEqual([error.code, error.side, error.transient], ['registry-failed', 'registry', true]);
      assert.equal(error.message, "the registry's token server gave no token");
      assert.deepEqual(error.request, { method: 'GET', url: `${server.url}/token`, status: 200 });
      assert.doesNotMatch(everythingIn(error), /s3cret|tok3n/);
    });
  }

  test('an endless answer is cut', async (t) => {
    let sent = 0;
    const piece = Buffer.alloc(65536, ' ');
    const server = await scriptedServer(t, (_seen, response) => {
      const more = () => {
        while (!response.destroyed && sent < 64 * 1024 * 1024) {
          sent += piece.length;
          if (!response.write(piece)) return;
        }
      };
      response.on('drain', more);
      more();
    });
    await assert.rejects(ask(t, server, ci), {
      code: 'registry-failed',
      message: /longer than 1048576 bytes/,
    });
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes`);
  });
});

describe('refusals', () => {
  const refusals: [
    status: number,
    credentials: Credentials,
    code: string,
    transient: boolean,
    message: RegExp,
  ][] = [
    [401, ci, 'unauthorized', false, /token server refused the credentials/],
    [403, ci, 'unauthorized', false, /token server refused the credentials/],
    [401, identity, 'unauthorized', false, /token server refused the credentials/],
    [400, identity, 'unauthorized', false, /token server refused the credentials/],
    [400, ci, 'registry-failed', false, /gave no token/],
    [401, anonymous, 'unauthorized', false, /gives no token without credentials/],
    [404, ci, 'registry-failed', false, /gave no token/],
    [429, ci, 'registry-failed', true, /gave no token/],
    [500, ci, 'registry-failed', true, /gave no token/],
    [503, identity, 'registry-failed', true, /gave no token/],
  ];
  for (const [status, credentials, code, transient, message] of refusals) {
    test(`${status} to ${credentials.kind}`, async (t) => {
      const answer = { errors: [{ code: 'DENIED', message: 'for a reason' }] };
      const server = await scriptedServer(t, (_seen, response) =>
        json(response, answer, status, { 'retry-after': '7' }),
      );
      const error = await ask(t, server, credentials).catch((thrown) => thrown);
      assert.deepEqual([error.code, error.side, error.transient], [code, 'registry', transient]);
      assert.match(error.message, message);
      const method = credentials.kind === 'identity' ? 'POST' : 'GET';
      assert.deepEqual(error.request, {
        method,
        url: `${server.url}/token`,
        status,
        answer: 'DENIED "for a reason"',
      });
      assert.equal(error.retryAfterMs, 7000);
      if (code === 'unauthorized')
        assert.match(error.hint, /^credentials: (the test; are they still valid\?|none found)$/);
      assert.equal(server.seen.length, 1);
    });
  }

  test('a limit of the rate that is told with 403', async (t) => {
    const server = await scriptedServer(t, (_seen, response) => json(response, 'secondary rate limit', 403));
    await assert.rejects(ask(t, server, ci), {
      code: 'registry-failed',
      transient: true,
      message: /limits the rate/,
    });
  });

  test('a server that is not there', async (t) => {
    const server = await scriptedServer(t, gives({}));
    const gone = ask(t, server, ci, 'http://127.0.0.1:1/token');
    await assert.rejects(gone, { code: 'registry-failed', side: 'registry', transient: true });
  });

  test('a secret that the server repeats in any form is not in the error', async (t) => {
    const secrets = ['s3cret', 'p"a\\s+s w&ord/é', 'x'.repeat(400)];
    const echoes: Script = ({ authorization, form }, response) => {
      const pair = Buffer.from((authorization ?? '').slice(6), 'base64').toString();
      const words = [
        authorization,
        pair,
        form.toString(),
        form.get('refresh_token'),
        encodeURIComponent(pair),
      ];
      json(response, { errors: [{ code: 'DENIED', message: words.join(' and ') }] }, 401);
    };
    const server = await scriptedServer(t, echoes);
    for (const secret of secrets) {
      for (const credentials of [
        { kind: 'basic', username: 'ci', password: secret, source: 'the test' },
        { kind: 'identity', token: secret, username: '', source: 'the test' },
      ] as const) {
        const error = await ask(t, server, credentials).catch((thrown) => thrown);
        const shown = everythingIn(error);
        const base64 = Buffer.from(`ci:${secret}`).toString('base64').slice(0, -4);
        const forms = [
          secret,
          encodeURIComponent(secret),
          base64,
          new URLSearchParams({ x: secret }).toString().slice(2),
        ];
        for (const form of forms) assert.ok(!shown.includes(form), form);
        assert.match(shown, /\*\*\*/);
      }
    }
  });
});

describe('redirects', () => {
  const to =
    (location: string, status = 307): Script =>
    (_seen, response) => {
      response.writeHead(status, { location }).end('moved');
    };

  test('within the origin: with the credentials', async (t) => {
    const server = await scriptedServer(t, ({ path }, response) =>
      path === '/token' ? to('/v2/token?y=1')({} as never, response) : json(response, { token: 'abc' }),
    );
    assert.equal((await ask(t, server, ci)).token, 'abc');
    assert.deepEqual(
      server.seen.map(({ path, authorization }) => [path, authorization]),
      [
        ['/token', basic('ci:s3cret')],
        ['/v2/token', basic('ci:s3cret')],
      ],
    );
  });

  test('to another origin: without them', async (t) => {
    const other = await scriptedServer(t, gives({ token: 'abc' }));
    const server = await scriptedServer(t, to(`${other.url}/elsewhere`, 302));
    await ask(t, server, ci);
    assert.deepEqual(
      other.seen.map(({ path, authorization, query }) => [path, authorization, query.size]),
      [['/elsewhere', undefined, 0]],
    );
  });

  test('an identity token is not sent on', async (t) => {
    const other = await scriptedServer(t, gives({ token: 'abc' }));
    for (const status of [302, 303, 307, 308]) {
      const server = await scriptedServer(t, to(other.url, status));
      await assert.rejects(ask(t, server, identity), { code: 'registry-failed', message: /gave no token/ });
    }
    assert.deepEqual(other.seen, []);
  });

  test('in a circle: given up soon', async (t) => {
    const server = await scriptedServer(t, to('/token'));
    await assert.rejects(ask(t, server, ci), { code: 'registry-failed', transient: false });
    assert.equal(server.seen.length, 4);
  });

  for (const location of ['', 'ftp://x/y', 'http://', 'javascript:alert(1)']) {
    test(`to ${JSON.stringify(location)}: an error`, async (t) => {
      const server = await scriptedServer(t, to(location));
      await assert.rejects(ask(t, server, ci), { code: 'registry-failed', side: 'registry' });
      assert.ok(server.seen.length <= 4);
    });
  }
});

test('when a token is replaced: half a minute before its end, a quarter of a short life, a second at least', () => {
  const margin = (seconds: number) =>
    seconds - refreshAt({ token: 'x', issuedAt: 0, expiresAt: seconds * 1000 }) / 1000;
  assert.deepEqual([3600, 300, 120, 60, 20, 4, 2, 1].map(margin), [30, 30, 30, 15, 5, 1, 1, 1]);
});
