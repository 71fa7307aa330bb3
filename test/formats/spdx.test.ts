import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spdxLicense } from '../../src/formats/spdx.ts';

test("the hub's identifiers as SPDX expressions", () => {
  for (const [license, spdx] of [
    ['apache-2.0', 'Apache-2.0'],
    ['mit', 'MIT'],
    ['MIT', 'MIT'],
    ['cc-by-nc-4.0', 'CC-BY-NC-4.0'],
    ['bsd-3-clause', 'BSD-3-Clause'],
    ['llama3.1', 'LicenseRef-llama3.1'],
    ['gemma', 'LicenseRef-gemma'],
    ['unknown', 'LicenseRef-unknown'],
    ['My own, really!', 'LicenseRef-My-own-really-'],
  ] as const) {
    assert.equal(spdxLicense({ license }), spdx);
  }
});

test('`other` is told by its name', () => {
  const licenseName = 'tongyi-qianwen';
  assert.equal(spdxLicense({ license: 'other', licenseName }), 'LicenseRef-tongyi-qianwen');
  assert.equal(spdxLicense({ license: 'other' }), 'LicenseRef-other');
  assert.equal(spdxLicense({ license: 'mit', licenseName }), 'MIT');
});

test('no licence is none', () => {
  assert.equal(spdxLicense({}), undefined);
  assert.equal(spdxLicense({ licenseName: 'x' }), undefined);
});
