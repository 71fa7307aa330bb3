import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { MetricsFile } from '../../src/cli/reporters/metrics-file.ts';
import { createReporter, type LogStyle, logStyles } from '../../src/cli/reporters/reporter.ts';
import { failureJson } from '../../src/cli/reporters/results.ts';
import { TraceFile } from '../../src/cli/reporters/trace-file.ts';
import { BoxcarError } from '../../src/errors.ts';
import { statusError } from '../../src/http/client.ts';
import type { PublishEvent } from '../../src/publish/events.ts';
import { push } from '../../src/publish/push.ts';
import { keepSecret, withoutSecrets } from '../../src/secrets.ts';
import { clientFor, serve } from '../http/clients.ts';
import { everythingIn, login } from '../registry/auth/homes.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { headerRecord, readText } from '../support/listen.ts';
import { oneCommit } from '../support/models.ts';
import { runBoxcar, tempDir } from '../support/run.ts';

const hubToken = 'hf_AbCdEfGhIjKlMnOpQr';
const password = 'pa55w0rd+of/the&registry"';
const pair = Buffer.from(`ci:${password}`).toString('base64');
const identity = 'identity-token.0123456789abcdef';
const access = 'eyJhbGciOiJub25lIn0.access-token-of-the-registry';
const signature = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';

const secrets = [hubToken, password, pair, identity, access, signature];
/** Every way in which they could be read in a log. */
const forms = secrets.flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  new URLSearchParams({ x: secret }).toString().slice(2),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  encodeURIComponent(secret).toLowerCase(),
]);

function assertDiscreet(text: string, where: string): void {
  for (const form of forms) assert.ok(!text.includes(form), `${where} shows ${form}:\n${text}`);
}

/** What a careless server says when it fails: everything that it was told. */
function quotes(request: { headers: Record<string, string>; url: string; body: string }): string {
  const authorization = request.headers.authorization ?? '';
  const decoded = Buffer.from(authorization.split(' ')[1] ?? '', 'base64').toString();
  const words = [
    authorization,
    encodeURIComponent(authorization),
    decoded,
    request.url,
    `http://s/${request.url}`,
  ];
  const message = [...words, decodeURIComponent(request.url.split('?')[1] ?? ''), request.body].join(' | ');
  const said = message.replace(/[^\x20-\x7e]/g, '?');
  return JSON.stringify({ errors: [{ code: 'DENIED', message: said }], error: said });
}

/** Everything that a push shows to anyone, in every style. */
async function shown(t: TestContext, hubUrl: string, host: string, credentials: object) {
  const home = tempDir(t);
  mkdirSync(join(home, '.docker'));
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths: { [host]: credentials } }));
  const events: PublishEvent[] = [];
  const error: BoxcarError = await push({
    model: 'acme/x',
    target: `http://${host}/acme/x:v1`,
    env: { HOME: home, HF_ENDPOINT: hubUrl, HF_TOKEN: hubToken },
    hfMaxRetries: 1,
    ociMaxRetries: 1,
    backoffMs: 1,
    failFast: false,
    onEvent: (event) => events.push(event),
  }).then(
    () => assert.fail('it was published'),
    (thrown) => thrown,
  );
  const texts: Record<string, string> = {
    error: everythingIn(error),
    '--json': failureJson(error, error.exitCode),
  };
  for (const style of logStyles) {
    let text = '';
    const stderr = {
      isTTY: style === 'tty',
      columns: 400,
      rows: 50,
      write: (more: string) => (text += more),
    };
    const reporter = createReporter({
      style: style as LogStyle,
      quiet: false,
      verbose: true,
      stderr,
      env: {},
    });
    for (const event of events) reporter.event(event);
    reporter.error(error, error.exitCode);
    reporter.close();
    texts[style] = text;
  }
  const unwarned = (message: string) => assert.fail(message);
  const metrics = new MetricsFile(join(home, 'x.prom'), { model: 'acme/x' }, unwarned);
  const trace = new TraceFile(join(home, 'trace.json'), 'acme/x', unwarned);
  for (const event of events) for (const file of [metrics, trace]) file.event(event);
  metrics.end(error.exitCode);
  trace.end();
  texts.metrics = readFileSync(join(home, 'x.prom'), 'utf8');
  texts.trace = readFileSync(join(home, 'trace.json'), 'utf8');
  return { error, events, texts, home };
}

