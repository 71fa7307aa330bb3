import assert from 'node:assert/strict';

/**
 * The samples of a metrics file, by name and labels, once it is what the text format and its linter ask for: HELP and TYPE
 * before the samples of each metric, each sample once, nothing of a counter about a gauge.
 */
export function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const metrics = new Set<string>();
  let metric = '';
  assert.ok(text.endsWith('\n'));
  const lines = text.slice(0, -1).split('\n');
  lines.forEach((line, i) => {
    const [, help] = /^# HELP (boxcar_[a-z_]+) \S.*\.$/.exec(line) ?? [];
    if (help !== undefined) {
      metric = help;
      assert.ok(!metrics.has(metric) && !/_(total|count|sum|bucket)$/.test(metric), line);
      metrics.add(metric);
      assert.equal(lines[i + 1], `# TYPE ${metric} gauge`);
      return;
    }
    if (line.startsWith('# TYPE ')) return;
    const [, series = '', name, value] =
      /^((boxcar_[a-z_]+)\{(?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)*\}) (-?[0-9.e+]+)$/.exec(line) ?? [];
    assert.equal(name, metric, line);
    assert.ok(!samples.has(series), line);
    samples.set(series, Number(value));
  });
  return samples;
}

/** A sample's value, by the metric's name and the labels that only some of its samples have. */
export function sample(text: string, name: string, ...labels: string[]): number | undefined {
  const found = [...samplesOf(text)].filter(
    ([series]) => series.startsWith(`${name}{`) && labels.every((label) => series.includes(label)),
  );
  assert.ok(found.length <= 1, `${name} ${labels}: ${found}`);
  return found[0]?.[1];
}
