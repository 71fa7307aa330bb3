import { fit, shorten, width } from './column-text.ts';
import { bytesOf, percent, speed } from './format.ts';

/** What one line at the bottom of the terminal tells: a layer in flight, or all of them. */
export interface Row {
  mark: '>' | '';
  name: string;
  /** Bytes. */
  offset: number;
  /** Bytes. */
  size: number;
  bytesPerSecond: number;
  /** Time left, or what it waits for. */
  remark: string;
}

/** The columns of those lines on a terminal of some width. */
export interface Layout {
  /** Columns a line may take. */
  columns: number;
  /** Of the name. */
  name: number;
  /** Between the name and what follows. */
  gap: number;
  /** Of the bar, without its brackets; 0 leaves it out. */
  bar: number;
  /** Of `2.4/3.9 GB`; 0 leaves it out. */
  bytes: number;
  speed: boolean;
}

export const widestBar = 16;
const markWidth = 4;
const percentWidth = 5;
const speedWidth = '208 MB/s'.length;
const remarkWidth = '1:02:03'.length;

/** A name cut to less than this many columns tells too little; the bar and the numbers give way first. */
const enoughName = 24;

/** Columns of a name that no terminal is too narrow for: those of `all`. */
const fewest = 3;

const smallest = { gap: 2, bar: 0, bytes: 0, speed: false };

/** The fullest layout in which names still say something. `longestName` in columns, `size` of all layers in bytes. */
export function layoutFor(terminalColumns: number, longestName: number, size: number): Layout {
  // The last column stays empty: many terminals wrap when it is written.
  const columns = Math.max(10, terminalColumns - 1);
  const bytes = Math.max(11, bytesOf(size, size).length);
  const choices = [
    { gap: 4, bar: widestBar, bytes, speed: true },
    { gap: 2, bar: widestBar, bytes, speed: true },
    { gap: 2, bar: widestBar / 2, bytes, speed: true },
    { gap: 2, bar: widestBar / 2, bytes: 0, speed: true },
    { gap: 2, bar: 0, bytes: 0, speed: true },
  ];
  const room = (choice: Omit<Layout, 'columns' | 'name'>) => columns - takenBy(choice);
  const wanted = Math.min(longestName, enoughName);
  const choice = choices.find((one) => room(one) >= wanted) ?? smallest;
  return { ...choice, columns, name: Math.max(fewest, Math.min(longestName, room(choice))) };
}

function takenBy({ gap, bar, bytes, speed }: Omit<Layout, 'columns' | 'name'>): number {
  const numbers = (bytes && bytes + 3) + (speed ? speedWidth + 1 : 0);
  return markWidth + gap + (bar && bar + 3) + percentWidth + numbers + 2 + remarkWidth;
}

/** One line; `bar` draws a bar of so many columns. What it waits for is more worth telling than its speed and bytes. */
export function barLine(row: Row, layout: Layout, bar: (columns: number) => string): string {
  const start = [
    row.mark.padEnd(markWidth),
    fit(row.name, layout.name) + ' '.repeat(layout.gap),
    layout.bar > 0 ? `[${bar(layout.bar)}] ` : '',
    `${percent(row.offset, row.size)} %`.padStart(percentWidth),
  ].join('');
  const bytes = layout.bytes > 0 ? `   ${bytesOf(row.offset, row.size).padEnd(layout.bytes)}` : '';
  const pace = layout.speed ? ` ${speed(row.bytesPerSecond).padEnd(speedWidth)}` : '';
  const remark = row.remark && `  ${row.remark}`;
  const lines = [start + bytes + pace + remark, start + bytes + remark, start + remark];
  const line = lines.find((one) => width(one.trimEnd()) <= layout.columns) ?? start + remark;
  return shorten(line.trimEnd(), layout.columns);
}
