import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { askHelper } from '../../../src/registry/auth/credential-helper.ts';
import { everythingIn, type Home, login, newHome } from './homes.ts';

const acme = 'registry.acme.com';
const notFound = 'echo credentials not found in native keychain; exit 1';
const answering = (username: string, secret: string) =>
  `echo '${JSON.stringify({ ServerURL: acme, Username: username, Secret: secret })}'`;

/** A home whose helpers write down what they were asked. */
function homeWith(config: object, helpers: Record<string, string> = {}): Home & { asked(): string[] } {
  const home = newHome();
  home.write('.docker/config.json', config);
  const log = home.write('asked', '');
  for (const [name, script] of Object.entries(helpers)) {
    home.helper(name, `echo "${name} $1 $server" >> ${log}\n${script}`);
  }
  return { ...home, asked: () => readFileSync(log, 'utf8').split('\n').filter(Boolean) };
}

describe('which helper is asked for what', () => {
  test('credHelpers before auths and before credsStore', async () => {
    const config = {
      credHelpers: { [acme]: 'own' },
      credsStore: 'all',
      auths: { [acme]: login('file', 'pw') },
    };
    const home = homeWith(config, { own: answering('helped', 'pw'), all: answering('stored', 'pw') });
    assert.deepEqual(await home.find(acme, 'team/model'), {
      kind: 'basic',
      username: 'helped',
      password: 'pw',
      source: `docker-credential-own (credHelpers of ${join(home.path, '.docker/config.json')})`,
    });
    assert.deepEqual(home.asked(), [`own get ${acme}`]);
  });

  test('credHelpers are for the exact host', async () => {
    const home = homeWith(
      { credHelpers: { 'acme.com': 'own', [`${acme}:5000`]: 'own' } },
      { own: answering('u', 'pw') },
    );
    assert.equal((await home.find(acme)).kind, 'anonymous');
    assert.deepEqual(home.asked(), []);
    assert.equal((await home.find(`${acme}:5000`)).kind, 'basic');
  });

  test('credsStore for an empty entry, and where there is no entry', async () => {
    for (const auths of [{ [acme]: {} }, {}]) {
      const home = homeWith({ auths, credsStore: 'all' }, { all: answering('stored', 'pw') });
      const { source } = await home.find(acme);
      assert.equal(source, `docker-credential-all (credsStore of ${join(home.path, '.docker/config.json')})`);
      assert.deepEqual(home.asked(), [`all get ${acme}`]);
    }
  });

  test('credsStore by the key of the entry, then by the host', async () => {
    const home = homeWith({ auths: { [`https://${acme}/v2/`]: {} }, credsStore: 'all' }, { all: notFound });
    assert.equal((await home.find(acme)).kind, 'anonymous');
    assert.deepEqual(home.asked(), [`all get https://${acme}/v2/`, `all get ${acme}`]);
  });

  test('an entry with a secret needs no store', async () => {
    const home = homeWith({ auths: { [acme]: login('file', 'pw') }, credsStore: 'missing' });
    assert.equal((await home.find(acme)).kind, 'basic');
  });

  test('an empty name means the file itself', async () => {
    const config = {
      credHelpers: { [acme]: '' },
      credsStore: 'missing',
      auths: { [acme]: login('file', 'pw') },
    };
    assert.equal((await homeWith(config).find(acme)).kind, 'basic');
    assert.equal((await homeWith({ ...config, auths: {} }).find(acme)).kind, 'anonymous');
  });

  test('Docker Hub is asked for by the name docker uses, then by its own', async () => {
    const home = homeWith({ credsStore: 'all' }, { all: notFound });
    await home.find('docker.io');
    assert.deepEqual(home.asked(), ['all get https://index.docker.io/v1/', 'all get docker.io']);
    for (const key of ['docker.io', 'https://index.docker.io/v1/']) {
      const own = homeWith({ credHelpers: { [key]: 'own' } }, { own: answering('u', 'pw') });
      assert.equal((await own.find('docker.io')).kind, 'basic', key);
    }
  });

  test('nothing found: the next file, then anonymous', async () => {
    const home = homeWith({ credHelpers: { [acme]: 'own' } }, { own: notFound });
    assert.equal((await home.find(acme)).kind, 'anonymous');
    home.write('.config/containers/auth.json', { auths: { [acme]: login('podman', 'pw') } });
    assert.match((await home.find(acme)).source, /containers\/auth\.json/);
  });

  test("Podman's file has helpers too", async () => {
    const home = homeWith({}, { own: answering('helped', 'pw') });
    const file = home.write('.config/containers/auth.json', { credHelpers: { [acme]: 'own' } });
    assert.equal((await home.find(acme)).source, `docker-credential-own (credHelpers of ${file})`);
  });
});

