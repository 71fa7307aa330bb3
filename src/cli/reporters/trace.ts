import type { PublishEvent, Stage } from '../../publish/events.ts';
import { addPhases, noPhases, type Phases, phaseNames, secondsOf } from '../../publish/phases.ts';

/** A record of Chrome's Trace Event Format; times are whole µs. */
export type TraceRecord = {
  name: string;
  pid: number;
  tid: number;
  ts: number;
  args?: object | undefined;
} & ({ ph: 'M' | 'B' | 'E' } | { ph: 'X'; dur: number } | { ph: 'i'; s: 't' });

/** Shortest slice, in ms, and the part of the run's time that it is at least: a long run has longer ones. */
const shortestMs = 250;
const shortestPart = 1 / 500;

/** The row of the publish itself. */
const publishRow = 0;

/** A row on which one layer follows another, as they do in a worker. */
interface Lane {
  tid: number;
  path: string | undefined;
  /** Until here it is drawn, in ms. */
  at: number;
  /** What is not drawn yet, and its end. */
  until: number;
  phases: Phases;
  bytesRead: number;
  bytesSent: number;
}

/**
 * A publish as a trace: what is done at a time in the first row, and below it a row for each layer in flight. Phases
 * change hundreds of times a second; those of a slice of time are drawn one behind the other, each as long as all of it.
 */
export class Trace {
  readonly #write: (record: TraceRecord) => void;
  readonly #now: () => number;
  readonly #lanes: Lane[] = [];
  readonly #inFlight = new Map<string, Lane>();
  #stage: Stage | undefined;

  /** @param now ms since the process began. */
  constructor(title: string, write: (record: TraceRecord) => void, now = () => performance.now()) {
    this.#write = write;
    this.#now = now;
    this.#name('process_name', publishRow, title);
    this.#name('thread_name', publishRow, 'publish');
  }

  event(event: PublishEvent): void {
    if (event.type === 'stage') this.#enter(event.stage);
    else if (event.type === 'layer-phases') this.#spent(event);
    else if (event.type === 'layer-retry') {
      const { path, side, reason, attempt, of, delayMs, offset } = event;
      const { tid } = this.#lane(path, this.#now());
      this.#retry(tid, side, reason, { attempt, of, delayMs, offset });
    } else if (event.type === 'notice' && event.retry) {
      const { side, reason, delayMs } = event.retry;
      this.#retry(publishRow, side, reason, { delayMs });
    } else if (event.type === 'layer-done') {
      const { path, outcome, size, bytesSent, bytesRead, retries } = event.result;
      this.#leave(path, { outcome, size, bytesSent, bytesRead, retries });
    } else if (event.type === 'layer-failed') {
      const { code, side } = event.error;
      this.#leave(event.path, { outcome: 'failed', size: event.size, code, side });
    }
  }

  /** Ends what has no end of its own. */
  close(): void {
    for (const path of [...this.#inFlight.keys()]) this.#leave(path, { outcome: 'stopped' });
    this.#enter(undefined);
  }

  #enter(stage: Stage | undefined): void {
    if (stage === this.#stage) return;
    const at = { pid: process.pid, tid: publishRow, ts: micro(this.#now()) };
    if (this.#stage !== undefined) this.#write({ ph: 'E', name: this.#stage, ...at });
    if (stage !== undefined) this.#write({ ph: 'B', name: stage, ...at });
    this.#stage = stage;
  }

  #retry(tid: number, side: string, reason: string, args: object): void {
    const name = `retry: ${side} ${reason}`;
    this.#write({ ph: 'i', s: 't', name, pid: process.pid, tid, ts: micro(this.#now()), args });
  }

  #spent({
    path,
    phases,
    until,
    bytesRead,
    bytesSent,
  }: Extract<PublishEvent, { type: 'layer-phases' }>): void {
    const lane = this.#lane(path, until - secondsOf(phases) * 1000);
    addPhases(lane.phases, phases);
    lane.bytesRead += bytesRead;
    lane.bytesSent += bytesSent;
    lane.until = until;
    if (until - lane.at >= Math.max(shortestMs, until * shortestPart)) this.#draw(lane);
  }

  /** The layer's row; the first that is free where it has none. */
  #lane(path: string, since: number): Lane {
    const own = this.#inFlight.get(path);
    if (own) return own;
    let lane = this.#lanes.find((each) => each.path === undefined && each.at <= since);
    if (!lane) {
      lane = {
        tid: this.#lanes.length + 1,
        path,
        at: 0,
        until: 0,
        phases: noPhases(),
        bytesRead: 0,
        bytesSent: 0,
      };
      this.#lanes.push(lane);
      this.#name('thread_name', lane.tid, `layers ${lane.tid}`);
    }
    lane.path = path;
    lane.at = since;
    lane.until = since;
    this.#inFlight.set(path, lane);
    this.#write({ ph: 'B', name: path, pid: process.pid, tid: lane.tid, ts: micro(since) });
    return lane;
  }

  #draw(lane: Lane): void {
    const { tid, bytesRead, bytesSent } = lane;
    const bytes = { hub: { bytesRead }, digest: undefined, registry: { bytesSent }, waiting: undefined };
    for (const phase of phaseNames) {
      const from = lane.at;
      // Ends are rounded, not lengths: no slice reaches into the next.
      lane.at = Math.min(lane.until, from + lane.phases[phase] * 1000);
      const ts = micro(from);
      const dur = micro(lane.at) - ts;
      if (dur > 0) this.#write({ ph: 'X', name: phase, pid: process.pid, tid, ts, dur, args: bytes[phase] });
    }
    Object.assign(lane, { at: lane.until, phases: noPhases(), bytesRead: 0, bytesSent: 0 });
  }

  #leave(path: string, args: object): void {
    const lane = this.#inFlight.get(path);
    if (!lane) return;
    this.#draw(lane);
    lane.at = this.#now();
    this.#write({ ph: 'E', name: path, pid: process.pid, tid: lane.tid, ts: micro(lane.at), args });
    lane.path = undefined;
    this.#inFlight.delete(path);
  }

  #name(kind: 'process_name' | 'thread_name', tid: number, name: string): void {
    this.#write({ ph: 'M', name: kind, pid: process.pid, tid, ts: 0, args: { name } });
  }
}

function micro(ms: number): number {
  return Math.round(ms * 1000);
}
