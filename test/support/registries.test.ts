import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Agent, fetch } from 'undici';
import { knownPassword } from './htpasswd.ts';
import { describeEachRegistry, type Registry, type RegistryOptions, startRegistry } from './registries.ts';
import { inspectRegistry } from './registry-storage.ts';
import { needsOpenssl, temporaryAuthority } from './tls.ts';
import { startTokenServer, type TokenServer } from './token-server.ts';

const mediaType = 'application/vnd.oci.image.manifest.v1+json';

/** Pushes one blob with POST, PATCH and PUT; the statuses of what was answered, as far as it got. */
async function pushBlob(
  registry: Registry,
  blob: Buffer,
  headers: Record<string, string> = {},
  repository = 'acme/x',
): Promise<number[]> {
  const begun = await fetch(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
  if (begun.status !== 202) return [begun.status];
  const patchUrl = new URL(begun.headers.get('location') ?? '', registry.url);
  const patched = await fetch(patchUrl, { method: 'PATCH', headers, body: blob });
  const putUrl = new URL(patched.headers.get('location') ?? '', registry.url);
  putUrl.searchParams.set('digest', digestOf(blob));
  const put = await fetch(putUrl, { method: 'PUT', headers });
  return [begun.status, patched.status, put.status];
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function basic(user: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

describeEachRegistry('the real registries', (kind) => {
  const start = async (
    t: { after(cleanup: () => Promise<void>): void },
    options: Partial<RegistryOptions> = {},
  ) => {
    const registry = await startRegistry({ kind, ...options });
    t.after(() => registry.stop());
    return registry;
  };

  test('takes an image, keeps it over a restart, and can be looked into', async (t) => {
    const registry = await start(t);
    const blob = randomBytes(100_000);
    const config = Buffer.from('{}');
    assert.deepEqual(await pushBlob(registry, blob), [202, 202, 201]);
    assert.deepEqual(await pushBlob(registry, config), [202, 202, 201]);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(config),
        size: config.length,
      },
      layers: [
        { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(blob), size: blob.length },
      ],
    });
    const url = `${registry.url}/v2/acme/x/manifests/v1`;
    const put = await fetch(url, { method: 'PUT', headers: { 'content-type': mediaType }, body: manifest });
    assert.equal(put.status, 201);

    await registry.restart();
    const inside = inspectRegistry(registry);
    const fetched = await inside.manifest('acme/x', 'v1');
    assert.equal(fetched?.bytes.toString(), manifest);
    assert.equal(fetched?.mediaType, mediaType);
    assert.deepEqual(inside.tags('acme/x'), ['v1']);
    assert.deepEqual(inside.uploads('acme/x'), []);
    assert.deepEqual(inside.blobs(), [digestOf(blob), digestOf(config), fetched?.digest].sort());
    assert.ok(inside.blob(digestOf(blob)).equals(blob));
    assert.ok(inside.bytesOnDisk() > 100_000);
    assert.equal(await inside.manifest('acme/x', 'v2'), undefined);
  });

  test('htpasswd: the right password and no other', async (t) => {
    const registry = await start(t, { auth: { htpasswd: { ada: knownPassword } } });
    assert.deepEqual(
      await pushBlob(registry, Buffer.from('a'), basic('ada', knownPassword)),
      [202, 202, 201],
    );
    assert.deepEqual(await pushBlob(registry, Buffer.from('b'), basic('ada', 'wrong')), [401]);
    assert.deepEqual(await pushBlob(registry, Buffer.from('c')), [401]);
  });

  test('token: a fresh one works, an expired one is refused', async (t) => {
    const tokens = await startTokenServer({ users: { ada: 'secret' } });
    t.after(() => tokens.close());
    const registry = await start(t, { auth: { token: tokens } });
    const scope = 'repository:acme/x:pull,push';
    const challenge = (await fetch(`${registry.url}/v2/`)).headers.get('www-authenticate');
    assert.match(challenge ?? '', new RegExp(`^Bearer realm="${tokens.realm}",service="test-registry"`));

    const fresh = await tokenFor(tokens, [scope], basic('ada', 'secret'));
    assert.deepEqual(await pushBlob(registry, Buffer.from('a'), fresh), [202, 202, 201]);
    assert.deepEqual(
      await pushBlob(registry, Buffer.from('a'), await tokenFor(tokens, [scope])),
      [401],
      'only pull',
    );
    tokens.expiresInSeconds = -1;
    const expired = await tokenFor(tokens, [scope], basic('ada', 'secret'));
    assert.deepEqual(await pushBlob(registry, Buffer.from('a'), expired), [401]);
    assert.equal(tokens.issued, 3);
    assert.deepEqual(
      tokens.requests.map((request) => request.credentials),
      ['basic', 'anonymous', 'basic'],
    );
  });

  test('token: a mount needs the right to read its source, too', async (t) => {
    const rights = { ada: { 'acme/secret': ['push'], '*': ['pull', 'push'] } };
    const tokens = await startTokenServer({ users: { ada: 'secret' }, rights });
    t.after(() => tokens.close());
    const registry = await start(t, { auth: { token: tokens } });
    const blob = randomBytes(1000);
    const ada = basic('ada', 'secret');
    const into = 'repository:acme/x:pull,push';
    const token = await tokenFor(tokens, ['repository:acme/open:pull,push'], ada);
    assert.deepEqual(await pushBlob(registry, blob, token, 'acme/open'), [202, 202, 201]);
    const mount = async (from: string, headers: { authorization: string }) => {
      const query = `mount=${digestOf(blob)}&from=acme/${from}`;
      const url = `${registry.url}/v2/acme/x/blobs/uploads/?${query}`;
      const answer = await fetch(url, { method: 'POST', headers });
      return { status: answer.status, challenge: answer.headers.get('www-authenticate') ?? '' };
    };
    const narrow = await mount('open', await tokenFor(tokens, [into], ada));
    assert.equal(narrow.status, 401);
    // The registry names the actions in any order.
    const asked = /scope="([^"]*)"/
      .exec(narrow.challenge)?.[1]
      ?.replace('push,pull', 'pull,push')
      .split(' ')
      .sort();
    assert.deepEqual(asked, ['repository:acme/open:pull', into]);
    const wide = await tokenFor(tokens, [into, 'repository:acme/open:pull'], ada);
    assert.equal((await mount('open', wide)).status, 201);
    const refused = await tokenFor(tokens, [into, 'repository:acme/secret:pull'], ada);
    assert.equal((await mount('secret', refused)).status, 401);
    assert.deepEqual(tokens.requests.at(-1)?.granted, [into]);
  });

  test('TLS: whoever knows the authority gets in', async (t) => {
    const authority = await temporaryAuthority();
    const registry = await start(t, { tls: authority });
    const dispatcher = new Agent({ connect: { ca: authority.ca } });
    t.after(() => dispatcher.close());
    assert.equal((await fetch(`${registry.url}/v2/`, { dispatcher })).status, 200);
    assert.equal(
      (await fetch(`https://localhost:${registry.host.split(':')[1]}/v2/`, { dispatcher })).status,
      200,
    );
    await assert.rejects(fetch(`${registry.url}/v2/`));
  });
});

