import { after, before } from 'node:test';
import { type Dialect, type FakeRegistry, startFakeRegistry } from '../../support/fake-registry.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { type Hub, type HubOptions, startHub } from '../../support/hub.ts';
import type { ServerIdentity } from '../../support/listen.ts';
import { type Registry, type RegistryKind, startRegistry } from '../../support/registries.ts';

export interface RealParties {
  hub: Hub;
  /** What pushes speak to: it counts. */
  registry: FaultProxy;
  /** The registry behind it. */
  real: Registry;
}

/** A hub and a real registry for all tests of the suite that this is called in; there from its first test on. */
export function realParties(kind: RegistryKind, options: HubOptions): RealParties {
  const parties = {} as RealParties;
  before(async () => {
    parties.hub = await startHub(options);
    parties.real = await startRegistry({ kind });
    parties.registry = await startFaultProxy(parties.real.url);
  });
  after(() => Promise.all([parties.hub.close(), parties.registry.close(), parties.real.stop()]));
  return parties;
}

/** A hub and a fake registry, for one test. */
export async function fakeParties(
  t: { after(cleanup: () => unknown): void },
  options: HubOptions,
  dialect: Partial<Dialect> = {},
  server?: ServerIdentity,
): Promise<{ hub: Hub; registry: FakeRegistry }> {
  const hub = await startHub(options);
  const registry = await startFakeRegistry('distribution3', dialect, server);
  t.after(() => Promise.all([hub.close(), registry.close()]));
  return { hub, registry };
}
