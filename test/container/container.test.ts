import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startHub } from '../support/hub.ts';
import { bigModel, headOf } from '../support/models.ts';
import { availableRegistries, startRegistry } from '../support/registries.ts';
import { tempDir } from '../support/temp-dir.ts';
import { baseImage, whatIsMissing } from './base-image.ts';
import { checkout, command } from './command.ts';
import { buildImage, Image } from './image.ts';

const missing = await whatIsMissing();
const required = process.env.BOXCAR_TEST_CONTAINER === 'required';
const skip = missing !== undefined && !required && `no image can be built here: ${missing}`;
const mb = 1_000_000;

test('the container image', { skip }, async (t) => {
  if (missing) throw new Error(missing);
  const { madeOf, cached } = await timed(t, 'base image', baseImage);
  t.diagnostic(`base image: ${madeOf}, ${cached ? 'of an earlier run' : 'new'}`);
  await timed(t, 'build', buildImage);
  const image = await Image.open();
  t.after(() => image.close());
  const { root, config } = image;
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));

  /** A new volume, as a container engine makes it: with the mode that the folder has in the image. */
  const volume = (): string => {
    const folder = tempDir(t);
    chmodSync(folder, statSync(join(root, 'state')).mode);
    return folder;
  };

  await t.test('says its version and its help', async () => {
    const told = await image.run(['--version'], { state: volume() });
    assert.deepEqual(told, { code: 0, stdout: `${version}\n`, stderr: '' });
    const helped = await image.run([], { state: volume() });
    assert.equal(helped.code, 0, helped.stderr);
    assert.match(helped.stdout, /Usage: boxcar/);
    assert.equal(config.Labels['org.opencontainers.image.title'], 'boxcar');
  });

  await t.test('is no root, and writes nowhere but to its volume', async () => {
    assert.equal(config.User, '1000:1000');
    assert.deepEqual(Object.keys(config.Volumes), ['/state']);
    const script = 'id -u; id -G; touch /state/x && echo ok; touch /tmp/x $HOME/x /opt/boxcar/x';
    const { stdout, stderr } = await image.run(['-c', script], { entrypoint: ['sh'], state: volume() });
    assert.equal(stdout, '1000\n1000\nok\n');
    assert.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
  });

  await t.test('holds what running takes, and no more', async (t) => {
    const folder = join(root, 'opt/boxcar');
    const wanted = ['LICENSE', 'dist', 'node_modules', 'package.json', 'state-schema'];
    assert.deepEqual(readdirSync(folder).sort(), wanted);
    const { packages } = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8'));
    const development = Object.keys(packages).filter((path) => packages[path].dev);
    for (const name of ['typescript', 'node']) assert.ok(development.includes(`node_modules/${name}`));
    const unwanted = [...development.map((path) => `opt/boxcar/${path}`), 'root/.npmrc', 'run/secrets/ca'];
    const found = unwanted.filter((path) => existsSync(join(root, path)));
    assert.deepEqual(found, []);

    const load = (name: string) => `require('/opt/boxcar/node_modules/${name}')`;
    const script = ['-e', `${load('koffi')}; ${load('fs-native-extensions')}; console.log(process.execPath)`];
    const { stdout, stderr } = await image.run(script, { entrypoint: ['node'], state: volume() });
    assert.equal(stdout, '/usr/local/bin/node\n', stderr);
    const [all, own] = await Promise.all([root, folder].map((path) => command('du', ['-sm', path])));
    t.diagnostic(`size: ${megabytes(all)} MiB, of which boxcar with its packages ${megabytes(own)}`);
  });

  await t.test('stopped in the middle of a push, goes on from its volume', async (t) => {
    const [kind] = availableRegistries();
    if (!kind && !required) return t.skip('no registry on this machine');
    const model = bigModel({ files: 2, size: 24 * mb, name: 'acme/contained' });
    const hub = await startHub({ models: [model], bytesPerSecond: 8 * mb });
    t.after(() => hub.close());
    const registry = await startRegistry({ kind: kind ?? 'distribution-2' });
    t.after(() => registry.stop());
    const target = `${registry.host}/models/contained`;
    const push = ['push', model.name, target];
    const env = { HF_ENDPOINT: hub.url };
    const state = volume();
    const read = () => [...hub.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);

    const first = image.start(push, { env, state });
    while (read() < 16 * mb && first.running()) await delay(20);
    first.kill('SIGTERM');
    assert.equal((await first.finished).code, 143, first.stderr());
    const readBefore = read();

    const second = await image.run(push, { env, state });
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /2 resumed/);
    assert.match(second.stdout, new RegExp(`^IMAGEREF=${target}:${headOf(model).slice(0, 12)}$`, 'm'));
    const again = read() - readBefore;
    assert.ok(again < 40 * mb, `${again} bytes were read by the second run`);

    // As OpenShift does: some user id that nobody told the image about, and here without a state left by others.
    const third = await image.run(push, { env, state: volume(), user: '1234567:0' });
    assert.equal(third.code, 0, third.stderr);
    assert.equal(third.stdout, second.stdout);
  });
});

async function timed<Result>(t: TestContext, what: string, work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await work();
  t.diagnostic(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

/** Of what `du -sm` printed. */
function megabytes(said = ''): number {
  return Number.parseInt(said, 10);
}