describe('a server that quotes what it was sent', () => {
  const model = oneCommit('acme/x', { 'a.bin': { size: 100_000, seed: 1, lfs: true } });

  for (const [what, credentials] of [
    ['a password', login('ci', password)],
    ['an identity token', { identitytoken: identity }],
    ['an access token', { registrytoken: access }],
  ] as const) {
    test(`the registry and its token server, with ${what}`, async (t) => {
      const hub = await startHub({ models: [model], token: hubToken });
      t.after(() => hub.close());
      for (const refused of ['token', 'upload'] as const) {
        let seen = '';
        const registry = await serve(t, async (request, response) => {
          const headers = headerRecord(request);
          const url = request.url ?? '';
          seen += `${url} ${headers.authorization} `;
          const body = quotes({ headers, url, body: await readText(request) });
          const fail = (status: number) =>
            response
              .writeHead(status, { 'x-error-message': body.slice(0, 500), 'x-more': encodeURI(url) })
              .end(body);
          if (url.startsWith('/token')) {
            return void (refused === 'token' ? fail(403) : response.end(JSON.stringify({ token: access })));
          }
          if (headers.authorization !== `Bearer ${access}`) {
            response.setHeader(
              'www-authenticate',
              `Bearer realm="http://${headers.host}/token?sig=${signature}"`,
            );
            return void fail(401);
          }
          if (request.method === 'POST') {
            const location = `/v2/acme/x/blobs/uploads/1?_state=${signature}&sig=${signature}`;
            return void response.writeHead(202, { location }).end();
          }
          return void (request.method === 'PATCH' ? fail(500) : fail(404));
        });
        const { texts, error } = await shown(t, hub.url, new URL(registry.url).host, credentials);
        assert.equal(error.side, 'registry');
        const bodyTold = /DENIED/.test(texts.error ?? '');
        assert.ok(bodyTold, `its words are told: ${texts.error}`);
        assert.ok(
          forms.some((form) => seen.includes(form)),
          'something secret was sent',
        );
        for (const [where, text] of Object.entries(texts)) assertDiscreet(text, `${refused}, ${where}`);
      }
    });
  }

  test('the hub and its store', async (t) => {
    const registry = await startFakeRegistry('distribution3');
    t.after(() => registry.close());
    const toStore: (string | undefined)[] = [];
    const cdn = await serve(t, (request, response) => {
      const headers = headerRecord(request);
      toStore.push(headers.authorization);
      response.writeHead(500).end(quotes({ headers, url: request.url ?? '', body: '' }));
    });
    for (const refused of ['metadata', 'file', 'store'] as const) {
      const hub = await startHub({ models: [model], token: hubToken });
      t.after(() => hub.close());
      const path = refused === 'metadata' ? /\/tree\// : /\/resolve\//;
      const body = quotes({ headers: { authorization: `Bearer ${hubToken}` }, url: '/x', body: '' });
      const location = `${cdn.url}/file?X-Amz-Signature=${signature}&Policy=${encodeURIComponent(pair)}`;
      const action =
        refused === 'store'
          ? ({ kind: 'status', status: 302, headers: { location } } as const)
          : ({
              kind: 'status',
              status: 500,
              body,
              headers: { 'x-error-message': `no ${hubToken}` },
            } as const);
      hub.faults.push({ match: { path }, times: Infinity, action });
      const { texts, error } = await shown(t, hub.url, registry.host, login('ci', password));
      assert.equal(error.side, 'hub');
      for (const [where, text] of Object.entries(texts)) assertDiscreet(text, `${refused}, ${where}`);
    }
    assert.deepEqual([...new Set(toStore)], [undefined], 'it was asked, without the token');
  });
});

