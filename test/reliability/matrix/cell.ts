import { BoxcarError, type PushOptions, push } from '../../../src/index.ts';
import { runBoxcar } from '../../support/run.ts';
import { model } from './model.ts';
import { type Disturbance, type Stands, standsFor } from './stands.ts';
import { faultsOfMessage, faultsOfTags, faultsOfTraffic, messageOf, notHappened } from './verdict.ts';
import { user, type World } from './world.ts';

/** What came of a push: `image`, or `exit N`; and what is not as it should be, whatever was expected. */
export interface Outcome {
  end: string;
  /** The error as the command prints it. */
  text: string;
  wrong: string[];
  /** Faults on the script that never came to happen. */
  notHappened: number;
}

let cells = 0;

/** Pushes into a repository of its own, through stand-ins of its own, while these things go wrong. */
export async function runCell(world: World, disturbances: Disturbance[], patience = 3): Promise<Outcome> {
  const repository = `cells/n${++cells}`;
  const stands = await standsFor(world, disturbances);
  try {
    const options: PushOptions & { shard?: undefined } = {
      model: model.name,
      target: `${stands.proxy.host}/${repository}:v1`,
      alsoTags: ['latest'],
      env: environment(stands),
      stateFile: false,
      plainHttp: !stands.caFile,
      // One layer after the other, so that it is always the same request that is the first of its kind.
      workers: disturbances.some(({ step }) => step.side !== 'hub') ? 1 : 4,
      backoffMs: 1,
      stallMs: 15_000,
      hfMaxRetries: patience,
      ociMaxRetries: patience,
    };
    for (const { step, fault } of disturbances) Object.assign(options, step.options, fault.options);
    const wrong: string[] = [];
    let error: unknown;
    try {
      const { manifestDigest } = await push(options);
      if (manifestDigest !== world.reference.manifestDigest) wrong.push(`another image: ${manifestDigest}`);
    } catch (thrown) {
      error = thrown;
    }
    const known = error instanceof BoxcarError ? error : undefined;
    const text = known ? messageOf(known) : String(error ?? '');
    if (known) wrong.push(...faultsOfMessage(text, known.side, disturbances));
    wrong.push(...faultsOfTags(world, repository, error !== undefined, disturbances));
    wrong.push(...faultsOfTraffic(stands, disturbances, patience));
    const end = known ? `exit ${known.exitCode}` : error ? 'thrown' : 'image';
    return { end, text, wrong, notHappened: notHappened(stands) };
  } finally {
    await stands.close();
  }
}

/** The same with the command, as a process of its own. */
export async function runCommand(world: World, disturbance: Disturbance): Promise<Outcome> {
  const repository = `cells/n${++cells}`;
  const stands = await standsFor(world, [disturbance]);
  try {
    const target = `${stands.proxy.host}/${repository}:v1`;
    const retries = ['--hf-max-retries', '1', '--oci-max-retries', '1'];
    const { HOME: home, ...env } = environment(stands) as Record<string, string>;
    const { code, stderr } = await runBoxcar(
      ['push', model.name, target, '--also-tag', 'latest', '--workers', '1', '--plain-http', ...retries],
      { env, ...(home ? { home } : {}), timeoutMs: 240_000 },
    );
    const failed = code !== 0;
    const text = failed ? stderr.slice(stderr.lastIndexOf('error: ')).trimEnd() : '';
    const side = disturbance.step.side === 'hub' ? 'hub' : 'registry';
    const wrong = failed ? faultsOfMessage(text, side, [disturbance]) : [];
    wrong.push(...faultsOfTags(world, repository, failed, [disturbance]));
    wrong.push(...faultsOfTraffic(stands, [disturbance], 1));
    return { end: failed ? `exit ${code}` : 'image', text, wrong, notHappened: notHappened(stands) };
  } finally {
    await stands.close();
  }
}

function environment({ hub, home, caFile }: Stands): NodeJS.ProcessEnv {
  const env = { HF_ENDPOINT: hub.url, HOME: home, HF_TOKEN: 'hf_good', ...user };
  return caFile ? { ...env, SSL_CERT_FILE: caFile } : env;
}
