export type Labels = Readonly<Record<string, string>>;

/** One metric with its samples: of each its labels and its value. */
export interface Gauge {
  name: string;
  help: string;
  samples: [Labels, number][];
}

/**
 * Gauges in Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats), those without samples left out.
 * @param common labels that every sample has.
 */
export function prometheusText(gauges: Gauge[], common: Labels): string {
  const blocks = gauges.flatMap(({ name, help, samples }) =>
    samples.length === 0
      ? []
      : [
          `# HELP ${name} ${escaped(help)}`,
          `# TYPE ${name} gauge`,
          ...samples.map(([labels, value]) => `${seriesName(name, { ...common, ...labels })} ${value}`),
        ],
  );
  return `${blocks.join('\n')}\n`;
}

/** `name{label="value"}` */
export function seriesName(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([label, value]) => `${label}="${escaped(value).replaceAll('"', '\\"')}"`,
  );
  return `${name}{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
