import { documents, type KubernetesDocument } from './documents.ts';

/** A container that runs boxcar, in its pod. */
export interface Pod {
  /** Where it stands, for the test's name. */
  where: string;
  spec: KubernetesDocument['spec'];
  container: KubernetesDocument['spec'];
  /** The arguments that boxcar will get: one list for each pod that is made of it. */
  commandLines: string[][];
}

/** Every container under `deploy/`, whatever it is written as. */
export const pods: Pod[] = documents.flatMap(({ file, document }) => {
  const { kind, spec } = document;
  if (kind === 'Job') return podsOf(file, spec);
  if (kind === 'CronJob') return podsOf(file, spec.jobTemplate.spec);
  return kind === 'Workflow' ? workflowPods(file, spec) : [];
});

function podsOf(file: string, job: KubernetesDocument['spec']): Pod[] {
  const { spec } = job.template;
  return spec.containers.map((container: Pod['container']) => {
    const given = Object.fromEntries(
      container.env.flatMap(({ name, value }: Record<string, string>) => (value ? [[name, value]] : [])),
    );
    // Kubernetes sets the variable in the pods of an indexed Job, and leaves alone what it has no variable for.
    const commandLines = Array.from({ length: job.completions ?? 1 }, (_, index) => {
      const indexed = job.completionMode === 'Indexed' ? { JOB_COMPLETION_INDEX: String(index) } : {};
      const variables: Record<string, string> = { ...given, ...indexed };
      return container.args.map((arg: string) =>
        arg.replace(/\$\((\w+)\)/g, (whole, name) => variables[name] ?? whole),
      );
    });
    return { where: file, spec, container, commandLines };
  });
}

function workflowPods(file: string, spec: KubernetesDocument['spec']): Pod[] {
  const values: Record<string, string> = Object.fromEntries(
    spec.arguments.parameters.map(({ name, value }: Record<string, string>) => [
      `workflow.parameters.${name}`,
      value,
    ]),
  );
  const filled = (text: string, more: Record<string, string> = {}) =>
    text.replace(/\{\{(.*?)\}\}/g, (whole, name) => ({ ...values, ...more })[name] ?? whole);
  const steps = spec.templates.flatMap((template: Pod['spec']) => template.steps?.flat() ?? []);
  return steps.map((step: Pod['spec']) => {
    const { container } = spec.templates.find(({ name }: { name: string }) => name === step.template);
    const count = step.withSequence ? Number(filled(step.withSequence.count)) : 1;
    const commandLines = Array.from({ length: count }, (_, index) => {
      const inputs = Object.fromEntries(
        (step.arguments?.parameters ?? []).map(({ name, value }: Record<string, string>) => [
          `inputs.parameters.${name}`,
          filled(value as string, { item: String(index) }),
        ]),
      );
      return container.args.map((arg: string) => filled(arg, inputs));
    });
    return { where: `${file}, ${step.template}`, spec, container, commandLines };
  });
}
