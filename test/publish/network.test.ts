import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CommandLine, startCommandLine } from '../support/command-line.ts';
import { startHub } from '../support/hub.ts';
import { tinyModel } from '../support/models.ts';
import { startProxy } from '../support/proxy.ts';
import { describeEachRegistry, kindsInShort, startRegistry } from '../support/registries.ts';
import { runBoxcar } from '../support/run.ts';
import { temporaryAuthority } from '../support/tls.ts';

const model = tinyModel();

describeEachRegistry(
  'the way out',
  (kind) => {
    let boxcar: CommandLine;
    before(() => {
      boxcar = startCommandLine();
    });
    after(() => boxcar.close());

    test('a company authority, on both sides', async (context) => {
      const authority = await temporaryAuthority();
      const hub = await startHub({ models: [model], tls: authority.server });
      const registry = await startRegistry({ kind, tls: authority });
      context.after(() => Promise.all([hub.close(), registry.stop()]));
      const args = ['push', model.name, `${registry.host}/x`];

      const began = performance.now();
      const unknown = await boxcar.run(args, { env: { HF_ENDPOINT: hub.url } });
      assert.equal(unknown.code, 5, unknown.stderr);
      assert.match(unknown.stderr, /TLS failed[\s\S]*NODE_EXTRA_CA_CERTS/);
      assert.ok(performance.now() - began < 5000, 'at once');

      for (const variable of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']) {
        const known = await runBoxcar(args, { env: { HF_ENDPOINT: hub.url, [variable]: authority.caFile } });
        assert.equal(known.code, 0, `${variable}: ${known.stderr}`);
      }
      const missing = await boxcar.run(args, {
        env: { HF_ENDPOINT: hub.url, SSL_CERT_FILE: '/nowhere.pem' },
      });
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /SSL_CERT_FILE/);
    });

    test("a registry's certificate that is not trusted: exit 6, at once, with the reason", async (context) => {
      const authority = await temporaryAuthority();
      const hub = await startHub({ models: [model] });
      const registry = await startRegistry({ kind, tls: authority });
      context.after(() => Promise.all([hub.close(), registry.stop()]));
      const { code, stderr } = await boxcar.run(['push', model.name, `${registry.host}/x`], {
        env: { HF_ENDPOINT: hub.url },
      });
      assert.equal(code, 6, stderr);
      assert.match(stderr, /TLS failed/);
    });

    test('a proxy for both sides, and none for NO_PROXY', async (context) => {
      const hub = await startHub({ models: [model] });
      const registry = await startRegistry({ kind });
      const proxy = await startProxy();
      context.after(() => Promise.all([hub.close(), registry.stop(), proxy.close()]));
      const args = ['push', model.name, `${registry.host}/x`, '--plain-http'];
      const env = { HF_ENDPOINT: hub.url, HTTP_PROXY: proxy.url };

      const proxied = await boxcar.run(args, { env });
      assert.equal(proxied.code, 0, proxied.stderr);
      const targets = new Set(
        proxy.requests.map(({ target }) => target.replace(/^https?:\/\//, '').split('/')[0]),
      );
      assert.deepEqual(targets, new Set([hub.url, hub.cdnUrl, registry.url].map((url) => new URL(url).host)));

      const before = proxy.requests.length;
      const direct = await boxcar.run([...args, '--force'], { env: { ...env, NO_PROXY: '127.0.0.1' } });
      assert.equal(direct.code, 0, direct.stderr);
      assert.equal(proxy.requests.length, before);
    });
  },
  kindsInShort,
);
