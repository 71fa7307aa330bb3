import assert from 'node:assert/strict';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { bareUrl, header, statusError } from '../../src/http/client.ts';
import { type Answering, clientFor, serve } from './clients.ts';

test('sends what it is given and gives what it gets', async (t) => {
  const server = await serve(t, async (request, response) => {
    const body = (await Array.fromAsync(request)).join('');
    response.writeHead(201, { 'x-multi': ['a', 'b'], 'x-one': 'c' });
    response.end(
      `${request.method} ${request.url} ${request.headers['user-agent']} ${request.headers.range} ${body}`,
    );
  });
  const http = clientFor(t, server.url);
  const url = new URL(`${server.url}/p/a?t=h`);
  const answer = await http.request({
    method: 'PUT',
    url,
    headers: { range: 'r' },
    body: Buffer.from('abc'),
  });
  assert.equal(answer.status, 201);
  assert.deepEqual([header(answer.headers, 'x-multi'), header(answer.headers, 'x-one')], ['a', 'c']);
  assert.equal(header(answer.headers, 'none'), undefined);
  assert.equal(String(await answer.bytes(1000)), 'PUT /p/a?t=h boxcar-test r abc');
  assert.deepEqual(answer.facts, { method: 'PUT', url: `${server.url}/p/a`, status: 201 });
});

test('redirects are not followed, and no status is an error', async (t) => {
  const server = await serve(t, (request, response) => {
    response.writeHead(Number(request.url?.slice(1)), { location: '/200' }).end();
  });
  const http = clientFor(t, server.url);
  for (const status of [204, 302, 404, 500]) {
    const answer = await http.request({ method: 'GET', url: new URL(`${server.url}/${status}`) });
    assert.equal(answer.status, status);
    await answer.discard();
  }
});

test('credentials go to their origin and nowhere else', async (t) => {
  const seen: (string | undefined)[] = [];
  const note: Answering = (request, response) => {
    seen.push(request.headers.authorization);
    response.end();
  };
  const [own, other] = [await serve(t, note), await serve(t, note)];
  const asked: string[] = [];
  const http = clientFor(t, own.url, {
    authorize: (url) => {
      asked.push(url.href);
      return 'Bearer secret';
    },
  });
  const byName = own.url.replace('127.0.0.1', 'localhost');
  for (const base of [own.url, other.url, byName]) {
    await (await http.request({ method: 'GET', url: new URL(`${base}/x`) })).discard();
  }
  assert.deepEqual(seen, ['Bearer secret', undefined, undefined]);
  assert.deepEqual(asked, [`${own.url}/x`]);
});

test('no credentials, no header', async (t) => {
  let seen: string | undefined = 'unset';
  const server = await serve(t, (request, response) => {
    seen = request.headers.authorization;
    response.end();
  });
  const http = clientFor(t, server.url, { authorize: async () => undefined });
  await (await http.request({ method: 'GET', url: new URL(server.url) })).discard();
  assert.equal(seen, undefined);
});

test('an endless body does not fill the memory', async (t) => {
  let sent = 0;
  const server = await serve(t, async (_request, response) => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (const piece = Buffer.alloc(64 * 1024); ; sent += piece.length) yield piece;
    }
    await pipeline(endless, response).catch(() => {});
  });
  const http = clientFor(t, server.url);
  const answer = await http.request({ method: 'GET', url: new URL(server.url) });
  await assert.rejects(answer.bytes(1_000_000), /longer than 1000000 bytes/);
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were sent`);
  const again = await http.request({ method: 'GET', url: new URL(server.url) });
  await assert.rejects(again.bytes(1_000_000), (error: BoxcarError) => {
    assert.equal(error.transient, false, 'it would be as long the next time');
    return true;
  });
});

test('exactly the limit is not over it', async (t) => {
  const server = await serve(t, (_request, response) => void response.end(Buffer.alloc(1000)));
  const http = clientFor(t, server.url);
  const get = () => http.request({ method: 'GET', url: new URL(server.url) });
  assert.equal((await (await get()).bytes(1000)).length, 1000);
  await assert.rejects((await get()).bytes(999));
});

test('a URL that is shown has no secrets', () => {
  assert.equal(bareUrl(new URL('https://u:p@h:8443/a/b?sig=secret#frag')), 'https://h:8443/a/b');
});

test('an error has the server’s own words, on one bounded line', async (t) => {
  const bodies: Record<string, string> = {
    '/registry': '{"errors":[{"code":"DENIED","message":"not for you"},{"code":"X"}]}',
    '/hub': '{"error":"Repository not found"}',
    '/text': 'a\n\x1b[31mb',
    '/html': '<html><h1>502</h1> Bad Gateway</html>',
    '/empty': '',
    '/long': 'x'.repeat(10_000),
    '/odd': '{"errors":[]}',
  };
  const server = await serve(t, (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const message = path === '/empty' ? { 'x-error-message': 'in a header' } : {};
    response.writeHead(503, { 'retry-after': '3', ...message }).end(bodies[path]);
  });
  const http = clientFor(t, server.url);
  const words: Record<string, string | undefined> = {};
  for (const path of Object.keys(bodies)) {
    const answer = await http.request({
      method: 'GET',
      url: new URL(`${server.url}${path}?signature=secret`),
    });
    const error = await statusError('hub', answer, 'it failed');
    assert.deepEqual(
      [error.code, error.side, error.transient, error.retryAfterMs, error.request?.status],
      ['hub-failed', 'hub', true, 3000, 503],
    );
    assert.equal(error.request?.url, `${server.url}${path}`);
    words[path] = error.request?.answer;
  }
  assert.deepEqual(words, {
    '/registry': 'DENIED "not for you"',
    '/hub': 'Repository not found',
    '/text': 'a [31mb',
    '/html': '502 Bad Gateway',
    '/empty': 'in a header',
    '/long': `${'x'.repeat(299)}…`,
    '/odd': '{"errors":[]}',
  });
});
