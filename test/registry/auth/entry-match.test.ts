import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestEntry, isDockerHub } from '../../../src/registry/auth/entry-match.ts';

function best(keys: string[], registry: string, repository?: string): string | undefined {
  return bestEntry(new Map(keys.map((key) => [key, key])), registry, repository)?.value;
}

const acme = 'registry.acme.com';
const cases: [keys: string[], registry: string, repository: string, expected: string | undefined][] = [
  [[], acme, 'team/model', undefined],
  [['other.com'], acme, 'team/model', undefined],
  [[acme], acme, 'team/model', acme],
  // containers-auth.json(5): most specific first, whatever their order.
  [[acme, `${acme}/team`, `${acme}/team/model`], acme, 'team/model', `${acme}/team/model`],
  [[`${acme}/team/model`, `${acme}/team`, acme], acme, 'team/other', `${acme}/team`],
  [[acme, `${acme}/team`], acme, 'teams/model', acme],
  [[`${acme}/team/model`], acme, 'team', undefined],
  [[`${acme}/team`], acme, 'other/team', undefined],
  // Segments, not characters.
  [['registry.acme.co'], acme, 'x', undefined],
  [[`${acme}.evil.com`], acme, 'x', undefined],
  [[`evil.com/${acme}`], acme, 'x', undefined],
  // Ports are part of the name.
  [[`${acme}:5000`], acme, 'x', undefined],
  [[acme], `${acme}:5000`, 'x', undefined],
  [[acme, `${acme}:5000/x`, `${acme}:5001`], `${acme}:5000`, 'x/y', `${acme}:5000/x`],
  [['localhost:5000'], 'localhost:5000', 'x', 'localhost:5000'],
  [['[::1]:5000'], '[::1]:5000', 'x', '[::1]:5000'],
  // As tools have written them.
  [[`https://${acme}`], acme, 'x', `https://${acme}`],
  [[`http://${acme}:5000/`], `${acme}:5000`, 'x', `http://${acme}:5000/`],
  [[`https://${acme}/v2/`], acme, 'x', `https://${acme}/v2/`],
  [[`https://${acme}/v1`], acme, 'x', `https://${acme}/v1`],
  [[`https://${acme}/team/`], acme, 'team/x', `https://${acme}/team/`],
  [[`https://${acme}/team/`], acme, 'x', undefined],
  [['Registry.ACME.com'], acme, 'x', 'Registry.ACME.com'],
  [[acme], 'Registry.ACME.com', 'x', acme],
  // Just so before what means the same.
  [[`https://${acme}`, acme], acme, 'x', acme],
  [[acme, `https://${acme}`], acme, 'x', acme],
  // A namespace may be called v2.
  [[acme, `${acme}/v2`], acme, 'v2/x', `${acme}/v2`],
  [[acme, `${acme}/v2`], acme, 'x', acme],
  [[acme, `${acme}/team/v2`], acme, 'team/x', acme],
  // Docker Hub by all its names.
  [['https://index.docker.io/v1/'], 'docker.io', 'me/x', 'https://index.docker.io/v1/'],
  [['https://index.docker.io/v1/'], 'registry-1.docker.io', 'me/x', 'https://index.docker.io/v1/'],
  [['docker.io'], 'index.docker.io', 'me/x', 'docker.io'],
  [['https://index.docker.io/v1/', 'docker.io/me'], 'docker.io', 'me/x', 'docker.io/me'],
  [['https://index.docker.io/v1/', 'docker.io'], 'docker.io', 'me/x', 'docker.io'],
  [['notdocker.io', 'index.docker.io.evil.com'], 'docker.io', 'me/x', undefined],
  // Names of the prototype.
  [['__proto__', 'constructor'], acme, 'constructor', undefined],
];

for (const [keys, registry, repository, expected] of cases) {
  test(`${registry}/${repository} among ${keys.join(', ') || 'none'}: ${expected}`, () => {
    assert.equal(best(keys, registry, repository), expected);
  });
}

test('the registry alone', () => {
  assert.equal(best([`${acme}/team`, acme], acme), acme);
  assert.equal(best([`${acme}/team`], acme), undefined);
});

test('names of Docker Hub', () => {
  for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']) {
    assert.ok(isDockerHub(name), name);
  }
  for (const name of ['docker.com', 'docker.io:5000', 'docker.io.acme.com'])
    assert.ok(!isDockerHub(name), name);
});
