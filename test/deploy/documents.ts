import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** What every Kubernetes object has, and whatever else. */
export interface KubernetesDocument {
  apiVersion: string;
  kind: string;
  metadata: { name?: string; generateName?: string };
  // biome-ignore lint/suspicious/noExplicitAny: the schema says what is there, and is checked at run time.
  [field: string]: any;
}

const root = join(import.meta.dirname, '../../deploy');

/** The YAML files under `deploy/`, by their paths there, with `/`. */
export const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.ya?ml$/.test(file))
  .map((file) => file.split(sep).join('/'))
  .sort();

/**
 * A file's documents. kubectl reads YAML 1.1, most tools 1.2: a file must mean the same to both.
 * @throws Error on duplicate keys and whatever else is wrong with the YAML.
 */
export function readDocuments(file: string, version: '1.1' | '1.2' = '1.2'): KubernetesDocument[] {
  const text = readFileSync(join(root, file), 'utf8');
  return parseAllDocuments(text, { version, merge: false }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem) throw problem;
    return document.toJS();
  });
}

export const documents = files
  .flatMap((file) => readDocuments(file).map((document) => ({ file, document })))
  .filter(({ document }) => document.kind !== 'Kustomization');

export function find(kind: string, name: string): KubernetesDocument | undefined {
  return documents.find(({ document }) => document.kind === kind && document.metadata.name === name)
    ?.document;
}
