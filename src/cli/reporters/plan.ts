import type { LayerAction, PlannedLayer } from '../../publish/events.ts';
import { width } from './column-text.ts';
import { bytes, counted } from './format.ts';
import { type Planned, plannedLine, type Resolved, resolvedLine } from './header.ts';
import { plain } from './plain-text.ts';

/** Columns that a path may claim of all rows: one very long one only moves its own. */
const longestPath = 64;

const actions = ['reuse', 'mount', 'resume', 'transfer'] as const satisfies LayerAction[];
const actionWidth = 'transfer'.length;

/**
 * What `boxcar plan` and `--dry-run` print: for each layer its path, the size of the file, what would happen and why;
 * then layers and bytes for each action, and the totals. Content ids are for `--json`.
 */
export function renderPlan(planned: Planned, resolved: Resolved): string {
  const lines = [
    resolvedLine(resolved),
    ...layerRows(planned.layers),
    ...actionRows(planned.layers),
    plannedLine(planned),
    `the layers take ${planned.size} bytes, ${planned.toTransfer} of them to transfer`,
  ];
  return `${lines.join('\n')}\n`;
}

function layerRows(layers: PlannedLayer[]): string[] {
  const rows = layers.map(({ path, fileSize, action, why }) => {
    const shown = plain(path);
    return { path: shown, columns: width(shown), size: bytes(fileSize), action, why: plain(why) };
  });
  const pathWidth = Math.min(longestPath, Math.max(0, ...rows.map(({ columns }) => columns)));
  const sizeWidth = Math.max(0, ...rows.map(({ size }) => size.length));
  return rows.map(({ path, columns, size, action, why }) => {
    const name = path + ' '.repeat(Math.max(0, pathWidth - columns));
    return `  ${name}  ${size.padStart(sizeWidth)}  ${action.padEnd(actionWidth)}  ${why}`.trimEnd();
  });
}

/** One row for each action that some layer has. */
function actionRows(layers: PlannedLayer[]): string[] {
  const sums = actions
    .map((action) => ({ action, of: layers.filter((layer) => layer.action === action) }))
    .filter(({ of }) => of.length > 0)
    .map(({ action, of }) => {
      const size = of.reduce((sum, layer) => sum + layer.size, 0);
      const left = of.reduce((sum, layer) => sum + layer.toTransfer, 0);
      const part = left > 0 && left < size ? `, ${bytes(left)} of it to send` : '';
      return { action, layers: counted(of.length, 'layer'), amount: bytes(size) + part };
    });
  const layersWidth = Math.max(0, ...sums.map((sum) => sum.layers.length));
  return sums.map(
    (sum) => `${sum.action.padEnd(actionWidth)}  ${sum.layers.padStart(layersWidth)}  ${sum.amount}`,
  );
}
