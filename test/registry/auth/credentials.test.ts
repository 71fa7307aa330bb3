import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { findCredentials } from '../../../src/registry/auth/credentials.ts';
import { everythingIn, login, newHome } from './homes.ts';

const acme = 'registry.acme.com';

describe('where credentials are found', () => {
  test('nowhere: anonymous, and where it looked', async () => {
    const found = await newHome().find(acme);
    assert.equal(found.kind, 'anonymous');
    assert.match(found.source, /OCI_USERNAME and OCI_PASSWORD, docker login, podman login\)$/);
  });

  test('OCI_USERNAME and OCI_PASSWORD, before every file', async () => {
    const home = newHome({ OCI_USERNAME: 'ci', OCI_PASSWORD: 's3cret:x' });
    home.write('.docker/config.json', 'not even JSON');
    assert.deepEqual(await home.find(acme), {
      kind: 'basic',
      username: 'ci',
      password: 's3cret:x',
      source: 'OCI_USERNAME and OCI_PASSWORD',
    });
  });

  test('only one of the two is a usage error, and not shown', async () => {
    for (const env of [
      { OCI_USERNAME: 's3cret' },
      { OCI_PASSWORD: 's3cret' },
      { OCI_PASSWORD: 's3cret', OCI_USERNAME: '' },
    ]) {
      const error = await newHome(env)
        .find(acme)
        .catch((thrown) => thrown);
      assert.deepEqual([error.code, error.exitCode], ['usage', 2]);
      assert.match(
        error.message,
        new RegExp(`^${'OCI_PASSWORD' in env ? 'OCI_PASSWORD' : 'OCI_USERNAME'} is set without`),
      );
      assert.doesNotMatch(everythingIn(error), /s3cret/);
    }
  });

  test('both empty is as unset', async () => {
    const found = await newHome({ OCI_USERNAME: '', OCI_PASSWORD: '' }).find(acme);
    assert.equal(found.kind, 'anonymous');
  });

  /** Every place, in the order of command.md. */
  const places: [name: string, file: string, env: (home: string) => NodeJS.ProcessEnv][] = [
    [
      'DOCKER_CONFIG',
      'docker-config/config.json',
      (home) => ({ DOCKER_CONFIG: join(home, 'docker-config') }),
    ],
    [
      'REGISTRY_AUTH_FILE',
      'some/auth.json',
      (home) => ({ REGISTRY_AUTH_FILE: join(home, 'some/auth.json') }),
    ],
    ['XDG_RUNTIME_DIR', 'run/containers/auth.json', (home) => ({ XDG_RUNTIME_DIR: join(home, 'run') })],
    ['~/.config', '.config/containers/auth.json', () => ({})],
  ];
  places.forEach(([name, file], place) => {
    test(`${name}, before what comes after it`, async () => {
      const home = newHome();
      for (const [, , each] of places) Object.assign(home.env, each(home.path));
      for (const [later, path] of places.slice(place))
        home.write(path, { auths: { [acme]: login(later, 'pw') } });
      const found = await home.find(acme);
      assert.deepEqual(found, {
        kind: 'basic',
        username: name,
        password: 'pw',
        source: `${join(home.path, file)}, entry ${acme}`,
      });
    });
  });

  test('~/.docker where DOCKER_CONFIG is not set, XDG_CONFIG_HOME where it is', async () => {
    const home = newHome();
    home.write('.docker/config.json', { auths: { [acme]: login('docker', 'pw') } });
    home.write('xdg/containers/auth.json', { auths: { [acme]: login('xdg', 'pw') } });
    assert.match((await home.find(acme)).source, /\.docker\/config\.json, entry registry\.acme\.com$/);
    Object.assign(home.env, { DOCKER_CONFIG: '/nowhere', XDG_CONFIG_HOME: join(home.path, 'xdg') });
    assert.match((await home.find(acme)).source, /xdg\/containers\/auth\.json, entry/);
  });

  test('a home that is given counts before HOME', async () => {
    const home = newHome();
    const other = newHome();
    other.write('.docker/config.json', { auths: { [acme]: login('other', 'pw') } });
    const found = await findCredentials({ registry: acme, repository: 'x', env: home.env, home: other.path });
    assert.equal(found.kind === 'basic' && found.username, 'other');
  });

  test('the longest prefix of a file; a file without a match is passed over', async () => {
    const home = newHome();
    home.write('.docker/config.json', {
      auths: {
        [acme]: login('all', 'pw'),
        [`${acme}/team`]: login('team', 'pw'),
        'other.com': login('x', 'pw'),
      },
    });
    const podman = home.write('.config/containers/auth.json', {
      auths: { 'third.com': login('third', 'pw') },
    });
    assert.match((await home.find(acme, 'team/model')).source, /entry registry\.acme\.com\/team$/);
    assert.match((await home.find(acme, 'model')).source, /entry registry\.acme\.com$/);
    assert.equal((await home.find('third.com')).source, `${podman}, entry third.com`);
    assert.equal((await home.find(`${acme}:5000`)).kind, 'anonymous');
  });
});