test('what stays behind: the state file is its owner’s alone and holds no credentials; argv and title neither', async (t) => {
  const model = oneCommit('acme/x', { 'a.bin': { size: 3_000_000, seed: 1 } });
  const hub = await startHub({ models: [model], token: hubToken });
  const registry = await startFakeRegistry('distribution3');
  t.after(() => Promise.all([hub.close(), registry.close()]));
  registry.authorization = `Basic ${pair}`;
  registry.faults.push({
    match: { method: 'PUT' },
    times: Infinity,
    action: { kind: 'answer', status: 500, body: `no: ${pair}` },
  });
  const home = tempDir(t);
  const outputs = join(home, 'outputs');
  const look = join(home, 'look.mjs');
  // Loaded before the program: tells how the process looks from outside, at its end.
  writeFileSync(
    look,
    `import { readFileSync } from 'node:fs';
     process.on('exit', () => process.stderr.write('LOOK ' + process.title + ' ' + readFileSync('/proc/self/cmdline') + '\\n'));`,
  );
  const env = { HF_ENDPOINT: hub.url, HF_TOKEN: hubToken, OCI_USERNAME: 'ci', OCI_PASSWORD: password };
  registry.faults.push({
    match: { method: 'GET', path: /^\/v2\/$/ },
    times: Infinity,
    action: { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
  });
  const args = [
    'push',
    'acme/x',
    `http://${registry.host}/acme/x:v1`,
    '--oci-max-retries',
    '1',
    '--verbose',
    '--json',
    '--metrics-file',
    'x.prom',
    '--trace',
    'trace.json',
  ];
  const run = await runBoxcar(args, {
    home,
    env: { ...env, GITHUB_OUTPUT: outputs, NODE_OPTIONS: `--import=file://${look}` },
  });
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /LOOK .*boxcar|LOOK .*main\.ts/s);
  assertDiscreet(run.stdout + run.stderr, 'the command');
  for (const [name, says] of [
    ['x.prom', /boxcar_retries\{.*side="registry",reason="status_500"\} 1/],
    ['trace.json', /"retry: registry status_500"/],
  ] as const) {
    const text = readFileSync(join(home, name), 'utf8');
    assert.match(text, says);
    assertDiscreet(text, name);
  }
  const folder = join(home, '.local/state/boxcar');
  const files = readdirSync(folder).filter((name) => !name.endsWith('.lock'));
  assert.ok(files.some((name) => name.endsWith('.json')));
  for (const name of files) {
    assert.equal(statSync(join(folder, name)).mode & 0o077, 0);
    assertDiscreet(readFileSync(join(folder, name), 'utf8'), name);
  }
  assert.equal(statSync(folder).mode & 0o077, 0);
});

test('the signed URL and the login that a server shows of its own store are no words of ours', async (t) => {
  const server = await serve(t, (_request, response) => {
    response
      .writeHead(500)
      .end('see https://us3r:l0gin@store.test/a/b?sig=short&x=1 and http://store.test/?k=v.');
  });
  const http = clientFor(t, server.url);
  const answer = await http.request({ method: 'GET', url: new URL(server.url) });
  const error = await statusError('hub', answer, 'failed');
  assert.equal(error.request?.answer, 'see https://store.test/a/b?*** and http://store.test/?***');
});

test('the newest hundred are known, and those in use stay', () => {
  keepSecret('the-one-in-use');
  for (let i = 0; i < 300; i++) {
    keepSecret(`token-number-${i}-`);
    keepSecret('the-one-in-use');
  }
  assert.equal(withoutSecrets('the-one-in-use token-number-299- token-number-0-'), '*** *** token-number-0-');
});

test('a word too short to be told from others is left in our own text, and taken out of a server’s', () => {
  keepSecret('admin');
  assert.equal(new BoxcarError('admin/x', { code: 'usage', side: 'local' }).message, 'admin/x');
  assert.equal(withoutSecrets('you sent admin'), 'you sent ***');
});
