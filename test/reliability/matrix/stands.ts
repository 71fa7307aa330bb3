import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startHub } from '../../support/hub.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { temporaryAuthority } from '../../support/tls.ts';
import type { MatrixFault, Places } from './matrix-fault.ts';
import { model } from './model.ts';
import type { Asked, KnownDigests, Step } from './steps.ts';
import type { World } from './world.ts';

/** One thing going wrong at one step, the first time or whenever boxcar comes to it. */
export interface Disturbance {
  step: Step;
  fault: MatrixFault;
  mode: 'once' | 'always';
}

/** Nothing is kept there. */
const home = tempDir();

/** Everything between boxcar and a real registry, for one push. */
export type Stands = Awaited<ReturnType<typeof standsFor>>;

export async function standsFor(world: World, disturbances: Disturbance[]) {
  const secure = disturbances.some(({ step, fault }) => step.tls || fault.tls)
    ? await temporaryAuthority()
    : undefined;
  const tls = secure && { tls: secure.server };
  const gated = disturbances.some(({ step }) => step.gated);
  const models = [gated ? { ...model, gated: 'auto' as const } : model];
  const hub = await startHub({ models, token: 'hf_good', pageSize: 2 });
  const proxy = await startFaultProxy(world.registry.url, tls);
  const tokenProxy = await startFaultProxy(new URL(world.tokens.realm).origin, tls);
  // An object store knows its client by the URL's signature; the registry behind this one must be shown a token.
  const newest = () => proxy.requests.findLast(({ headers }) => headers.authorization)?.headers;
  const addHeaders = () => ({ authorization: newest()?.authorization ?? '' });
  const store = await startFaultProxy(world.registry.url, { addHeaders });
  const realm = `${tokenProxy.url}/token`;
  // The registry names its token server by the address that it was started with.
  proxy.rewriteHeaders = (headers) => {
    const challenge = headers['www-authenticate']?.replace(world.tokens.realm, realm);
    return challenge ? { ...headers, 'www-authenticate': challenge } : headers;
  };
  const places: Places = { hub: hub.url, registry: proxy.url, store: store.url, realm };
  const stands = {
    hub,
    proxy,
    tokenProxy,
    store,
    places,
    home,
    caFile: secure?.caFile,
    close: () => Promise.all([hub.close(), proxy.close(), tokenProxy.close(), store.close()]),
  };
  for (const disturbance of disturbances) disturb(stands, disturbance, world.known);
  return stands;
}

type Disturbed = Pick<Stands, 'hub' | 'proxy' | 'tokenProxy' | 'places'>;

function disturb(stands: Disturbed, { step, fault, mode }: Disturbance, known: KnownDigests): void {
  const { hub, proxy, tokenProxy, places } = stands;
  const times = mode === 'once' ? 1 : Number.POSITIVE_INFINITY;
  const match = (asked: Asked) => step.match(asked, known);
  if (step.side === 'hub') {
    const action = fault.hub?.(step, places);
    if (action) hub.faults.push({ match, times, action });
  } else {
    const action = fault.registry?.(step, places);
    if (action) (step.side === 'token' ? tokenProxy : proxy).faults.push({ match, times, action });
  }
  const { after } = step;
  if (after?.hub) hub.faults.push({ match: { path: /model\.safetensors/ }, action: after.hub });
  if (after?.registry) {
    const { match: before, action } = after.registry;
    proxy.faults.push({ match: (asked) => before(asked, known), action });
  }
}
