import type { PushOptions } from '../../../src/index.ts';
import type { ProxyFault } from '../../support/fault-proxy.ts';
import type { HubFault } from '../../support/hub/faults.ts';
import type { Step } from './steps.ts';

/** Where the stand-ins of one cell are. */
export interface Places {
  hub: string;
  /** The proxy before the registry. */
  registry: string;
  /** Another origin of the same registry, as an object store would be. */
  store: string;
  /** The token server's realm. */
  realm: string;
}

/** One thing that can go wrong. Where a side or a step is not named it cannot happen there. */
export interface MatrixFault {
  name: string;
  hub?: (step: Step, places: Places) => HubFault | undefined;
  registry?: (step: Step, places: Places) => ProxyFault | undefined;
  /** Cannot go on for ever: every attempt brings a byte, or it ends the push as it is. */
  onceOnly?: (step: Step) => boolean;
  options?: Partial<PushOptions>;
  /** The proxy before the registry speaks TLS. */
  tls?: boolean;
}
