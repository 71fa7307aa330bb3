import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import { HttpClient, type HttpResponse, header } from '../../../src/http/client.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { Authorizer } from '../../../src/registry/auth/authorizer.ts';
import type { Credentials } from '../../../src/registry/auth/credentials.ts';
import { knownPassword } from '../../support/htpasswd.ts';
import { describeEachRegistry, type Registry, startRegistry } from '../../support/registries.ts';
import { startTokenServer, type TokenServer } from '../../support/token-server.ts';

const ci: Credentials = { kind: 'basic', username: 'ci', password: knownPassword, source: 'the test' };
const wrong: Credentials = { ...ci, kind: 'basic', username: 'ci', password: 'letmein' };
const nobody: Credentials = { kind: 'anonymous', source: 'none found' };

describeEachRegistry('an authorizer and a real registry', (kind) => {
  let tokens: TokenServer;
  let expired: TokenServer;
  let getOnly: TokenServer;
  let withPassword: Registry;
  let withTokens: Registry;
  let withExpired: Registry;
  let withGetOnly: Registry;
  before(async () => {
    const users = { ci: knownPassword };
    tokens = await startTokenServer({ users });
    expired = await startTokenServer({ users, expiresInSeconds: -600 });
    getOnly = await startTokenServer({ users, getOnly: true });
    withPassword = await startRegistry({ kind, auth: { htpasswd: users } });
    withTokens = await startRegistry({ kind, auth: { token: tokens } });
    withExpired = await startRegistry({ kind, auth: { token: expired } });
    withGetOnly = await startRegistry({ kind, auth: { token: getOnly } });
  });
  after(() =>
    Promise.all([
      ...[tokens, expired, getOnly].map((each) => each.close()),
      ...[withPassword, withTokens, withExpired, withGetOnly].map((each) => each.stop()),
    ]),
  );

  function client(t: TestContext, registry: Registry, credentials: Credentials) {
    const dispatcher = new Agent();
    t.after(() => dispatcher.destroy());
    const origin = registry.url;
    const common = { dispatcher, stallMs: 10_000, userAgent: 'test' };
    const authorizer = new Authorizer({
      ...common,
      registry: new URL(origin),
      repository: 'acme/model',
      credentials,
    });
    const http = new HttpClient({
      ...common,
      side: 'registry',
      origin,
      authorize: (_url, signal) => authorizer.authorize(signal),
    });
    const send = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: Buffer) => {
      const sentAt = performance.now();
      const answer = await http.request({ method, url: new URL(path, origin), ...(body ? { body } : {}) });
      await answer.discard();
      const helps =
        answer.status === 401 && authorizer.challenged(header(answer.headers, 'www-authenticate'), sentAt);
      return { answer, status: answer.status, helps };
    };
    return { authorizer, send };
  }

  const uploads = '/v2/acme/model/blobs/uploads/';

  test('a password', async (t) => {
    const { send } = client(t, withPassword, ci);
    const refused = await send('POST', uploads);
    assert.deepEqual([refused.status, refused.helps], [401, true]);
    assert.equal((await send('POST', uploads)).status, 202);
  });

  test('a wrong password, and none: no second try', async (t) => {
    const { send } = client(t, withPassword, wrong);
    assert.equal((await send('POST', uploads)).helps, true);
    const again = await send('POST', uploads);
    assert.deepEqual([again.status, again.helps], [401, false]);
    const { status, helps } = await client(t, withPassword, nobody).send('POST', uploads);
    assert.deepEqual([status, helps], [401, false]);
  });

  test('an access token, kept for the next request', async (t) => {
    const { send } = client(t, withTokens, ci);
    const issued = tokens.issued;
    const first = await send('POST', uploads);
    assert.deepEqual([first.status, first.helps], [401, true]);
    assert.equal((await send('POST', uploads)).status, 202);
    assert.equal((await send('GET', '/v2/')).status, 200);
    assert.equal(tokens.issued - issued, 1);
    assert.deepEqual(tokens.requests.at(-1)?.scopes, ['repository:acme/model:pull,push']);
  });

  test('a token that may only read: no second try', async (t) => {
    const { send } = client(t, withTokens, nobody);
    assert.equal((await send('POST', uploads)).helps, true);
    const again = await send('POST', uploads);
    assert.deepEqual([again.status, again.helps], [401, false]);
  });

  test('a token that has expired when it comes: no loop', async (t) => {
    const { send } = client(t, withExpired, ci);
    for (let time = 0; time < 2; time++) assert.equal((await send('POST', uploads)).helps, true);
    const again = await send('POST', uploads);
    assert.deepEqual([again.status, again.helps], [401, false]);
  });

  test('a token server that refuses', async (t) => {
    const { authorizer, send } = client(t, withTokens, wrong);
    assert.equal((await send('POST', uploads)).helps, true);
    await assert.rejects(authorizer.authorize(), {
      code: 'unauthorized',
      side: 'registry',
      hint: 'credentials: the test; are they still valid?',
    });
  });

  test('another repository is mounted from once its scope is asked for', async (t) => {
    const bytes = Buffer.from('a blob');
    const { authorizer, send } = client(t, withTokens, ci);
    await send('GET', '/v2/');
    authorizer.addScope('acme/base');
    await put(client(t, withTokens, ci).send, bytes);
    const mount = await send('POST', `${uploads}?mount=${digestOf(bytes)}&from=acme/base`);
    assert.equal(mount.status, 201);
    assert.deepEqual(tokens.requests.at(-1)?.scopes, [
      'repository:acme/model:pull,push',
      'repository:acme/base:pull',
    ]);
  });

  /** Puts a blob into acme/base: its scope is learnt from the registry's refusal. */
  async function put(send: ReturnType<typeof client>['send'], bytes: Buffer): Promise<void> {
    await send('GET', '/v2/');
    const path = '/v2/acme/base/blobs/uploads/';
    assert.equal((await send('POST', path)).helps, true);
    const { status, answer } = await send('POST', path);
    assert.equal(status, 202);
    const location = locationOf(answer, path);
    location.searchParams.set('digest', digestOf(bytes));
    assert.equal((await send('PUT', location.href, bytes)).status, 201);
  }

  function locationOf(answer: HttpResponse, path: string): URL {
    return new URL(header(answer.headers, 'location') ?? '', new URL(path, withTokens.url));
  }

  test('an identity token, where the server has no OAuth2: as a password', async (t) => {
    const identity: Credentials = {
      kind: 'identity',
      token: knownPassword,
      username: 'ci',
      source: 'the test',
    };
    const { send } = client(t, withGetOnly, identity);
    assert.equal((await send('POST', uploads)).helps, true);
    assert.equal((await send('POST', uploads)).status, 202);
    assert.deepEqual(
      getOnly.requests.map(({ method, status, credentials }) => [method, status, credentials]),
      [
        ['POST', 405, 'refresh_token'],
        ['GET', 200, 'basic'],
      ],
    );
  });
});
