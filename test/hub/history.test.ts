import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { findCommit, listHistory } from '../../src/hub/history.ts';
import { commitId, history } from '../support/models.ts';
import { hubAt, startTestHub } from './hubs.ts';

const long = history('acme/long', { 'README.md': 'x' }, Array<'readme'>(2999).fill('readme'));
const ids = long.commits.map(({ id }) => id);

async function setUp(t: TestContext) {
  const server = await startTestHub(t, { models: [long] });
  return { server, hub: hubAt(t, server.url) };
}

test('the newest thousand commits in one request, the revision itself first', async (t) => {
  const { server, hub } = await setUp(t);
  assert.deepEqual(await listHistory(hub, long.name, 'main', 1000), ids.slice(0, 1000));
  assert.equal(server.requests.length, 1);
  assert.deepEqual(await listHistory(hub, long.name, ids[2990] ?? '', 1000), ids.slice(2990));
  assert.equal(server.requests.length, 2);
  assert.deepEqual(await listHistory(hub, long.name, 'main', 10), ids.slice(0, 10));
  assert.deepEqual(await listHistory(hub, long.name, 'main', 5000), ids);
});

test('a mirror with pages of 50 is asked four times for one', async (t) => {
  const { server, hub } = await setUp(t);
  const page = (from: number) =>
    JSON.stringify(long.commits.slice(from, from + 50).map(({ id }) => ({ id, authors: [] })));
  for (let from = 0; from < 500; from += 50)
    server.faults.push({
      match: { path: /\/commits\// },
      action: {
        kind: 'status',
        status: 200,
        body: page(from),
        headers: { link: `<${server.url}/api/models/acme/long/commits/main?p=${from}>; rel="next"` },
      },
    });
  assert.deepEqual(await listHistory(hub, long.name, 'main', 1000), ids.slice(0, 200));
  assert.equal(server.requests.length, 4);
});

test('what is no commit is left out', async (t) => {
  const { server, hub } = await setUp(t);
  const body = JSON.stringify(['../x', 'C0FFEE', '', commitId('good')].map((id) => ({ id, authors: [] })));
  server.faults.push({ action: { kind: 'status', status: 200, body } });
  assert.deepEqual(await listHistory(hub, long.name, 'main', 1000), [commitId('good')]);
});

test('a shortened commit is found far back', async (t) => {
  const { server, hub } = await setUp(t);
  assert.equal(await findCommit(hub, long.name, ids[2500]?.slice(0, 10) ?? ''), ids[2500]);
  assert.equal(server.requests.length, 3);
});

test('a stop ends it', async (t) => {
  const { server, hub } = await setUp(t);
  server.faults.push({ action: { kind: 'hold' } });
  const abort = new AbortController();
  const listing = listHistory(hub, long.name, 'main', 1000, abort.signal);
  abort.abort(new Error('stopped'));
  await assert.rejects(listing, /stopped/);
});
