import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BoxcarError } from '../../src/errors.ts';
import { Link, parseBandwidth } from '../../src/publish/link.ts';

describe('a cap', () => {
  const both = (rate: number) => ({ down: rate, up: rate });
  const right: [text: string, rates: ReturnType<typeof parseBandwidth>][] = [
    ['200M', both(200_000_000)],
    ['200m', both(200_000_000)],
    ['1.5MB/s', both(1_500_000)],
    ['25 MiB', both(25 * 1024 * 1024)],
    ['512Ki', both(512 * 1024)],
    ['1KiB/s', both(1024)],
    ['2G', both(2_000_000_000)],
    ['0.5GiB', both(512 * 1024 * 1024)],
    ['123456', both(123_456)],
    ['1K', both(1000)],
    ['down=200M,up=50M', { down: 200_000_000, up: 50_000_000 }],
    ['up=50M, down=200M', { down: 200_000_000, up: 50_000_000 }],
    ['down=1M', { down: 1_000_000 }],
    ['up=10KB/s', { up: 10_000 }],
  ];
  for (const [text, rates] of right) test(`of ${text}`, () => assert.deepEqual(parseBandwidth(text), rates));

  const wrong = [
    ...['', '0', '0M', '999', '-1M', '1e9', 'fast', 'M', '200T', '200Mb', '200Mbit', '200 Mbit/s', '1,5M'],
    ...[
      'NaN',
      'Infinity',
      '9999999G',
      '200M,up=50M',
      'down=',
      'down',
      'down=1M,down=2M',
      'down=1M,',
      'hub=1M',
    ],
    ...['down=0', 'DOWN=1M', '1i', '1.2345M'],
  ];
  for (const text of wrong)
    test(`of ${JSON.stringify(text)} is refused`, () =>
      assert.throws(
        () => parseBandwidth(text),
        (error) =>
          error instanceof BoxcarError &&
          error.exitCode === 2 &&
          error.message.endsWith(`not ${JSON.stringify(text)}`),
      ));
});

describe('in words', () => {
  const words = (text: string, kind: 'registry' | 'layout' = 'registry') =>
    new Link(parseBandwidth(text), { kind }).words;

  test('each direction that is capped', () => {
    assert.equal(
      words('down=200M,up=1.5G'),
      'bandwidth: at most 200 MB/s down from the hub, 1.5 GB/s up to the registry',
    );
    assert.equal(words('up=10K'), 'bandwidth: at most 10 KB/s up to the registry');
    assert.equal(words('25MiB', 'layout'), 'bandwidth: at most 26.21 MB/s down from the hub');
    assert.equal(words('up=1M', 'layout'), undefined);
    assert.equal(new Link({}, { kind: 'registry' }).words, undefined);
  });
});
