import assert from 'node:assert/strict';
import { test } from 'node:test';
import { styleFor } from '../../../src/cli/reporters/reporter.ts';

const terminal = { isTTY: true, write() {} };
const pipe = { write() {} };

test('auto looks at the terminal and the CI system', () => {
  assert.equal(styleFor('auto', terminal, { TERM: 'xterm-256color' }), 'tty');
  assert.equal(styleFor('auto', terminal, { TERM: 'dumb' }), 'text');
  assert.equal(styleFor('auto', terminal, { CI: 'true' }), 'text');
  assert.equal(styleFor('auto', terminal, { CI: 'false' }), 'tty');
  assert.equal(styleFor('auto', pipe, {}), 'text');
  assert.equal(styleFor('auto', terminal, { TF_BUILD: 'True' }), 'azure');
  assert.equal(styleFor('auto', pipe, { CI: 'true', GITHUB_ACTIONS: 'true' }), 'github');
});

test('a style that was asked for is taken', () => {
  assert.equal(styleFor('json', terminal, { TF_BUILD: 'True' }), 'json');
});