/** An Authorization field with a token for the scopes, each of them a parameter. */
async function tokenFor(tokens: TokenServer, scopes: string[], headers: Record<string, string> = {}) {
  const asked = scopes.map((scope) => `&scope=${encodeURIComponent(scope)}`).join('');
  const url = `${tokens.realm}?service=${tokens.service}${asked}`;
  const { token } = (await (await fetch(url, { headers })).json()) as { token: string };
  return { authorization: `Bearer ${token}` };
}

test('token server: passwords, refresh tokens and refusals', needsOpenssl, async (t) => {
  const tokens = await startTokenServer({ users: { ada: 'secret' }, anonymous: [] });
  t.after(() => tokens.close());
  const post = async (form: Record<string, string>): Promise<{ status: number; refresh_token?: string }> => {
    const response = await fetch(tokens.realm, {
      method: 'POST',
      body: new URLSearchParams({ service: 's', ...form }),
    });
    return { status: response.status, ...((await response.json()) as object) };
  };
  const login = { grant_type: 'password', username: 'ada', password: 'secret', access_type: 'offline' };
  const { status, refresh_token = '' } = await post(login);
  assert.equal(status, 200);
  assert.equal((await post({ grant_type: 'refresh_token', refresh_token })).status, 200);
  assert.equal((await post({ grant_type: 'refresh_token', refresh_token: 'none' })).status, 401);
  assert.equal((await post({ ...login, password: 'wrong' })).status, 401);
  assert.equal((await fetch(tokens.realm)).status, 401);
  assert.deepEqual(
    tokens.requests.map((request) => `${request.method} ${request.credentials} ${request.user}`),
    [
      'POST password ada',
      'POST refresh_token ada',
      'POST refresh_token undefined',
      'POST password ada',
      'GET anonymous undefined',
    ],
  );
});

test('token server: an account gets what it may, or nothing at all', needsOpenssl, async (t) => {
  const rights = { ada: { 'acme/x': ['pull', 'push'], 'acme/y': [] } };
  const tokens = await startTokenServer({ users: { ada: 'secret', eve: 'secret' }, rights });
  t.after(() => tokens.close());
  const scopes = ['repository:acme/x:pull,push', 'repository:acme/y:pull', 'repository:acme/z:pull'];
  const several = scopes.map((scope) => `scope=${scope}`).join('&');
  const statusOf = async (query: string, user: string): Promise<number> =>
    (await fetch(`${tokens.realm}?${query}`, { headers: basic(user, 'secret') })).status;
  assert.equal(await statusOf(several, 'ada'), 200);
  assert.equal(await statusOf(`scope=${scopes.join('%20')}`, 'ada'), 200);
  assert.equal(await statusOf(several, 'eve'), 200);
  tokens.overreach = 'refused';
  assert.equal(await statusOf(several, 'ada'), 403);
  assert.equal(await statusOf(`scope=${scopes[0]}`, 'ada'), 200);
  assert.deepEqual(
    tokens.requests.map(({ granted }) => granted),
    [[scopes[0]], [scopes[0]], scopes, [], [scopes[0]]],
  );
  for (const request of tokens.requests.slice(0, 4)) assert.deepEqual(request.scopes, scopes);
});
