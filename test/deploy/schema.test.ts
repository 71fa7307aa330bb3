import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { documents, files, find, type KubernetesDocument, readDocuments } from './documents.ts';
import { schemaErrors } from './schema.ts';

test('a file means the same to readers of YAML 1.1 and 1.2', () => {
  assert.ok(files.length >= 6);
  for (const file of files) assert.deepEqual(readDocuments(file, '1.1'), readDocuments(file));
});

describe("fits the API's schema", () => {
  for (const { file, document } of documents) {
    test(`${file}: ${document.kind}`, async () => assert.deepEqual(await schemaErrors(document), []));
  }
});

describe('the schema takes no', () => {
  type Change = (spec: KubernetesDocument['spec']) => void;
  const cases = (document: KubernetesDocument | undefined, changes: Record<string, [Change, RegExp]>) => {
    for (const [what, [change, why]] of Object.entries(changes)) {
      test(what, async () => {
        assert.ok(document);
        const changed = structuredClone(document);
        change(changed.spec);
        assert.match((await schemaErrors(changed)).join('\n'), why);
      });
    }
  };

  cases(find('Job', 'boxcar-push'), {
    'unknown field': [
      (spec) => {
        spec.backoffLimitPerindex = 6;
      },
      /^\/spec\/backoffLimitPerindex is no field$/,
    ],
    'unknown field deep inside': [
      ({ template }) => {
        template.spec.containers[0].arg = ['push'];
      },
      /^\/spec\/template\/spec\/containers\/0\/arg is no field$/,
    ],
    'other word': [
      ({ podFailurePolicy }) => {
        podFailurePolicy.rules[0].action = 'FailAll';
      },
      /\/action /,
    ],
    'text for a number': [
      (spec) => {
        spec.completions = '8';
      },
      /\/completions /,
    ],
    'number for a text': [
      ({ template }) => {
        template.spec.containers[0].env[0].value = 8;
      },
      /\/value /,
    ],
    'unit of its own': [
      ({ template }) => {
        template.spec.containers[0].resources.limits.memory = '512MB';
      },
      /\/memory /,
    ],
    'missing field': [
      (spec) => {
        delete spec.template;
      },
      /template/,
    ],
  });

  cases(documents.find(({ document }) => document.kind === 'Workflow')?.document, {
    "unknown field of Argo's": [
      ({ templates }) => {
        templates[1].retryStrategy.limits = '3';
      },
      /\/limits is no field$/,
    ],
    'unknown field of a step': [
      ({ templates }) => {
        templates[0].steps[0][0].withCount = '8';
      },
      /\/withCount is no field$/,
    ],
    "other word of Argo's": [
      ({ templates }) => {
        templates[1].retryStrategy.retryPolicy = ['Always'];
      },
      /\/retryPolicy /,
    ],
  });
});
