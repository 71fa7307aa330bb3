import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { push } from '../../../src/index.ts';
import { knownPassword } from '../../support/htpasswd.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { bigModel, tinyModel } from '../../support/models.ts';
import {
  describeEachRegistry,
  kindsInShort,
  type Registry,
  startRegistry,
} from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { startTokenServer, type TokenServer } from '../../support/token-server.ts';

const model = tinyModel();
const slow = bigModel({ files: 1, size: 12_000_000, name: 'acme/slow' });

describeEachRegistry(
  'credentials',
  (kind) => {
    let hub: Hub;
    let slowHub: Hub;
    let tokens: TokenServer;
    let withPassword: Registry;
    let withTokens: Registry;
    before(async () => {
      hub = await startHub({ models: [model] });
      slowHub = await startHub({ models: [slow], bytesPerSecond: 1_000_000 });
      tokens = await startTokenServer({ users: { ci: knownPassword }, expiresInSeconds: 2 });
      withPassword = await startRegistry({ kind, auth: { htpasswd: { ci: knownPassword } } });
      withTokens = await startRegistry({ kind, auth: { token: tokens } });
    });
    after(() =>
      Promise.all([hub.close(), slowHub.close(), tokens.close(), withPassword.stop(), withTokens.stop()]),
    );

    function at(registry: Registry, repository: string, env: Record<string, string> = {}, home = tempDir()) {
      const target = `${registry.host}/${repository}`;
      return {
        model: model.name,
        target,
        backoffMs: 5,
        env: { HF_ENDPOINT: hub.url, HOME: home, PATH: home, ...env },
      };
    }
    const password = { OCI_USERNAME: 'ci', OCI_PASSWORD: knownPassword };
    const auth = Buffer.from(`ci:${knownPassword}`).toString('base64');

    test('user name and password by Basic', async () => {
      const { totals } = await push(at(withPassword, 'basic', password));
      assert.equal(totals.transferred, 9);
    });

    test("Docker's config, by the longest prefix", async () => {
      const home = tempDir();
      mkdirSync(join(home, '.docker'));
      const wrong = Buffer.from('ci:wrong').toString('base64');
      const auths = { [withPassword.host]: { auth: wrong }, [`${withPassword.host}/team`]: { auth } };
      writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths }));
      await push(at(withPassword, 'team/model', {}, home));
      await assert.rejects(push(at(withPassword, 'other/model', {}, home)), {
        code: 'unauthorized',
        side: 'registry',
      });
    });

    test('a credential helper', async () => {
      const home = tempDir();
      mkdirSync(join(home, '.docker'));
      const helper = join(home, 'docker-credential-test');
      writeFileSync(helper, `#!/bin/sh\nread server\necho '{"Username":"ci","Secret":"${knownPassword}"}'\n`);
      chmodSync(helper, 0o755);
      writeFileSync(
        join(home, '.docker/config.json'),
        JSON.stringify({ credHelpers: { [withPassword.host]: 'test' } }),
      );
      await push(at(withPassword, 'helped', {}, home));
    });

    test('no credentials, and wrong ones: not authorised, and nothing is there', async () => {
      for (const registry of [withPassword, withTokens]) {
        const blobs = inspectRegistry(registry).blobs();
        await assert.rejects(push(at(registry, 'nobody')), { code: 'unauthorized', exitCode: 3 });
        const wrong = { OCI_USERNAME: 'ci', OCI_PASSWORD: 'letmein' };
        const error = await push(at(registry, 'nobody', wrong)).catch((thrown) => thrown);
        assert.deepEqual([error.code, error.side], ['unauthorized', 'registry']);
        assert.match(error.hint, /OCI_USERNAME and OCI_PASSWORD/);
        assert.doesNotMatch(JSON.stringify(error) + error.stack, /letmein/);
        assert.deepEqual(inspectRegistry(registry).blobs(), blobs);
      }
    });

    test('tokens that live 2 s are refreshed while a layer of 3 s and more is on its way', async () => {
      const issued = tokens.issued;
      const options = at(withTokens, 'tokens', { ...password, HF_ENDPOINT: slowHub.url });
      const result = await push({ ...options, model: slow.name, workers: 1, upload: 'chunked', chunkMib: 1 });
      assert.equal(result.totals.retries, 0);
      assert.ok(tokens.issued - issued >= 2, `${tokens.issued - issued} tokens`);
      assert.equal(tokens.requests.at(-1)?.credentials, 'basic');
      const streamed = await push({ ...options, target: `${withTokens.host}/streamed`, model: slow.name });
      assert.equal(streamed.manifestDigest, result.manifestDigest);
    });

    test('an identity token', async () => {
      const form = new URLSearchParams({
        grant_type: 'password',
        username: 'ci',
        password: knownPassword,
        access_type: 'offline',
      });
      form.set('service', tokens.service);
      const answer = await fetch(tokens.realm, { method: 'POST', body: form });
      const { refresh_token: identitytoken } = (await answer.json()) as { refresh_token: string };
      const home = tempDir();
      mkdirSync(join(home, '.config/containers'), { recursive: true });
      const file = { auths: { [withTokens.host]: { identitytoken } } };
      writeFileSync(join(home, '.config/containers/auth.json'), JSON.stringify(file));
      await push(at(withTokens, 'identity', {}, home));
      assert.equal(tokens.requests.at(-1)?.credentials, 'refresh_token');
    });
  },
  kindsInShort,
);
