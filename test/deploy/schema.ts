import type { KubernetesDocument } from './documents.ts';

const argo = '@kubernetes-models/argo-workflows/argoproj.io/v1alpha1';

/** What the Kubernetes API, or Argo's, has against a document; empty when nothing. */
export async function schemaErrors(document: KubernetesDocument): Promise<string[]> {
  const { apiVersion, kind } = document;
  if (kind !== 'Workflow') return against(`kubernetes-models/${apiVersion}/${kind}`, document);
  // Argo's definitions have a list of steps for an object, as no generator knows how its lists in lists are marshalled.
  const workflow = structuredClone(document);
  const errors: string[] = [];
  for (const template of workflow.spec.templates) {
    for (const step of template.steps?.flat() ?? [])
      errors.push(...(await against(`${argo}/WorkflowStep`, step)));
    delete template.steps;
  }
  return [...errors, ...(await against(`${argo}/Workflow`, workflow))];
}

/**
 * The validators are generated from the OpenAPI definitions. Types, enumerations, formats and required fields they check;
 * fields they do not know they leave alone, and never look at: so what a validator did not read is no field of the API.
 */
async function against(model: string, value: object): Promise<string[]> {
  const { [model.slice(model.lastIndexOf('/') + 1)]: Model } = await import(model);
  const read = new Set<string>();
  const errors: string[] = [];
  try {
    Model.prototype.validate.call(watched(value, '', read));
  } catch (error) {
    errors.push((error as Error).message);
  }
  return [...errors, ...unread(value, '', read).map((path) => `${path} is no field`)];
}

/** The same value; the path of each property that is read goes to `read`. */
function watched<T>(value: T, path: string, read: Set<string>): T {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, name) {
      const property = Reflect.get(target, name);
      if (typeof name === 'symbol') return property;
      read.add(`${path}/${name}`);
      return watched(property, `${path}/${name}`, read);
    },
  });
}

/** The properties nobody read, without what is in them. */
function unread(value: unknown, path: string, read: Set<string>): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, property]) => {
    const at = `${path}/${name}`;
    return read.has(at) ? unread(property, at, read) : [at];
  });
}
