import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when `bytes` more may pass. */
export type Pace = (bytes: number) => Promise<void>;

/** How much lateness of a timer is made up for, in ms. More would let a paused connection burst. */
const credit = 50;

/**
 * Bytes per second by an absolute schedule: timers that fire late do not add up.
 * Ask before sending; the bytes then arrive at the end of the time they take.
 */
export function createPace(bytesPerSecond: number): Pace {
  let due = 0;
  return async (bytes) => {
    const now = performance.now();
    due = Math.max(due, now - credit) + (bytes / bytesPerSecond) * 1000;
    if (due > now) await delay(due - now);
  };
}

/** Piece size for a paced stream: about 50 pieces a second, so that the rate is even. */
export function pieceSize(bytesPerSecond: number | undefined, largest: number): number {
  if (bytesPerSecond === undefined) return largest;
  return Math.max(1024, Math.min(largest, Math.floor(bytesPerSecond / 50)));
}
