import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  done,
  move,
  planned,
  progress,
  refused,
  resolved,
  result,
  retry,
  reused,
  shard,
  shardResult,
  started,
  told,
} from './story.ts';

test('a publish from the first line to the last', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event(resolved);
  reporter.event(planned(['config.json', shard(1), shard(2)], 1));
  reporter.event(done('config.json', reused, ':a1b2c3d4e5f6'));
  reporter.event(started(shard(1), 1_450_000_000));
  move(reporter, pass, shard(1), { from: 1_450_000_000, perSecond: 208e6, seconds: 5 });
  reporter.event(retry(shard(1), 2_490_000_000));
  reporter.event(done(shard(1), { outcome: 'resumed', bytesSent: 2_450_000_000 }));
  reporter.event(done(shard(2), { outcome: 'mounted', bytesSent: 0 }, 'models/base'));
  reporter.event({ type: 'tagged', tag: 'latest', digest: result.manifestDigest, moved: true });
  reporter.event({ type: 'done', result });
  assert.equal(
    text(),
    `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70
3 files, 11.7 GB: 1 reused, 2 to transfer (7.8 GB) · 4 workers · one stream a layer
12:04:30 config.json reused from :a1b2c3d4e5f6
12:04:30 model-00001-of-00004.safetensors goes on from 1.4/3.9 GB
12:04:35 model-00001-of-00004.safetensors 63 % (2.5/3.9 GB) 204 MB/s, 8 s left
12:04:35 model-00001-of-00004.safetensors retry 1 of 10 in 2.1 s at 2.5 GB: the hub closed the connection (GET cdn-lfs.hf.co, 206)
12:04:35 model-00001-of-00004.safetensors done: the last 2.5 GB of 3.9 GB in 17 s (144 MB/s)
12:04:35 model-00002-of-00004.safetensors mounted from models/base, 3.9 GB
12:04:35 tagged latest (${result.manifestDigest})
done in 41 s: 2 transferred (7.8 GB, 190 MB/s), 1 reused (2 KB), 0 mounted, 0 resumed; the hub was the slower side (82 % of the time waiting for it), registry 15 %, hashing 3 %
pull   docker pull registry.acme.com/models/qwen-7b:a09a35458c70
mount  image: { reference: "${result.imageRefDigest}" }     # Kubernetes image volume
serve  storageUri: oci+native://${result.imageRefDigest}     # KServe
`,
  );
});

test('a shard that leaves the image to others ends with one line', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event({ type: 'shard-done', result: shardResult });
  pass(60);
  assert.equal(
    text(),
    'shard 3/8 done in 41 s: 2 transferred (7.8 GB, 190 MB/s), 1 reused (2 KB), 0 mounted, 0 resumed; ' +
      'the hub was the slower side (82 % of the time waiting for it), registry 15 %, hashing 3 %; ' +
      'the image is written by the last shard (--finalize-last) or by boxcar finalize\n',
  );
});

test('every layer in flight has a line every 5 s, also while it only waits', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event(planned([shard(1), shard(2)]));
  reporter.event(started(shard(1)));
  reporter.event(started(shard(2)));
  text();
  reporter.event(progress(shard(2), 3_900_000_000));
  pass(3);
  reporter.event(retry(shard(1), 0, 8000));
  pass(14);
  assert.deepEqual(text().trim().split('\n'), [
    '12:04:33 model-00001-of-00004.safetensors retry 1 of 10 in 8.0 s at 0 B: the hub closed the connection (GET cdn-lfs.hf.co, 206)',
    '12:04:35 model-00002-of-00004.safetensors 100 % (3.9/3.9 GB) all sent, waiting for the registry for 5 s',
    '12:04:38 model-00001-of-00004.safetensors 0 % (0.0/3.9 GB) waiting 3.0 s for retry 1 of 10',
    '12:04:40 model-00002-of-00004.safetensors 100 % (3.9/3.9 GB) all sent, waiting for the registry for 10 s',
    '12:04:43 model-00001-of-00004.safetensors 0 % (0.0/3.9 GB) retry 1 of 10 has begun',
    '12:04:45 model-00002-of-00004.safetensors 100 % (3.9/3.9 GB) all sent, waiting for the registry for 15 s',
  ]);
});

