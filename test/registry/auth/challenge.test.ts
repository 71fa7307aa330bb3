import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Challenge, parseChallenges } from '../../../src/registry/auth/challenge.ts';

/** As plain objects: parameters have no prototype. */
function parsed(header: string | string[]): Challenge[] {
  return parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
}

const cases: [name: string, header: string | string[], expected: Challenge[]][] = [
  ['nothing', '', []],
  ['a scheme alone', 'Basic', [{ scheme: 'basic', parameters: {} }]],
  ['basic', 'Basic realm="Registry Realm"', [{ scheme: 'basic', parameters: { realm: 'Registry Realm' } }]],
  [
    'bearer; commas and blanks within quotes',
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:samalba/my-app:pull,push repository:b:pull"',
    [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:samalba/my-app:pull,push repository:b:pull',
        },
      },
    ],
  ],
  [
    'several in one header (RFC 9110 section 11.6.1)',
    'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
    [
      { scheme: 'basic', parameters: { realm: 'simple' } },
      { scheme: 'newauth', parameters: { realm: 'apps', type: '1', title: 'Login to "apps"' } },
    ],
  ],
  [
    'several headers',
    ['Negotiate', 'Basic realm="a"', 'Bearer realm="b"'],
    [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'a' } },
      { scheme: 'bearer', parameters: { realm: 'b' } },
    ],
  ],
  [
    'names in any case, blanks around everything, empty list elements',
    ' , bEARER  ReAlm = "x" ,, Service\t=\ty , ',
    [{ scheme: 'bearer', parameters: { realm: 'x', service: 'y' } }],
  ],
  [
    'no quotes around a URL',
    'Bearer realm=https://auth.acme.com/token?x=1,service=acme',
    [{ scheme: 'bearer', parameters: { realm: 'https://auth.acme.com/token?x=1', service: 'acme' } }],
  ],
  [
    'empty values',
    'Bearer realm="",scope=,service="s"',
    [{ scheme: 'bearer', parameters: { realm: '', scope: '', service: 's' } }],
  ],
  ['the first of two', 'Bearer realm="a",realm="b"', [{ scheme: 'bearer', parameters: { realm: 'a' } }]],
  [
    'a quote that is never closed takes nothing with it',
    'Bearer service="s",realm="https://a',
    [{ scheme: 'bearer', parameters: { service: 's' } }],
  ],
  [
    'an escaped end is no end',
    'Bearer service="s",realm="a\\"',
    [{ scheme: 'bearer', parameters: { service: 's' } }],
  ],
  ['a parameter of no scheme', 'realm="x"', []],
  [
    'names of the prototype',
    'Bearer __proto__="x"',
    [{ scheme: 'bearer', parameters: { ['__proto__']: 'x' } }],
  ],
];

for (const [name, header, expected] of cases) {
  test(name, () => {
    assert.deepEqual(parsed(header), expected);
  });
}

test('token68 of a scheme that nobody here knows does not hide what comes after it', () => {
  const challenges = parsed('Negotiate YIIB/x+y==, NTLM a=, Basic realm="r"');
  assert.deepEqual(
    challenges.map(({ scheme }) => scheme),
    ['negotiate', 'ntlm', 'basic'],
  );
  assert.equal(challenges[2]?.parameters.realm, 'r');
});

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const text = fc.string({ maxLength: 40 });
const written = fc.array(
  fc.record({
    scheme: token,
    parameters: fc.uniqueArray(fc.tuple(token, text), { selector: ([name]) => name.toLowerCase() }),
  }),
  { maxLength: 4 },
);

test('what is written by the grammar is read as it was meant', () => {
  fc.assert(
    fc.property(written, fc.boolean(), (challenges, asOne) => {
      const quote = (value: string) => `"${value.replace(/["\\]/g, '\\$&')}"`;
      const headers = challenges.map(
        ({ scheme, parameters }) =>
          `${scheme} ${parameters.map(([name, value]) => `${name}=${quote(value)}`).join(', ')}`,
      );
      const read = parseChallenges(asOne ? headers.join(', ') : headers);
      assert.deepEqual(
        read.map(({ scheme, parameters }) => [scheme, Object.entries(parameters).sort()]),
        challenges.map(({ scheme, parameters }) => [
          scheme.toLowerCase(),
          parameters.map(([name, value]) => [name.toLowerCase(), value]).sort(),
        ]),
      );
    }),
  );
});

test('anything at all is read without failing', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('"', '\\', '=', ',', ' ', '\n', '\0', 'a', 'Bearer', 'realm', 'é'),
  });
  fc.assert(
    fc.property(hostile, (header) => {
      for (const { scheme, parameters } of parseChallenges(header)) {
        assert.match(scheme, /^[^\s",=]+$/);
        assert.equal(Object.getPrototypeOf(parameters), null);
      }
    }),
    { numRuns: 2000 },
  );
});

for (const [name, unit] of Object.entries({
  quotes: 'a="',
  escapes: '"\\',
  blanks: ' ',
  'blanks after a word': 'a               ',
  words: 'a',
  equals: '=',
  'words and brackets': 'aaaaaaaaaaaaaaaaaaaa(',
})) {
  test(`a megabyte of ${name} costs next to nothing`, () => {
    const header = `Bearer ${unit.repeat(1_048_576 / unit.length)}`;
    const before = process.cpuUsage().user;
    parseChallenges(header);
    // Quadratic reading would take hours.
    assert.ok(process.cpuUsage().user - before < 3_000_000);
  });
}
