import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { barLine, layoutFor } from '../../../src/cli/reporters/bar-line.ts';
import { fit, shorten, width } from '../../../src/cli/reporters/column-text.ts';
import {
  done,
  move,
  planned,
  refused,
  resolved,
  result,
  retry,
  reused,
  shard,
  shardResult,
  size,
  started,
  told,
} from './story.ts';
import { TerminalScreen } from './terminal-screen.ts';

function terminal(t: TestContext, columns: number, rows: number) {
  const screen = new TerminalScreen(columns, rows);
  return { screen, ...told(t, { style: 'tty', stderr: screen }) };
}

test('bars at the bottom, finished layers above, as command.md shows them', (t) => {
  const { screen, reporter, pass } = terminal(t, 130, 24);
  reporter.event(resolved);
  reporter.event(planned(['config.json', shard(1), shard(2), shard(4)], 1));
  reporter.event(done('config.json', reused, ':a1b2c3d4e5f6'));
  reporter.event(started(shard(4)));
  reporter.event(started(shard(1)));
  reporter.event(started(shard(2)));
  move(reporter, pass, shard(1), { perSecond: 208e6, seconds: 8 });
  reporter.event(retry(shard(2), 1_000_000_000));
  reporter.event(done(shard(4), { size: 3_600_000_000, bytesSent: 3_600_000_000 }));
  pass(0.2);
  assert.equal(screen.cursorShown, false);
  assert.equal(
    screen.text,
    `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70
4 files, 15.6 GB: 1 reused, 3 to transfer (11.7 GB) · 4 workers · one stream a layer

ok  config.json                         reused from :a1b2c3d4e5f6
ok  model-00004-of-00004.safetensors    3.6 GB in 17 s  (212 MB/s)
>   model-00001-of-00004.safetensors    [#######---------]  42 %   1.7/3.9 GB   200 MB/s  0:12
>   model-00002-of-00004.safetensors    [####------------]  25 %   1.0/3.9 GB   200 MB/s  retry 1: hub closed the connection
    all                                 [######----------]  40 %   6.3/15.6 GB  400 MB/s  0:24`,
  );
  reporter.event(done(shard(1)));
  reporter.event(done(shard(2)));
  reporter.event({ type: 'done', result });
  assert.ok(screen.cursorShown && screen.wrapping);
  assert.equal(
    screen.text,
    `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70
4 files, 15.6 GB: 1 reused, 3 to transfer (11.7 GB) · 4 workers · one stream a layer

ok  config.json                         reused from :a1b2c3d4e5f6
ok  model-00004-of-00004.safetensors    3.6 GB in 17 s  (212 MB/s)
ok  model-00001-of-00004.safetensors    3.9 GB in 17 s  (229 MB/s)
ok  model-00002-of-00004.safetensors    3.9 GB in 17 s  (229 MB/s)

done in 41 s: 2 transferred (7.8 GB, 190 MB/s), 1 reused (2 KB), 0 mounted, 0 resumed; the hub was the slower side (82 % of the ti
me waiting for it), registry 15 %, hashing 3 %
pull   docker pull registry.acme.com/models/qwen-7b:a09a35458c70
mount  image: { reference: "registry.acme.com/models/qwen-7b@sha256:ababababababababababababababababababababababababababababababab
ab" }     # Kubernetes image volume
serve  storageUri: oci+native://registry.acme.com/models/qwen-7b@sha256:ababababababababababababababababababababababababababababab
ababab     # KServe`,
  );
});

test('a shard clears its bars and ends with one line', (t) => {
  const { screen, reporter, pass } = terminal(t, 400, 24);
  reporter.event(planned([shard(1)]));
  reporter.event(started(shard(1)));
  pass(1);
  reporter.event(done(shard(1), { outcome: 'mounted', bytesSent: 0 }, 'models/base'));
  reporter.event({ type: 'shard-done', result: shardResult });
  pass(1);
  assert.ok(screen.cursorShown && screen.wrapping);
  const [mounted, , end, ...more] = screen.text.split('\n').slice(2);
  assert.equal(mounted, 'ok  model-00001-of-00004.safetensors    mounted from models/base, 3.9 GB');
  assert.match(end ?? '', /^shard 3\/8 done in 41 s: 2 transferred .* or by boxcar finalize$/);
  assert.deepEqual(more, []);
});

test('16 layers in flight on a terminal of 10 rows: as many as fit, and how many more', (t) => {
  const { screen, reporter, pass } = terminal(t, 80, 10);
  const shards = Array.from({ length: 16 }, (_, index) => shard(index + 1, 16));
  reporter.event(planned(shards));
  for (const path of shards) reporter.event(started(path));
  pass(1);
  reporter.event({
    type: 'notice',
    level: 'warning',
    message: 'this line is too long for the terminal '.repeat(4),
  });
  pass(1);
  const lines = screen.text.split('\n');
  assert.equal(lines.length, 10);
  assert.equal(lines[0], 'inal');
  assert.match(lines[1] ?? '', /^> {3}model-00001-of-00016…? +\[--------\] {3}0 % {3}0\.0\/3\.9 GB/);
  assert.match(lines[8] ?? '', /^> {3}model-00008-of-00016…? /);
  assert.match(lines[9] ?? '', /^ {4}all \(8 more in flight\) +\[--------\]/);
  for (const line of lines) assert.ok(width(line) <= 80);
  for (const path of shards.slice(0, 13)) reporter.event(done(path));
  pass(1);
  const end = screen.text.split('\n');
  assert.deepEqual(end.map((line) => line.slice(0, 24)).slice(-5), [
    'ok  model-00013-of-00016',
    '>   model-00014-of-00016',
    '>   model-00015-of-00016',
    '>   model-00016-of-00016',
    '    all                 ',
  ]);
  assert.equal([...screen.scrolled, ...end].filter((line) => line.startsWith('ok ')).length, 13);
});

