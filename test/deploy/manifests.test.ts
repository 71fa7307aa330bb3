import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { exitCodes } from '../../src/errors.ts';
import { parseModelReference } from '../../src/hub/model-reference.ts';
import { parseTarget } from '../../src/oci/reference.ts';
import { parsed } from './command-line.ts';
import { documents, files, find, type KubernetesDocument, readDocuments } from './documents.ts';
import { type Pod, pods } from './pods.ts';

type Spec = KubernetesDocument['spec'];

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** What no retry mends. Whatever the hub or the registry failed at, and a stop, goes on in the next pod. */
const final = [
  ...new Set(
    (['usage', 'unauthorized', 'not-found', 'tag-exists', 'content-mismatch', 'unsafe'] as const).map(
      (code) => exitCodes[code],
    ),
  ),
];

describe('boxcar takes the arguments of', () => {
  for (const { where, container, commandLines } of pods) {
    test(where, () => {
      assert.ok(commandLines.length > 0);
      if (container.command) assert.deepEqual(container.command, ['boxcar']);
      for (const [name = '', ...args] of commandLines) {
        // Nothing is left to expand, and no shell is there to do it.
        assert.doesNotMatch(args.join(' '), /[$`;|&<>*?(){}~]/);
        const { options, model, target } = parsed(name, args);
        const { revision = 'main' } = parseModelReference(model);
        assert.equal(parseTarget(target).kind, 'registry');
        // A branch may move between the starts of two pods that must agree.
        if (options.shard !== undefined || name === 'finalize') assert.match(revision, /^[0-9a-f]{40}$/);
      }
    });
  }

  test('all shards, each once', () => {
    const sharded = pods.filter(({ container }) => container.args.includes('--shard'));
    assert.deepEqual(
      sharded.map(({ where }) => where),
      ['argo/push-workflow.yaml, shard', 'kubernetes/push-job.yaml'],
    );
    for (const { commandLines } of sharded) {
      const shards = commandLines.map(([name = '', ...args]) => parsed(name, args).options.shard);
      assert.ok(shards.length > 1);
      assert.deepEqual(
        shards,
        shards.map((_, index) => `${index}/${shards.length}`),
      );
    }
  });
});

describe('the pod of', () => {
  const hasKey = (secret: string, key: string) => {
    const keys = find('Secret', secret)?.stringData ?? {};
    assert.ok(key in keys, `no key ${key} in the secret ${secret}`);
  };

  for (const { where, spec, container } of pods) {
    test(`${where} may do little`, () => {
      assert.equal(spec.automountServiceAccountToken, false);
      assert.deepEqual(spec.securityContext, {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const { secret, emptyDir } of spec.volumes) assert.ok(secret ?? emptyDir?.sizeLimit);
      assert.ok(container.resources.limits.memory);
    });

    test(`${where} finds what it names`, () => {
      for (const { serviceAccountName } of [spec, spec.executor ?? spec])
        assert.ok(find('ServiceAccount', serviceAccountName), serviceAccountName);
      for (const { secret } of spec.volumes)
        for (const { key } of secret?.items ?? []) hasKey(secret.secretName, key);
      for (const { name, valueFrom } of container.env) {
        // What stands in the arguments only is the file's own.
        const own = container.args.some((arg: string) => arg.includes(`$(${name})`));
        assert.ok(own || new RegExp(`\\b${name}\\b`).test(readme), `${name} is not in README.md`);
        if (valueFrom) hasKey(valueFrom.secretKeyRef.name, valueFrom.secretKeyRef.key);
      }
      const volumes = spec.volumes.map(({ name }: Pod['spec']) => name);
      for (const { name } of container.volumeMounts) assert.ok(volumes.includes(name), name);
    });
  }
});

describe(`no retry after ${final}`, () => {
  test('by Kubernetes', () => {
    const jobs: Spec[] = [
      find('Job', 'boxcar-push')?.spec,
      find('CronJob', 'boxcar-mirror')?.spec.jobTemplate.spec,
    ];
    for (const { template, podFailurePolicy } of jobs) {
      const [first, ...others] = podFailurePolicy.rules;
      const { name } = template.spec.containers[0];
      assert.deepEqual(first, {
        action: 'FailJob',
        onExitCodes: { containerName: name, operator: 'In', values: final },
      });
      for (const { onExitCodes } of others) assert.equal(onExitCodes, undefined);
      // Kubernetes asks for it where there is such a policy.
      assert.equal(template.spec.restartPolicy, 'Never');
    }
  });

  test('by Argo', () => {
    const workflows = documents.map(({ document }) => document).filter(({ kind }) => kind === 'Workflow');
    const retries = workflows.flatMap(({ spec }) =>
      spec.templates
        .filter(({ container }: Spec) => container)
        .map(({ retryStrategy }: Spec) => retryStrategy),
    );
    assert.equal(retries.length, 2);
    for (const { expression } of retries)
      assert.equal(expression, `asInt(lastRetry.exitCode) not in [${final.join(', ')}]`);
  });
});

test('kustomize copies the number of shards to all places that have it', () => {
  const [{ resources, replacements }] = readDocuments('kubernetes/kustomization.yaml') as [
    KubernetesDocument,
  ];
  for (const resource of resources) assert.ok(files.includes(`kubernetes/${resource}`), resource);
  const [{ source, targets }] = replacements;
  const job = find(source.kind, source.name);
  // `a.[name=b].c`: of a list the one that has the name.
  const at = (path: string) =>
    path.split('.').reduce((value: Spec, part) => {
      const [, name] = /^\[name=(\w+)\]$/.exec(part) ?? [];
      return name ? value.find((each: Spec) => each.name === name) : value[part];
    }, job);
  assert.ok(at(source.fieldPath) > 1);
  assert.deepEqual(
    targets[0].fieldPaths.map((path: string) => String(at(path))),
    [String(at(source.fieldPath)), String(at(source.fieldPath))],
  );
});
