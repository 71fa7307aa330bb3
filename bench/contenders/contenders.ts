import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { boxcar } from './boxcar.ts';
import { type Contender, type Job, repository } from './contender.ts';

/** The bench's hub offers no Xet; and nothing else on the network is asked for news, which would be measured as well. */
const hubLibrary = {
  HF_HUB_DISABLE_XET: '1',
  HF_HUB_DISABLE_TELEMETRY: '1',
  HF_HUB_DISABLE_UPDATE_CHECK: '1',
};

export const contenders: Contender[] = [
  boxcar,
  {
    name: 'hf+oras',
    missing: () => missingPrograms('hf', 'oras'),
    command: (job) => ({ argv: ['bash', script('hf-oras.sh')], env: downloadEnvironment(job) }),
  },
  {
    name: 'hf+modctl',
    missing: () => missingPrograms('hf', 'modctl'),
    command: (job) => ({ argv: ['bash', script('hf-modctl.sh')], env: downloadEnvironment(job) }),
  },
  {
    name: 'oci-modelcar',
    missing: () => missingPrograms('oci-modelcar'),
    command: ({ hub, registryUrl, caFile, workers, directory }) => ({
      argv: [
        ...['oci-modelcar', 'push', '--hf-repo', hub.model, '--hf-endpoint', hub.hubUrl],
        ...['--registry', registryUrl, '--target-repo', repository, '--target-tag', 'bench'],
        ...['--workers', `${workers}`, '--spool-dir', join(directory, 'spool')],
      ],
      env: {
        HF_ENDPOINT: hub.hubUrl,
        ...hubLibrary,
        ...trusting(caFile, 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE'),
      },
    }),
  },
  {
    name: 'shell-pipe',
    missing: () => missingPrograms('curl', 'sha256sum', 'mkfifo', 'xargs'),
    command: (job) => ({
      argv: ['bash', script('pipe.sh'), ...job.hub.files.map(({ path }) => path)],
      env: { ...streamEnvironment(job), ...trusting(job.caFile, 'CURL_CA_BUNDLE') },
    }),
  },
  {
    name: 'naive-node',
    missing: () => undefined,
    command: (job) => ({
      argv: [process.execPath, script('naive.ts'), ...job.hub.files.map(({ path }) => path)],
      env: { ...streamEnvironment(job), ...trusting(job.caFile, 'NODE_EXTRA_CA_CERTS') },
    }),
  },
];

/** For those that download to disk first. */
function downloadEnvironment({ hub, registryUrl, caFile, workers }: Job): Record<string, string> {
  const { host, protocol } = new URL(registryUrl);
  return {
    HF_ENDPOINT: hub.hubUrl,
    ...hubLibrary,
    MODEL: hub.model,
    COMMIT: hub.commit,
    TARGET: `${host}/${repository}:bench`,
    WORKERS: `${workers}`,
    ...(protocol === 'http:' && { PLAIN_HTTP: '1' }),
    ...trusting(caFile, 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE'),
  };
}

/** For those that bring single files into the registry by its protocol; none of them writes a manifest. */
function streamEnvironment({ hub, registryUrl, workers }: Job): Record<string, string> {
  return {
    HUB: `${hub.hubUrl}/${hub.model}/resolve/${hub.commit}`,
    REGISTRY: `${registryUrl}/v2/${repository}`,
    WORKERS: `${workers}`,
  };
}

function trusting(caFile: string | undefined, ...variables: string[]): Record<string, string> {
  return caFile === undefined ? {} : Object.fromEntries(variables.map((name) => [name, caFile]));
}

function script(name: string): string {
  return join(import.meta.dirname, name);
}

function missingPrograms(...names: string[]): string | undefined {
  const absent = names.filter(
    (name) => spawnSync('sh', ['-c', 'command -v "$0"', name], { stdio: 'ignore' }).status !== 0,
  );
  return absent.length > 0 ? `not on PATH: ${absent.join(', ')} (bench/README.md)` : undefined;
}
