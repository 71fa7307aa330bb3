import { errorLines } from '../../../src/cli/reporters/error-text.ts';
import type { BoxcarError } from '../../../src/index.ts';
import type { FaultProxy } from '../../support/fault-proxy.ts';
import { weightsSize } from './model.ts';
import type { Disturbance, Stands } from './stands.ts';
import { faultOfImage, secrets, type World } from './world.ts';

/** Of the four files and what is around them, in bytes. */
const around = 30_000;
/** Requests of a push that nothing disturbs, and a few more. */
const usualRequests = 50;

/** How the advice of a message is told from a request and a cause. */
const advice =
  /run the same command|\?$|\b(try|check|set|give|wants) |not followed|should not be used|is no URL|if it happens again/;

/** A tag is on the whole image, or not there; after a failure only where it was put before what failed. */
export function faultsOfTags(
  world: World,
  repository: string,
  failed: boolean,
  disturbances: Disturbance[],
): string[] {
  const tags = world.inspect.tags(repository);
  const wrong = (failed ? tags : ['v1', 'latest']).flatMap(
    (tag) => faultOfImage(world, repository, tag) ?? [],
  );
  const late = disturbances.some(({ step }) => /^PUT (manifest|further tag)/.test(step.name));
  return failed && tags.length > 0 && !late ? [...wrong, `tagged although it failed: ${tags}`] : wrong;
}

/** A message names the side, the request where there was one, and what to do. */
export function faultsOfMessage(text: string, side: string, disturbances: Disturbance[]): string[] {
  const [title = '', ...others] = text.split('\n');
  const sides = disturbances.map(({ step }) => (step.side === 'hub' ? 'hub' : 'registry'));
  const wrong: string[] = [];
  if (!sides.includes(side as 'hub')) wrong.push(`it blames the ${side}`);
  if (!title.includes(side)) wrong.push('the message does not name the side');
  const requests = others.filter((line) => /^ {2}(GET|HEAD|POST|PATCH|PUT) http/.test(line));
  if (requests.length !== 1 && !/\(exit 9\)/.test(title)) wrong.push('no request in the message');
  if (!others.some((line) => advice.test(line))) wrong.push('nothing says what to do');
  for (const secret of secrets) if (text.includes(secret)) wrong.push(`a secret in the message: ${secret}`);
  return wrong;
}

export function messageOf(error: BoxcarError): string {
  return errorLines(error, error.exitCode).join('\n');
}

/** No credentials beyond their origin; no byte is moved again and again, nothing asked without end. */
export function faultsOfTraffic(stands: Stands, disturbances: Disturbance[], patience: number): string[] {
  const { hub, proxy, tokenProxy, store } = stands;
  const wrong = hub.violations.map((violation) => `betrayed: ${violation}`);
  if (store.requests.some(({ headers }) => headers.authorization)) wrong.push('betrayed: the store');
  const always = disturbances.some(({ mode }) => mode === 'always');
  // Once for each fault, and once more where what had come was worth nothing.
  const times = 1 + disturbances.length + (always ? patience : 1);
  const limit = times * (weightsSize + around);
  const sent = bytesTaken(proxy) + bytesTaken(store);
  const read = hub.bytesOf.get('model.safetensors') ?? 0;
  if (sent > limit) wrong.push(`${sent} bytes sent`);
  if (read > limit) wrong.push(`${read} bytes read`);
  const requests = hub.requests.length + proxy.requests.length + tokenProxy.requests.length;
  if (requests > usualRequests + times * 20) wrong.push(`${requests} requests`);
  return wrong;
}

function bytesTaken({ requests }: FaultProxy): number {
  const patches = requests.filter(({ method }) => method === 'PATCH');
  return patches.reduce((total, { requestBytes }) => total + requestBytes, 0);
}

/** Faults on the script that were to happen once and did not. */
export function notHappened({ hub, proxy, tokenProxy }: Stands): number {
  const all = [...hub.faults, ...proxy.faults, ...tokenProxy.faults];
  return all.filter(({ times = 1 }) => times === 1).length;
}