test('a narrow terminal gets shorter lines, never broken ones', (t) => {
  for (const columns of [20, 40, 50, 60, 72]) {
    const { screen, reporter, pass } = terminal(t, columns, 24);
    reporter.event(planned([shard(1), shard(2)]));
    reporter.event(started(shard(1)));
    reporter.event(started(shard(2)));
    move(reporter, pass, shard(1), { perSecond: 208e6, seconds: 3 });
    const lines = screen.text.split('\n').filter((line) => /^>|^ {4}all/.test(line));
    assert.equal(lines.length, 3);
    for (const line of lines) assert.ok(width(line) < columns && / %|…$/.test(line), line);
    reporter.close();
    t.mock.timers.reset();
  }
});

test('where it gets tight, why a layer waits goes before its numbers', () => {
  const row = {
    mark: '>',
    name: shard(1),
    offset: 1e9,
    size,
    bytesPerSecond: 198e6,
    remark: 'retry 1: hub hung up',
  } as const;
  const line = (columns: number) =>
    barLine(row, layoutFor(columns, width(row.name), size), (n) => '#'.repeat(n));
  assert.equal(
    line(112),
    '>   model-00001-of-00004.safetensors    [################]  25 %   1.0/3.9 GB  198 MB/s  retry 1: hub hung up',
  );
  assert.equal(
    line(102),
    '>   model-00001-of-00004.safetensors    [################]  25 %   1.0/3.9 GB   retry 1: hub hung up',
  );
  assert.equal(line(80), '>   model-00001-of-00004…      [########]  25 %  retry 1: hub hung up');
  assert.equal(line(40), '>   mode…00001-of-00004   25 %  retry …');
});

test('an error clears the bars and gives the cursor back', (t) => {
  const { screen, reporter, pass } = terminal(t, 200, 24);
  reporter.event(planned([shard(1), shard(2)]));
  reporter.event(started(shard(1)));
  pass(1);
  reporter.stopping('SIGINT');
  reporter.event({ type: 'layer-failed', path: shard(1), size: 1, error: refused });
  reporter.error(refused, 3);
  reporter.event(started(shard(2)));
  pass(1);
  assert.ok(screen.cursorShown && screen.wrapping);
  assert.deepEqual(
    screen.text
      .split('\n')
      .slice(2)
      .map((line) => line.slice(0, 60)),
    [
      'stopping on SIGINT: saving what was sent so far',
      'no  model-00001-of-00004.safetensors    failed: the registry',
      'error: the registry refused the upload of model-00002-of-000',
      '  PATCH https://registry.acme.com/v2/models/qwen-7b/blobs/up',
      '  credentials came from /home/ci/.docker/config.json, entry ',
      '  does this account have push access to models/qwen-7b?',
    ],
  );
});

test('hostile names reach the terminal as text', (t) => {
  const { screen, reporter, pass } = terminal(t, 80, 24);
  const path = '\x1b[2J\x1b]0;title\x07\u202e\u009b31mmodel.bin';
  reporter.event(planned([path]));
  reporter.event(started(path));
  pass(1);
  reporter.event(retry(path, 0));
  pass(1);
  assert.match(screen.text, /> {3}\[2J \]0;title 31mmodel/);
  reporter.event(done(path));
  pass(1);
  assert.match(screen.text, /ok {2}\[2J \]0;title 31mmodel\.bin/);
});

test('quiet draws nothing', (t) => {
  const screen = new TerminalScreen(80, 24);
  const { reporter, pass } = told(t, { style: 'tty', stderr: screen, quiet: true });
  reporter.event(planned([shard(1)]));
  reporter.event(started(shard(1)));
  pass(10);
  reporter.event({ type: 'notice', level: 'warning', message: 'the tag moves' });
  assert.equal(screen.text, '12:04:40 warning: the tag moves');
});

test('names are cut where they tell least', () => {
  assert.equal(fit('config.json', 14), 'config.json   ');
  assert.equal(fit('model-00001-of-00016.safetensors', 22), 'model-00001-of-00016… ');
  assert.equal(fit('text_encoder/model-00001-of-00016.safetensors', 22), 'text_…l-00001-of-00016');
  assert.equal(fit('模型-模型-模型.bin', 9), '模…-模型 ');
  assert.equal(width(fit('é'.repeat(50), 9)), 9);
  assert.equal(fit('abc', 1), '…');
  assert.equal(shorten('abcdef', 4), 'abc…');
});
