import { bytes } from './format.ts';
import { type Planned, plannedLine, type Resolved, resolvedLine } from './header.ts';
import { plain } from './plain-text.ts';

/** What `--dry-run` prints: a line a layer with path, size of the file and content id, then the totals. */
export function renderPlan(planned: Planned, resolved: Resolved): string {
  const rows = planned.layers.map((layer) => ({
    path: plain(layer.path),
    size: bytes(layer.fileSize),
    contentId: plain(layer.contentId),
  }));
  const pathWidth = Math.max(0, ...rows.map((row) => row.path.length));
  const sizeWidth = Math.max(0, ...rows.map((row) => row.size.length));
  const lines = [
    resolvedLine(resolved),
    ...rows.map(
      (row) => `  ${row.path.padEnd(pathWidth)}  ${row.size.padStart(sizeWidth)}  ${row.contentId}`,
    ),
    plannedLine(planned),
    `the layers take ${planned.size} bytes, ${planned.toTransfer} of them to transfer`,
  ];
  return `${lines.join('\n')}\n`;
}
