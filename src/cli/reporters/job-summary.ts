import type { BoxcarError } from '../../errors.ts';
import type { LayerResult, PublishResult, ShardResult } from '../../publish/events.ts';
import { errorLines } from './error-text.ts';
import { bytes, counted, duration } from './format.ts';
import { outcomeSums, remarks } from './outcomes.ts';
import { plain } from './plain-text.ts';

/** Rows of the list of layers: GitHub takes 1 MiB a step, of all its commands together. */
const mostRows = 200;

/** What a push has done, as Markdown for the page of a GitHub run (`$GITHUB_STEP_SUMMARY`). */
export function jobSummary(result: PublishResult | ShardResult): string {
  const shard = 'shard' in result ? `Shard ${entities(plain(result.shard))} of ` : '';
  const facts = [
    ['model', `${code(result.model)} at ${code(result.commit)}`],
    ...('shard' in result ? [] : [['image', code(result.imageRefDigest)]]),
    ...(result.tags.length > 0 ? [['tags', result.tags.map(code).join(', ')]] : []),
    ['time', [duration(result.totals.seconds), ...remarks(result)].join('; ')],
  ];
  return `### ${shard}${code(result.imageRef)}

${facts.map(([name, text]) => `- ${name}: ${text}`).join('\n')}

${outcomeTable(result)}

<details><summary>${counted(result.layers.length, 'layer')}</summary>

${layerTable(result.layers)}

</details>
`;
}

/** What became of a push that failed: the lines that the log has, and the layers that are there. */
export function failureSummary(
  error: BoxcarError,
  exitCode: number,
  known: Partial<PublishResult> = {},
): string {
  const name = known.imageRef ?? known.model;
  const settled = known.layers?.length ? `\nLayers that came through: ${known.layers.length}\n` : '';
  // In a block of <pre> nothing is Markdown.
  return `### ${error.code === 'stopped' ? 'Stopped' : 'Failed'}${name === undefined ? '' : `: ${code(name)}`}

<pre>
${errorLines(error, exitCode).map(html).join('\n')}
</pre>
${settled}`;
}

function outcomeTable(result: PublishResult | ShardResult): string {
  const sums = outcomeSums(result);
  const amount = (count: number) => (count > 0 ? bytes(count) : '');
  const row = (name: string, layers: number, there: number, sent: number) =>
    `| ${name} | ${layers} | ${amount(there)} | ${amount(sent)} |`;
  const total = (value: 'there' | 'sent') => sums.reduce((sum, each) => sum + each[value], 0);
  return [
    '| | layers | was there | sent |',
    '|---|--:|--:|--:|',
    ...sums.map(({ outcome, layers, there, sent }) => row(outcome, layers, there, sent)),
    row('all', result.totals.layers, total('there'), total('sent')),
  ].join('\n');
}

/** The layers that cost most come first, the others in the image's order. */
function layerTable(layers: LayerResult[]): string {
  const sorted = [...layers].sort((a, b) => b.bytesSent - a.bytesSent);
  const rest = sorted.slice(mostRows);
  const restSize = rest.reduce((sum, { size }) => sum + size, 0);
  return [
    '| path | size | |',
    '|---|--:|---|',
    ...sorted
      .slice(0, mostRows)
      .map(({ path, size, outcome }) => `| ${code(path)} | ${bytes(size)} | ${outcome} |`),
    ...(rest.length > 0 ? [`| and ${counted(rest.length, 'more layer')} | ${bytes(restSize)} | |`] : []),
  ].join('\n');
}

/**
 * Text from elsewhere in fixed-width letters. Not a code span: that of a cell of a table has two sorts of escapes, which
 * readers of Markdown take in different orders. An entity is text to all of them, whatever stands around it.
 */
function code(text: string): string {
  return `<code>${entities(plain(text))}</code>`;
}

/** Letters, digits and what neither Markdown nor HTML acts on stay; a colon before a slash would make a link. */
function entities(text: string): string {
  return text.replace(/[^\p{L}\p{N} ./:-]|:(?=\/)/gu, (letter) => `&#${letter.codePointAt(0)};`);
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
