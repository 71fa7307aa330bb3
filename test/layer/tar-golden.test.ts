import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { tarHeader, trailerSize } from '../../src/layer/tar.ts';
import { decodeHeaders, type Entry } from './ustar.ts';

// Published images depend on these bytes: when one of them changes, `packing` of formats/modelcar.ts must change too.

const gib = 2 ** 30;
const common = {
  uid: '000000 \0',
  gid: '000000 \0',
  mtime: '00000000000 ',
  magic: 'ustar\x0000',
  prefix: '',
};
const directory = { ...common, type: '5', mode: '000755 \0', size: '00000000000 ' };
const file = { ...common, type: '0', mode: '000644 \0' };
const models: Entry = { ...directory, name: 'models/' };

async function sha256Of(name: string, size: number): Promise<string> {
  return createHash('sha256')
    .update(await tarHeader(name, size))
    .digest('hex');
}

test('a simple name, byte for byte', async () => {
  const header = await tarHeader('models/config.json', 2);
  const block = (fields: [number, string][]): string => {
    const bytes = Buffer.alloc(512);
    for (const [at, text] of fields) bytes.write(text, at, 'latin1');
    return bytes.toString('hex');
  };
  const same: [number, string][] = [
    [108, '000000 '],
    [116, '000000 '],
    [136, '00000000000 '],
    [257, 'ustar\x0000'],
    [329, '000000 '],
    [337, '000000 '],
  ];
  const expected =
    block([[0, 'models/'], [100, '000755 '], [124, '00000000000 '], [148, '010450 '], [156, '5'], ...same]) +
    block([
      [0, 'models/config.json'],
      [100, '000644 '],
      [124, '00000000002 '],
      [148, '012600 '],
      [156, '0'],
      ...same,
    ]);
  assert.equal(header.toString('hex'), expected);
});

describe('names', () => {
  test('nested directories come before what they hold', async () => {
    assert.deepEqual(decodeHeaders(await tarHeader('models/a/b/c.txt', 1)), [
      models,
      { ...directory, name: 'models/a/' },
      { ...directory, name: 'models/a/b/' },
      { ...file, name: 'models/a/b/c.txt', size: '00000000001 ' },
    ]);
    const golden = 'ccbe3f4436fbfc752be65ce6d4f170a833f3293f43f12136930dd8b6e9fe44b7';
    assert.equal(await sha256Of('models/a/b/c.txt', 1), golden);
  });

  test('without a directory there is one block', async () => {
    assert.deepEqual(decodeHeaders(await tarHeader('f', 0)), [{ ...file, name: 'f', size: '00000000000 ' }]);
  });

  test('exactly 100 bytes fit the name field', async () => {
    const name = `models/${'x'.repeat(93)}`;
    assert.deepEqual(decodeHeaders(await tarHeader(name, 0)), [
      models,
      { ...file, name, size: '00000000000 ' },
    ]);
    const golden = '6fc759d9a505df25e4e71c00d4bb8449a8dce555efe44d04c963bdfec30d0f7e';
    assert.equal(await sha256Of(name, 0), golden);
  });

  test('101 bytes are split between prefix and name', async () => {
    const name = `models/${'x'.repeat(94)}`;
    const split = { prefix: 'models', name: 'x'.repeat(94) };
    assert.deepEqual(decodeHeaders(await tarHeader(name, 0)), [
      models,
      { ...file, ...split, size: '00000000000 ' },
    ]);
    const golden = '3836c40b515279311754086366347e4bdbd3db46613d58d21de2a1e7e91c40df';
    assert.equal(await sha256Of(name, 0), golden);
  });

  test('what cannot be split gets a PAX header', async () => {
    const name = `models/${'z'.repeat(300)}`;
    const pax = { ...file, type: 'x', name: 'PaxHeader', pax: `317 path=${name}\n` };
    assert.deepEqual(decodeHeaders(await tarHeader(name, 5)), [
      models,
      { ...pax, size: '00000000475 ' },
      { ...file, name: 'PaxHeader', size: '00000000005 ' },
    ]);
    const golden = '775065dc66a32f562442a94c6961687b9d2dada7a02f09d0409c7f680907bbc3';
    assert.equal(await sha256Of(name, 5), golden);
  });

  test('beyond ASCII: PAX for the directory and for the file', async () => {
    const entries = decodeHeaders(await tarHeader('models/Größe/模型 №1.txt', 12));
    assert.deepEqual(
      entries.map((entry) => [entry.type, entry.pax]),
      [
        ['5', undefined],
        ['x', '24 path=models/Größe/\n'],
        ['5', undefined],
        ['x', '39 path=models/Größe/模型 №1.txt\n'],
        ['0', undefined],
      ],
    );
    const golden = '2e2b07d2f34bb28219658cb56449dbf2d2873a9bfd7e826eddcc962053bb0690';
    assert.equal(await sha256Of('models/Größe/模型 №1.txt', 12), golden);
  });

  test('400 directories deep, more than a stream buffers at once', async () => {
    const name = `models/${'d/'.repeat(400)}f`;
    const entries = decodeHeaders(await tarHeader(name, 1)).filter((entry) => entry.type !== 'x');
    assert.equal(entries.length, 402);
    assert.equal(entries.at(-1)?.type, '0');
    const golden = 'a2ef9da5e459ab61f603eeb2ca8c3d925dd4ba1417bd0a4bd38e024c94eda4e6';
    assert.equal(await sha256Of(name, 1), golden);
  });
});

describe('sizes', () => {
  const golden: [number, string, string][] = [
    [0, '00000000000 ', '541b7dbd0562e928eb951364da2d6ac31dd5365c737ce963c50c0325001bfa24'],
    [1, '00000000001 ', '7221ae452f2924c5e03003428ad43e825dc7026c916a22fe45f89fdd4f0f01af'],
    [8 * gib - 1, '77777777777 ', '694286f06fce3743fc536aa6303d9923f256124261bc7a911e5c0547c39e7230'],
    [8 * gib, '800000000000000200000000', 'e2439133fa0be4770549133f9eee5516f21be455a4a21620114e498efa3492ef'],
    [9 * gib, '800000000000000240000000', '2439c4c7b7905eadac73635906d0d9e7b125ab3c1df7970b86f739060018602d'],
  ];
  for (const [size, field, sha256] of golden) {
    test(`${size} bytes`, async () => {
      const header = await tarHeader('models/big', size);
      assert.deepEqual(decodeHeaders(header), [models, { ...file, name: 'models/big', size: field }]);
      assert.equal(createHash('sha256').update(header).digest('hex'), sha256);
    });
  }

  test('the trailer pads to a block and ends the archive', () => {
    assert.deepEqual(
      [0, 1, 511, 512, 513, 8 * gib, 8 * gib + 1].map(trailerSize),
      [1024, 1535, 1025, 1024, 1535, 1024, 1535],
    );
  });
});

test('the same arguments give the same bytes, in parallel too', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => tarHeader('models/Größe/x', 7)));
  assert.equal(new Set(all.map((bytes) => bytes.toString('hex'))).size, 1);
});
