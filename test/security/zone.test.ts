import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { innermost, mayName, outermost, zoneOf, zoneOfHost } from '../../src/http/zone.ts';

/** Of a URL as a server may write it: the parser has the first word, as in the program. */
const zoneIn = (url: string) => zoneOfHost(new URL(url).hostname);

describe('the zone of an address', () => {
  for (const [zone, addresses] of [
    [
      'public',
      ['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.0', '169.253.1.1', '100.128.0.1', '2606:4700::1'],
    ],
    [
      'private',
      ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd00::1', 'fc00::1'],
    ],
    ['loopback', ['127.0.0.1', '127.255.255.254', '0.0.0.0', '::1', '::', '0:0:0:0:0:0:0:1']],
    [
      'link-local',
      ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254', '100.100.100.200', '224.0.0.1'],
    ],
  ] as const) {
    for (const address of addresses) test(`${address}: ${zone}`, () => assert.equal(zoneOf(address), zone));
  }

  for (const [written, zone] of [
    ['::ffff:169.254.169.254', 'link-local'],
    ['::ffff:7f00:1', 'loopback'],
    ['::ffff:0:10.0.0.1', 'private'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:c0a8:101::1', 'private'],
    ['::ffff:8.8.8.8', 'public'],
    ['64:ff9b::8.8.8.8', 'public'],
  ] as const) {
    test(`IPv4 in IPv6, ${written}: ${zone}`, () => assert.equal(zoneOf(written), zone));
  }
});

test('the host of a URL, in every form that the parser knows', () => {
  const loopback = [
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://0x7f000001/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://127.0.0.1./',
    'http://%31%32%37.0.0.1/',
    'http://１２７.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[0000::0001]/',
    'http://0/',
    'http://localhost/',
    'http://LOCALHOST./',
    'http://a.localhost/',
  ];
  for (const url of loopback) assert.equal(zoneIn(url), 'loopback', url);
  for (const url of [
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://0251.0376.0251.0376/',
    'http://169.254.43518/',
  ])
    assert.equal(zoneIn(url), 'link-local', url);
  assert.equal(zoneIn('http://registry.example.com/'), undefined);
  assert.equal(zoneIn('http://127.0.0.1.example.com/'), undefined);
});

test('the rule: nothing more private than oneself, and link-local for nobody else', () => {
  const zones = ['public', 'private', 'loopback', 'link-local'] as const;
  const table = zones.map((from) => zones.map((to) => (mayName(from, to) ? 'x' : '-')).join(''));
  assert.deepEqual(table, ['x---', 'xx--', 'xxx-', 'xxxx']);
});

test('of several addresses the one that counts is the one that wins nothing', () => {
  // As a server: adding our loopback to its own name makes it no neighbour.
  assert.equal(outermost(['127.0.0.1', '8.8.8.8']), 'public');
  // As a target: one private address among public ones is enough.
  assert.equal(innermost(['8.8.8.8', '10.0.0.1']), 'private');
  assert.equal(outermost([]), 'public');
  assert.equal(outermost(['10.0.0.1', '127.0.0.1']), 'private');
});
