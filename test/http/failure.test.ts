import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { failureOf, isUnreachable } from '../../src/http/failure.ts';
import { listen } from '../support/listen.ts';
import { needsOpenssl, temporaryAuthority } from '../support/tls.ts';
import { serve, ways } from './clients.ts';

for (const [way, client] of Object.entries(ways)) {
  describe(`through ${way}`, () => {
    async function failure(
      t: TestContext,
      url: string,
      side: 'hub' | 'registry' = 'hub',
    ): Promise<BoxcarError> {
      const http = client(t, url, { side });
      return http.request({ method: 'GET', url: new URL(url) }).then(
        async (answer) => {
          await answer.bytes(1e6);
          return assert.fail('there was an answer');
        },
        (error) => error as BoxcarError,
      );
    }

    test('nothing listens', async (t) => {
      const closed = await listen(() => {});
      await closed.close();
      for (const url of [closed.url, closed.url.replace('127.0.0.1', 'localhost')]) {
        const error = await failure(t, `${url}/x?secret`, 'registry');
        assert.match(error.message, /^the registry could not be reached: nothing listens there/);
        assert.deepEqual([error.code, error.side, error.transient], ['registry-failed', 'registry', true]);
        assert.deepEqual(error.request, { method: 'GET', url: `${url}/x` });
        assert.equal(isUnreachable(error, url), 'silent');
        assert.equal(isUnreachable(error, 'http://elsewhere.acme.com'), false);
      }
    });

    test('an unknown host', async (t) => {
      const error = await failure(t, 'http://no-such-host.invalid/');
      assert.match(error.message, /^the hub could not be reached: its host name/);
      assert.equal(error.code, 'hub-failed');
    });

    test('the connection is reset', async (t) => {
      const server = await serve(t, (_request, response) => void response.socket?.resetAndDestroy());
      const error = await failure(t, server.url);
      assert.match(error.message, /the connection was (reset|closed)/);
      assert.ok(error.transient && !isUnreachable(error, server.url));
    });

    test('a certificate nobody vouches for fails for good', needsOpenssl, async (t) => {
      const { server: identity } = await temporaryAuthority();
      const server = await listen((_request, response) => void response.end(), identity);
      t.after(() => server.close());
      const error = await failure(t, server.url, 'registry');
      assert.match(error.message, /^the registry could not be reached: TLS failed: .*(certificate|issuer)/);
      assert.match(error.hint ?? '', /SSL_CERT_FILE/);
      assert.deepEqual([error.code, error.transient], ['registry-failed', false]);
    });

    test('a certificate for another name fails for good', needsOpenssl, async (t) => {
      const { server: identity, caFile } = await temporaryAuthority();
      // Loopback, but not the address that the certificate has.
      const server = createServer(identity, (_request, response) => void response.end()).listen(
        0,
        '127.0.0.2',
      );
      await once(server, 'listening');
      t.after(() => server.close());
      const url = `https://127.0.0.2:${(server.address() as AddressInfo).port}`;
      const http = client(t, url, { env: { SSL_CERT_FILE: caFile } });
      await assert.rejects(http.request({ method: 'GET', url: new URL(url) }), (error: BoxcarError) => {
        assert.match(error.message, /TLS failed: .*ERR_TLS_CERT_ALTNAME_INVALID/);
        return !error.transient;
      });
    });

    test('a server that speaks no TLS fails for good', async (t) => {
      const server = await serve(t, (_request, response) => void response.end());
      const error = await failure(t, server.url.replace('http:', 'https:'), 'registry');
      assert.match(error.message, /TLS failed/);
      assert.match(error.hint ?? '', /--plain-http/);
      assert.equal(error.transient, false);
    });

    test('a body that is cut', async (t) => {
      const server = await serve(t, (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('abc', () => response.destroy());
      });
      const http = client(t, server.url);
      const answer = await http.request({ method: 'GET', url: new URL(server.url) });
      await assert.rejects(
        answer.bytes(1e6),
        (error: BoxcarError) => error.code === 'hub-failed' && error.transient,
      );
    });
  });
}

test('an error of ours and a stop stay what they are', () => {
  const facts = { method: 'GET', url: 'http://h/' };
  const reason = new Error('stopped');
  const stopped = AbortSignal.abort(reason);
  assert.equal(failureOf(new Error('x'), 'hub', facts, stopped), reason);
  const ours = failureOf(new Error('x'), 'hub', facts, undefined);
  assert.equal(failureOf(ours, 'registry', facts, undefined), ours);
});
