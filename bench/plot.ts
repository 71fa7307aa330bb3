import type { CaseReport, Report } from './report.ts';

/** A figure beside another: what everybody needs of it, by contender. */
interface Panel {
  title: string;
  bars: Bar[];
}

interface Bar {
  name: string;
  /** Whether it went over TLS. */
  tls: boolean;
  value: number;
}

const width = 860;
const left = 200;
const right = 60;
const barHeight = 16;
const groupGap = 10;
const panelGap = 44;
/** Middle greys and blues: read on white and on black alike, whatever a viewer knows of the page around it. */
const style = `
  text { font: 13px system-ui, sans-serif; fill: #6e7781; }
  .title { font-weight: 600; }
  .plain { fill: #828a94; } .tls { fill: #b0b8c1; }
  .boxcar.plain { fill: #1f7ae0; } .boxcar.tls { fill: #79b4f2; }`;

/** Wall and CPU time of everybody that brought the large files, over plain http and over TLS. The same report is the same plot. */
export function plotOf({ cases }: Report): string {
  const rows = ['speed', 'unverified', 'tls']
    .flatMap((name) => {
      const found = cases.find((each) => each.name === name);
      // Who stands beside boxcar there is drawn already.
      const own = found?.rows.filter((row) => name !== 'unverified' || isBoxcar(row)) ?? [];
      return own.map((row) => ({ row, tls: name === 'tls' }));
    })
    .toSorted((a, b) => Number(isBoxcar(b.row)) - Number(isBoxcar(a.row)));
  const panel = (title: string, of: (row: CaseReport['rows'][number]) => number | undefined): Panel => ({
    title,
    bars: rows.map(({ row, tls }) => ({ name: row.name, tls, value: of(row) ?? 0 })),
  });
  const panels = [
    panel('wall time, s', ({ wall }) => wall.median),
    panel('CPU time, s/GiB', ({ cpuPerGib }) => cpuPerGib?.median),
  ];
  let y = 30;
  const drawn: string[] = [];
  for (const each of panels) {
    const { svg, height } = draw(each, y);
    drawn.push(...svg);
    y += height + panelGap;
  }
  const height = y - panelGap + 20;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>Wall and CPU time of boxcar beside others</title>',
    `<style>${style}\n</style>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

/** @param top where its title stands. */
function draw({ title, bars }: Panel, top: number): { svg: string[]; height: number } {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const names = [...new Set(bars.map(({ name }) => name))];
  const svg = [text(0, top, title, 'title'), ...legend(top)];
  let y = top + 14;
  for (const name of names) {
    const own = bars.filter((bar) => bar.name === name);
    svg.push(
      text(left - 10, y + (own.length * barHeight) / 2 + 4, name, name === 'boxcar' ? 'title' : '', 'end'),
    );
    for (const { tls, value } of own) {
      const length = (value / most) * (width - left - right);
      const kind = `${isBoxcar({ name }) ? 'boxcar ' : ''}${tls ? 'tls' : 'plain'}`;
      svg.push(
        `<rect class="${kind}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 2}" rx="2"/>`,
        text(left + length + 6, y + barHeight - 5, value.toFixed(2)),
      );
      y += barHeight;
    }
    y += groupGap;
  }
  return { svg, height: y - groupGap - top };
}

/** With whatever options. */
function isBoxcar({ name }: { name: string }): boolean {
  return name.startsWith('boxcar');
}

function legend(y: number): string[] {
  const entry = (x: number, kind: string, label: string) => [
    `<rect class="${kind}" x="${x}" y="${y - 10}" width="12" height="12" rx="2"/>`,
    text(x + 17, y, label),
  ];
  return [...entry(left, 'plain', 'http'), ...entry(left + 70, 'tls', 'TLS on both sides')];
}

function text(x: number, y: number, content: string, kind = '', anchor = 'start'): string {
  const attributes = `${kind && ` class="${kind}"`}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`;
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${attributes}>${escaped}</text>`;
}
