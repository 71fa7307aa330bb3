import type { StoredState } from '../../publish/progress/stored-state.ts';
import { width } from './column-text.ts';
import { age, bytes, bytesOf, counted, percent } from './format.ts';
import { plain, plainJson } from './plain-text.ts';

/** Columns that a name may claim of all rows. */
const longestName = 64;

/** So many finished layers are listed one by one; more of them are counted, unless asked for. */
const mostDone = 20;

/** A layer that a state knows. A state also holds what is nobody's business, the Location of an upload first of all. */
interface KnownLayer {
  name: string;
  /** Bytes of the layer. */
  size: number;
  done: boolean;
  /** Bytes that the target is known to hold of a layer that has begun. */
  offset?: number;
  /** Age of its upload session, where it is known. */
  sessionSeconds?: number;
}

/** What `boxcar status` prints of each state: whose it is, how far each layer is, and the sum. `now` in ms since 1970. */
export function renderStatus(states: StoredState[], now: number, { verbose = false } = {}): string {
  if (states.length === 0) return 'no state of an unfinished publish was found\n';
  return states.map((stored) => `${stateLines(stored, now, verbose).join('\n')}\n`).join('\n');
}

/** The same for programs: one object, one line, every layer in it. */
export function statusJson(states: StoredState[], now: number): string {
  const told = states.map((stored) => {
    const { kind, name, writtenAt, usedBy } = stored;
    const { model, commit, target } = stored.state;
    return {
      name,
      kind,
      model,
      commit,
      target,
      writtenAt: new Date(writtenAt).toISOString(),
      ...(usedBy !== undefined && { usedBy }),
      ...(stored.fault !== undefined && { fault: stored.fault }),
      layers: layersOf(stored, now),
    };
  });
  return `${plainJson(JSON.stringify({ states: told }))}\n`;
}

function stateLines(stored: StoredState, now: number, verbose: boolean): string[] {
  const { model, commit, target } = stored.state;
  const layers = layersOf(stored, now);
  const done = layers.filter((layer) => layer.done);
  const fold = done.length > mostDone && !verbose;
  const folded = `  ${counted(done.length, 'layer')} done, ${bytes(sizeOf(done))} (--verbose lists them)`;
  const user = stored.usedBy === 0 ? 'a process' : `process ${stored.usedBy}`;
  const use = stored.usedBy === undefined ? [] : [`${user} is using it`];
  const written = `  ${[`written ${age((now - stored.writtenAt) / 1000)} ago`, ...use].join(', ')}`;
  if (stored.fault !== undefined) return [plain(stored.name, 500), `  it ${plain(stored.fault)}`, written];
  return [
    plain(stored.name, 500),
    `  ${plain(model)} @ ${plain(commit).slice(0, 12)}  ->  ${plain(target)}`,
    written,
    ...(fold ? [folded] : []),
    ...layerRows(fold ? layers.filter((layer) => !layer.done) : layers),
    `  ${totalText(layers)}`,
  ];
}

function layerRows(layers: KnownLayer[]): string[] {
  const rows = layers.map((layer) => ({ name: plain(layer.name), text: layerText(layer) }));
  const widest = rows.reduce((most, { name }) => Math.max(most, width(name)), 0);
  const columns = Math.min(longestName, widest);
  return rows.map(({ name, text }) => `  ${name}${' '.repeat(Math.max(0, columns - width(name)))}  ${text}`);
}

function layerText({ size, done, offset, sessionSeconds }: KnownLayer): string {
  if (done) return `done, ${bytes(size)}`;
  if (offset === undefined) return `not begun, ${bytes(size)}`;
  const session = sessionSeconds === undefined ? '' : `, session ${age(sessionSeconds)} old`;
  return `${percent(offset, size)} % (${bytesOf(offset, size)})${session}`;
}

/** `9 of 14 known layers done, 13.1/15.2 GB`. A state knows no layer that the publish has not come to. */
function totalText(layers: KnownLayer[]): string {
  if (layers.length === 0) return 'no layer has begun';
  const done = layers.filter((layer) => layer.done);
  const there = layers.reduce((sum, layer) => sum + (layer.done ? layer.size : (layer.offset ?? 0)), 0);
  const known = counted(layers.length, 'known layer');
  return `${done.length} of ${known} done, ${bytesOf(there, sizeOf(layers))}`;
}

function sizeOf(layers: KnownLayer[]): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** By name. What is told is picked, so that nothing comes along with it. */
function layersOf({ state }: StoredState, now: number): KnownLayer[] {
  return Object.entries(state.layers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { size, digest, upload }]) => {
      if (digest !== undefined || !upload) return { name, size, done: digest !== undefined };
      const seconds = Math.floor((now - Date.parse(upload.began ?? '')) / 1000);
      const session = Number.isNaN(seconds) ? {} : { sessionSeconds: Math.max(0, seconds) };
      return { name, size, done: false, offset: upload.offset, ...session };
    });
}