test('a layer whose upload cannot even be opened is told of as well', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event(planned([shard(1), shard(2)]));
  reporter.event(started(shard(2)));
  reporter.event(retry(shard(1), 0, 60_000));
  text();
  pass(5);
  assert.match(
    text(),
    /model-00001-of-00004\.safetensors 0 % \(0\.0\/3\.9 GB\) waiting 55 s for retry 1 of 10\n/,
  );
});

test('no more than one line of a layer in 5 s, however much it moves', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event(started(shard(1)));
  move(reporter, pass, shard(1), { perSecond: 10e6, seconds: 4 });
  assert.equal(text(), '');
  move(reporter, pass, shard(1), { from: 40e6, perSecond: 10e6, seconds: 16 });
  assert.equal(text().trim().split('\n').length, 4);
});

test('a stalled layer says for how long', (t) => {
  const { reporter, text, pass } = told(t);
  reporter.event(started(shard(1)));
  reporter.event(progress(shard(1), 1_000_000_000));
  pass(5);
  assert.equal(text(), '12:04:35 model-00001-of-00004.safetensors 25 % (1.0/3.9 GB) nothing moved for 5 s\n');
});

test('the log is not silent between the layers either', (t) => {
  const { reporter, text, pass } = told(t);
  pass(5);
  assert.equal(text(), '12:04:35 asking the hub for the model\n');
  reporter.event(resolved);
  text();
  pass(5);
  assert.equal(text(), '12:04:40 planning the layers\n');
  reporter.event(planned([shard(1), shard(2)]));
  reporter.event(done(shard(1), reused));
  text();
  pass(5);
  assert.equal(text(), '12:04:45 1 of 2 layers settled, looking for the others in the target\n');
  reporter.event(done(shard(2), reused));
  text();
  pass(10);
  assert.equal(text(), '12:04:50 writing the manifest and tags\n12:04:55 writing the manifest and tags\n');
  reporter.close();
  pass(60);
  assert.equal(text(), '');
});

test('quiet tells warnings and errors alone, verbose the details too', (t) => {
  const { reporter, text, pass } = told(t, { quiet: true });
  reporter.event(resolved);
  reporter.event(planned([shard(1)]));
  reporter.event(started(shard(1), 10));
  reporter.event(retry(shard(1), 10));
  pass(20);
  reporter.event({ type: 'notice', level: 'info', message: 'hm' });
  reporter.event({ type: 'notice', level: 'warning', message: 'the tag moves' });
  reporter.stopping('SIGINT');
  reporter.event({ type: 'done', result });
  assert.equal(text(), '12:04:50 warning: the tag moves\n');
  reporter.error(refused, 3);
  assert.match(text(), /^error: the registry refused .* \(exit 3\)\n {2}PATCH /);
});

test('details are for verbose', (t) => {
  const { reporter, text } = told(t, { verbose: true });
  reporter.event({ type: 'notice', level: 'detail', message: 'credentials: /root/.docker/config.json' });
  assert.equal(text(), '12:04:30 credentials: /root/.docker/config.json\n');
});

test('details are only for verbose', (t) => {
  const { reporter, text } = told(t);
  reporter.event({ type: 'notice', level: 'detail', message: 'credentials: /root/.docker/config.json' });
  reporter.stopping('SIGTERM');
  assert.equal(text(), '12:04:30 stopping on SIGTERM: saving what was sent so far\n');
});

test('a hostile name does nothing to a terminal or a CI system', (t) => {
  const { reporter, text, pass } = told(t);
  const name = '\x1b[2J\u202egnp.\n##vso[task.setvariable variable=x]y\r##[add-path]z';
  reporter.event(started(name, 5));
  reporter.event(retry(name, 5));
  pass(5);
  reporter.event({ type: 'layer-failed', path: name, size: 1, error: refused });
  reporter.event(done(name, reused, name));
  reporter.event({ type: 'notice', level: 'warning', message: name });
  const told_ = text();
  assert.equal(told_.trimEnd().split('\n').length, 6);
  assert.doesNotMatch(told_, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|##vso|##\[/);
  assert.match(
    told_,
    /^12:04:30 \[2J gnp\. # #vso\[task\.setvariable variable=x\]y # #\[add-path\]z goes on/,
  );
});