describe('what a helper answers', () => {
  const own = (script: string) => homeWith({ credHelpers: { [acme]: 'own' } }, { own: script });

  test('<token> means an identity token', async () => {
    const found = await own(answering('<token>', 'refresh me')).find(acme);
    assert.deepEqual(found, { ...found, kind: 'identity', token: 'refresh me', username: '' });
  });

  test('two empty texts mean that it has nothing', async () => {
    assert.equal((await own(answering('', '')).find(acme)).kind, 'anonymous');
  });

  test('a helper that does not read its question', async () => {
    const home = newHome();
    home.write('.docker/config.json', { credHelpers: { [acme]: 'deaf' } });
    const file = home.write('bin/docker-credential-deaf', `#!/bin/sh\nexec <&-\n${answering('u', 'pw')}\n`);
    chmodSync(file, 0o755);
    assert.equal((await home.find(acme)).kind, 'basic');
  });

  const failures: [name: string, script: string, message: RegExp][] = [
    [
      'it fails',
      'echo s3cret; echo s3cret >&2; exit 3',
      /^the credential helper docker-credential-own failed \(3\)$/,
    ],
    ['it fails and says nothing', 'exit 1', /failed \(1\)$/],
    [
      'it only mentions what nothing would be',
      'echo "oops: credentials not found in native keychain?"; exit 1',
      /failed \(1\)$/,
    ],
    ['it fails with a secret', `${answering('u', 's3cret')}; exit 1`, /failed \(1\)$/],
    ['it dies', 'kill -9 $$', /was ended by SIGKILL$/],
    ['it gives no JSON', 'echo s3cret', /gave no user name and secret$/],
    ['it gives half', `echo '{"Secret":"s3cret"}'`, /gave no user name and secret$/],
    ['it gives numbers', `echo '{"Username":5,"Secret":"s3cret"}'`, /gave no user name and secret$/],
    ['it gives null', 'echo null', /gave no user name and secret$/],
    [
      'it goes on and on',
      'while :; do echo s3crets3crets3crets3crets3crets3crets3crets3crets3cret; done',
      /MAXBUFFER/,
    ],
  ];
  for (const [name, script, message] of failures) {
    test(name, async () => {
      const home = own(script);
      const error = await home.find(acme).catch((thrown) => thrown);
      assert.deepEqual([error.code, error.side], ['usage', 'local']);
      assert.match(error.message, message);
      assert.ok(error.hint.startsWith(`it is named in credHelpers of ${home.path}/.docker/config.json: `));
      assert.doesNotMatch(everythingIn(error), /s3cret/);
    });
  }

  test('a failure says how to see its own words', async () => {
    const error = await own('exit 1')
      .find(acme)
      .catch((thrown) => thrown);
    assert.match(error.hint, /echo registry\.acme\.com \| docker-credential-own get$/);
  });

  test('a missing binary is named, and where it was named', async () => {
    for (const [config, where] of [
      [{ credHelpers: { [acme]: 'ecr-login' } }, 'credHelpers'],
      [{ credsStore: 'ecr-login' }, 'credsStore'],
    ] as const) {
      const home = homeWith(config);
      const error = await home.find(acme).catch((thrown) => thrown);
      assert.equal(error.exitCode, 2);
      assert.equal(error.message, 'the credential helper docker-credential-ecr-login is not on PATH');
      assert.ok(error.hint.includes(`${where} of ${home.path}/.docker/config.json`), error.hint);
    }
  });

  test('a file that is no program', async () => {
    const home = homeWith({ credHelpers: { [acme]: 'own' } });
    home.write('bin/docker-credential-own', 'not executable');
    await assert.rejects(home.find(acme), {
      code: 'usage',
      message: /docker-credential-own failed \(EACCES\)/,
    });
  });

  for (const name of ['../own', '/bin/sh', 'a/b', 'a\\b', 'own\0x', 'own x', 'own;x', '']) {
    test(`no program is run for ${JSON.stringify(name)}`, async () => {
      const question = { name, server: acme, configured: 'credsStore of x', env: {} };
      await assert.rejects(askHelper(question), { code: 'usage', message: /no name of a credential helper/ });
    });
  }
});

