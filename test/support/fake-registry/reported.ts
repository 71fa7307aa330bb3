import type { Dialect } from './dialects.ts';
import { digestOf } from './storage.ts';

/** `Docker-Content-Digest`, as the dialect tells it of what was just stored. */
export function reported({ reportedDigest }: Dialect, digest: string): Record<string, string> {
  if (reportedDigest === 'none') return {};
  const other = digestOf(Buffer.from('something else'));
  return { 'docker-content-digest': reportedDigest === 'right' ? digest : other };
}
