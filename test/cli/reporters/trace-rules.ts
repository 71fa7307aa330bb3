import assert from 'node:assert/strict';
import type { TraceRecord } from '../../../src/cli/reporters/trace.ts';

/** The records of a trace file; one that was left by a killed process may lack its end. */
export function traceRecords(text: string): TraceRecord[] {
  return JSON.parse(text.trimEnd().endsWith(']') ? text : `${text}]`);
}

/** What the Trace Event Format asks of records, and of those of a row: one in another, or one after another. */
export function assertTrace(records: TraceRecord[]): void {
  const rows = new Map<number, TraceRecord[]>();
  for (const record of records) {
    const { ph, name, pid, tid, ts } = record;
    const where = JSON.stringify(record);
    assert.ok(['M', 'B', 'E', 'X', 'i'].includes(ph), where);
    assert.equal(typeof name, 'string', where);
    for (const each of [pid, tid, ts]) assert.ok(Number.isSafeInteger(each) && each >= 0, where);
    assert.equal(pid, records[0]?.pid);
    if (record.ph === 'X') assert.ok(Number.isSafeInteger(record.dur) && record.dur > 0, where);
    if (record.ph === 'i') assert.equal(record.s, 't', where);
    if (record.ph !== 'M') rows.set(tid, [...(rows.get(tid) ?? []), record]);
  }
  for (const row of rows.values()) assertRow(row);
}

function assertRow(row: TraceRecord[]): void {
  let open: string | undefined;
  let at = 0;
  // As a viewer does it: by time, in the file's order where that is the same.
  for (const record of [...row].sort((a, b) => a.ts - b.ts)) {
    const where = JSON.stringify(record);
    if (record.ph === 'i') continue;
    assert.ok(record.ts >= at, `${where} begins before ${at}`);
    at = record.ts;
    if (record.ph === 'B') {
      assert.equal(open, undefined, where);
      open = record.name;
    } else if (record.ph === 'E') {
      assert.equal(record.name, open, where);
      open = undefined;
    } else if (record.ph === 'X') {
      assert.ok(open !== undefined, `${where} is in no layer`);
      at += record.dur;
    }
  }
}

/** Seconds of each phase that a trace shows. */
export function secondsShown(records: TraceRecord[], phase: string): number {
  return records.reduce(
    (sum, record) => sum + (record.ph === 'X' && record.name === phase ? record.dur / 1e6 : 0),
    0,
  );
}
