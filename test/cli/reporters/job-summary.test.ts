import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureSummary, jobSummary } from '../../../src/cli/reporters/job-summary.ts';
import { BoxcarError } from '../../../src/errors.ts';
import { digest, layer, refused, result, reused, shard, shardResult, size } from './story.ts';

test('what a push has done', () => {
  const layers = [
    layer('config.json', reused),
    layer(shard(1), { outcome: 'resumed', bytesSent: 1_500_000_000 }),
    layer(shard(2)),
  ];
  const totals = {
    ...result.totals,
    resumed: 1,
    transferred: 1,
    bytes: { reused: 2048, mounted: 0, resumed: 2_400_000_000, transferred: 5_400_000_000 },
    secondsSaved: 18.2,
    savedAtBytesPerSecond: 5_400_000_000 / 41,
    bytesSent: 5_400_000_000,
  };
  assert.equal(
    jobSummary({ ...result, layers, totals, tags: ['a09a35458c70', 'latest'] }),
    `### <code>registry.acme.com/models/qwen-7b:a09a35458c70</code>

- model: <code>Qwen/Qwen2.5-7B-Instruct</code> at <code>a09a35458c702b33eeacc393d103063234e8bc28</code>
- image: <code>registry.acme.com/models/qwen-7b&#64;${digest}</code>
- tags: <code>a09a35458c70</code>, <code>latest</code>
- time: 41 s; about 18 s saved; the hub was the slower side (82 % of the time waiting for it), registry 15 %, hashing 3 %

| | layers | was there | sent |
|---|--:|--:|--:|
| transferred | 1 |  | 3.9 GB |
| reused | 1 | 2 KB |  |
| mounted | 0 |  |  |
| resumed | 1 | 2.4 GB | 1.5 GB |
| all | 3 | 2.4 GB | 5.4 GB |

<details><summary>3 layers</summary>

| path | size | |
|---|--:|---|
| <code>model-00002-of-00004.safetensors</code> | 3.9 GB | transferred |
| <code>model-00001-of-00004.safetensors</code> | 3.9 GB | resumed |
| <code>config.json</code> | 2 KB | reused |

</details>
`,
  );
});

test('a shard has no image to name', () => {
  const text = jobSummary(shardResult);
  assert.match(text, /^### Shard 3\/8 of <code>registry\.acme\.com\/models\/qwen-7b:a09a35458c70<\/code>\n/);
  assert.doesNotMatch(text, /sha256/);
});

test('a name is text to Markdown and to HTML, and stays in its cell', () => {
  const paths = [
    'a|b\\|c`d``.bin',
    '</code></details><img src=x onerror=1>',
    'line\nbreak\r| **x** |',
    '[a](https://evil.example) <https://evil.example>',
    '&lt; \\&#124; ~~$x$~~ @user #1',
  ];
  const text = jobSummary({
    ...result,
    imageRef: 'oci:/x`|<b>\n# y:v1',
    layers: paths.map((path) => layer(path)),
  });
  const names = [...text.matchAll(/<code>(.*?)<\/code>/gs)].map(([, name = '']) => name);
  assert.equal(names.length, 5 + paths.length);
  for (const name of names) assert.match(name, /^([\p{L}\p{N} .:-]|(?<!:)\/|&#\d+;)*$/u);
  const shown = names.map((name) => name.replace(/&#(\d+);/g, (_, number) => String.fromCodePoint(number)));
  assert.equal(shown[0], 'oci:/x`|<b> # y:v1');
  assert.deepEqual(
    shown.slice(-paths.length),
    paths.map((path) => path.replace(/[\n\r]/g, ' ')),
  );
  const rows = text.split('\n').filter((line) => line.endsWith(' GB | transferred |'));
  assert.deepEqual(
    rows.map((row) => row.split('|').length),
    paths.map(() => 5),
  );
});

test('200 layers are listed, those that cost most first, the rest is counted', () => {
  const names = Array.from({ length: 1000 }, (_, index) => `${'模|'.repeat(150)}${index}`);
  const layers = [...names.map((name) => layer(name, { ...reused, size })), layer('sent.bin')];
  const text = jobSummary({ ...result, layers });
  const rows = text.split('\n').filter((line) => line.startsWith('| <code>'));
  assert.equal(rows.length, 200);
  assert.equal(rows[0], '| <code>sent.bin</code> | 3.9 GB | transferred |');
  assert.match(text, /\n\| and 801 more layers \| 3\.1 TB \| \|\n/);
  assert.ok(Buffer.byteLength(text) < 512 * 1024);
});

test('a push that failed: the lines of the log, as text', () => {
  const known = { imageRef: result.imageRef, layers: [layer('a'), layer('b')] };
  assert.equal(
    failureSummary(refused, 3, known),
    `### Failed: <code>registry.acme.com/models/qwen-7b:a09a35458c70</code>

<pre>
error: the registry refused the upload of model-00002-of-00004.safetensors (exit 3)
  PATCH https://registry.acme.com/v2/models/qwen-7b/blobs/uploads/1 answered 401 UNAUTHORIZED "authentication required"
  credentials came from /home/ci/.docker/config.json, entry registry.acme.com
  does this account have push access to models/qwen-7b?
</pre>

Layers that came through: 2
`,
  );
});

test('a server that answers in HTML does not write in the summary', () => {
  const answer = '</pre><h1>x</h1>&amp;';
  const request = { method: 'GET', url: 'https://r.example/v2/', status: 500, answer };
  const error = new BoxcarError('no', { code: 'registry-failed', side: 'registry', request });
  const text = failureSummary(error, 6);
  assert.match(text, /^### Failed\n/);
  assert.match(text, / answered 500 &lt;\/pre&gt;&lt;h1&gt;x&lt;\/h1&gt;&amp;amp;\n/);
  assert.equal(text.match(/<\/pre>/g)?.length, 1);
});
