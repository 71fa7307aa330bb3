import { constants } from 'node:os';

const cleanups = new Set<() => void>();

/** Runs a synchronous cleanup when this process ends, be it by a signal. Returns a function that calls it off. */
export function atExit(cleanup: () => void): () => void {
  watch();
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

let watching = false;

function watch(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    // The newest first: programs end before the directories they write to are removed.
    for (const cleanup of [...cleanups].reverse()) cleanup();
  });
  // Without a listener a signal ends the process and skips 'exit'; child processes would live on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}