describe('files that are odd', () => {
  test('files without credentials', async () => {
    for (const content of [
      '',
      '  \n',
      '{}',
      { auths: null, credHelpers: null },
      { auths: {} },
      { HttpHeaders: {} },
    ]) {
      const home = newHome();
      home.write('.docker/config.json', content);
      assert.equal((await home.find(acme)).kind, 'anonymous');
    }
  });

  const shapes = [
    '{"auths": {"s3cret',
    's3cret',
    '[]',
    '"s3cret"',
    '5',
    'null',
    { auths: ['s3cret'] },
    { auths: 's3cret' },
  ];
  const helpers = [{ credHelpers: { a: 5 } }, { credHelpers: 's3cret' }, { credsStore: ['s3cret'] }];
  for (const content of [...shapes, ...helpers]) {
    test(`malformed: ${JSON.stringify(content)}`, async () => {
      const home = newHome();
      const file = home.write('.config/containers/auth.json', content);
      const error = await home.find(acme).catch((thrown) => thrown);
      assert.deepEqual([error.code, error.side], ['usage', 'local']);
      assert.equal(error.message, `the credentials file ${file} is malformed`);
      assert.doesNotMatch(everythingIn(error), /s3cret/);
    });
  }

  test('a file that is there and cannot be read is passed over, and told of', async () => {
    const home = newHome();
    mkdirSync(join(home.path, '.docker/config.json'), { recursive: true });
    assert.match((await home.find(acme)).source, /; .*\.docker\/config\.json could not be read: EISDIR\)$/);
    home.write('.config/containers/auth.json', { auths: { [acme]: login('ci', 'pw') } });
    assert.equal((await home.find(acme)).kind, 'basic');
  });

  test('a file without permission', {
    skip: process.getuid?.() === 0 && 'root may read everything',
  }, async () => {
    const home = newHome();
    chmodSync(home.write('.docker/config.json', { auths: { [acme]: login('ci', 'pw') } }), 0);
    assert.match((await home.find(acme)).source, /could not be read: EACCES/);
  });

  test('REGISTRY_AUTH_FILE that is not there is passed over, and told of; other places are not', async () => {
    const home = newHome({
      REGISTRY_AUTH_FILE: '/nowhere/auth.json',
      DOCKER_CONFIG: '/dev/null',
      XDG_RUNTIME_DIR: '/nowhere',
    });
    const { kind, source } = await home.find(acme);
    assert.equal(kind, 'anonymous');
    assert.match(source, /podman login; \/nowhere\/auth\.json could not be read: ENOENT\)$/);
  });
});

describe('entries', () => {
  const source = (home: string) => `${home}/.docker/config.json, entry ${acme}`;
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const good: [name: string, entry: unknown, expected: object | undefined][] = [
    ['auth', { auth: encode('ci:pw') }, { kind: 'basic', username: 'ci', password: 'pw' }],
    [
      'colons in the password',
      { auth: encode('ci:p:w:') },
      { kind: 'basic', username: 'ci', password: 'p:w:' },
    ],
    [
      'NULs behind the password',
      { auth: encode('ci:pw\0\0\0') },
      { kind: 'basic', username: 'ci', password: 'pw' },
    ],
    [
      'without padding',
      { auth: encode('ci:pw').replace(/=+$/, '') },
      { kind: 'basic', username: 'ci', password: 'pw' },
    ],
    [
      'a long one, wrapped',
      { auth: `${encode('ci:pwpwpw').slice(0, 5)}\n${encode('ci:pwpwpw').slice(5)}` },
      { kind: 'basic', username: 'ci', password: 'pwpwpw' },
    ],
    ['not ASCII', { auth: encode('ci:pässwörd') }, { kind: 'basic', username: 'ci', password: 'pässwörd' }],
    ['no password', { auth: encode('ci:') }, { kind: 'basic', username: 'ci', password: '' }],
    ['in the clear', { username: 'ci', password: 'pw' }, { kind: 'basic', username: 'ci', password: 'pw' }],
    [
      'auth before what is in the clear',
      { auth: encode('a:b'), username: 'c', password: 'd' },
      { kind: 'basic', username: 'a', password: 'b' },
    ],
    [
      'an identity token',
      { auth: encode('00000000:'), identitytoken: 'it' },
      { kind: 'identity', token: 'it', username: '00000000' },
    ],
    ['an identity token alone', { identitytoken: 'it' }, { kind: 'identity', token: 'it', username: '' }],
    ['an access token', { auth: encode('a:b'), registrytoken: 'rt' }, { kind: 'bearer', token: 'rt' }],
    ['empty', {}, undefined],
    ['empty, as docker writes it for a store', { auth: '', email: 'x@y.z' }, undefined],
    ['nulls', { auth: null, username: null }, undefined],
  ];
  for (const [name, entry, expected] of good) {
    test(name, async () => {
      const home = newHome();
      home.write('.docker/config.json', { auths: { [acme]: entry } });
      const found = await home.find(acme);
      if (expected) assert.deepEqual(found, { ...expected, source: source(home.path) });
      else assert.equal(found.kind, 'anonymous');
    });
  }

  const bad: [name: string, entry: unknown][] = [
    ['no colon', { auth: encode('s3cret') }],
    ['no user', { auth: encode(':s3cret') }],
    ['not base64', { auth: 's3cret!' }],
    ['a password without its user', { password: 's3cret' }],
    ['a number', { auth: 5, password: 's3cret' }],
    ['text', 's3cret'],
    ['null', null],
  ];
  for (const [name, entry] of bad) {
    test(`malformed: ${name}`, async () => {
      const home = newHome();
      const file = home.write('.docker/config.json', {
        auths: { [acme]: entry, 'fine.com': login('ci', 'pw') },
      });
      const error = await home.find(acme).catch((thrown) => thrown);
      assert.equal(error.code, 'usage');
      assert.equal(error.message, `the credentials file ${file} is malformed at its entry ${acme}`);
      assert.doesNotMatch(everythingIn(error), /s3cret|czNjcmV0/);
      // It harms nobody who does not need it.
      assert.equal((await home.find('fine.com')).kind, 'basic');
    });
  }
});