describe('patience with a helper', () => {
  // The shell's child holds the pipes open when the shell is gone.
  const hanging = 'PATH=/usr/bin:/bin; sleep 60';

  test('one that hangs is ended', async () => {
    const home = newHome();
    home.helper('slow', hanging);
    const question = {
      name: 'slow',
      server: acme,
      configured: 'credsStore of x',
      env: home.env,
      limitMs: 50,
    };
    await assert.rejects(askHelper(question), { code: 'usage', message: /did not answer within 0\.05 s/ });
  });

  test('one that ignores SIGTERM is ended as well', async () => {
    const home = newHome();
    const file = join(home.path, 'pid');
    home.helper(
      'deaf',
      `trap '' TERM INT HUP; echo $$ > ${file}; PATH=/usr/bin:/bin; while :; do sleep 1; done`,
    );
    const abort = new AbortController();
    const question = { name: 'deaf', server: acme, configured: 'credsStore of x', env: home.env };
    const asked = askHelper({ ...question, signal: abort.signal });
    while (!existsSync(file) || readFileSync(file, 'utf8') === '')
      await new Promise((later) => setImmediate(later));
    abort.abort(new Error('stopped'));
    await assert.rejects(asked, /stopped/);
    // It answers only when it was waited for: the process is gone.
    assert.throws(() => process.kill(Number(readFileSync(file, 'utf8')), 0), { code: 'ESRCH' });
  });

  test('one that leaves a program behind, which keeps its output open, is not waited for', async () => {
    const home = newHome();
    const answer = JSON.stringify({ Username: 'ci', Secret: 's3cret' });
    home.helper('agent', `PATH=/usr/bin:/bin; sleep 60 & echo '${answer}'`);
    const question = {
      name: 'agent',
      server: acme,
      configured: 'credsStore of x',
      env: home.env,
      limitMs: 30_000,
    };
    assert.deepEqual(await askHelper(question), { username: 'ci', secret: 's3cret' });
  });

  test('one that never stops talking is ended', async () => {
    const home = newHome();
    home.helper(
      'talks',
      'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done',
    );
    const question = { name: 'talks', server: acme, configured: 'credsStore of x', env: home.env };
    await assert.rejects(askHelper(question), {
      code: 'usage',
      message: /failed \(ERR_CHILD_PROCESS_STDIO_MAXBUFFER\)/,
    });
  });

  test('a stop is obeyed, before and while it runs', async () => {
    const home = newHome();
    home.helper('slow', hanging);
    const reason = new Error('stopped');
    const question = { name: 'slow', server: acme, configured: 'credsStore of x', env: home.env };
    await assert.rejects(askHelper({ ...question, signal: AbortSignal.abort(reason) }), reason);
    const abort = new AbortController();
    const asked = askHelper({ ...question, signal: abort.signal });
    abort.abort(reason);
    await assert.rejects(asked, reason);
  });
});
