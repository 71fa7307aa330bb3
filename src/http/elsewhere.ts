import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { Dispatcher } from 'undici';
import { innermost, mayName, outermost, type Zone, zoneOfHost } from './zone.ts';

/** All addresses of a host name. @throws what the system's resolver says. */
export type Lookup = (hostname: string) => Promise<LookupAddress[]>;

const systemAddresses = promisify(dnsLookup);
export const systemLookup: Lookup = (hostname) => systemAddresses(hostname, { all: true });

/** A request to where a server has sent us. */
export interface NamedRequest {
  /** The origin of that server. */
  namedBy?: string;
}

/** A server has named an address that it has no business to name. */
export class AddressRefused extends Error {
  constructor(host: string, zone: Zone) {
    const article = zone === 'public' ? 'a' : `a ${zone}`;
    super(`${host} has ${article} address`);
  }
}

type Agent = Dispatcher & { destroy(): Promise<void>; close(): Promise<void> };

/**
 * Sends what a server has named through an agent of that server's own, whose connections are made to no address that the
 * server may not name. The addresses that are judged are those that are connected to: a name cannot have others a moment
 * later, nor is a connection shared with anyone who may go there. Behind a proxy names are the proxy's to look up.
 */
export function elsewhere(agent: (connect: { lookup?: LookupFunction }) => Agent, lookup: Lookup): Elsewhere {
  return new Elsewhere(agent, lookup);
}

export class Elsewhere extends Dispatcher {
  readonly #agent: (connect: { lookup?: LookupFunction }) => Agent;
  readonly #lookup: Lookup;
  /** For what was not named by anyone but the user. */
  readonly #own: Agent;
  readonly #agents = new Map<string, Agent>();

  constructor(agent: (connect: { lookup?: LookupFunction }) => Agent, lookup: Lookup) {
    super();
    this.#agent = agent;
    this.#lookup = lookup;
    this.#own = agent({});
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { namedBy, ...rest } = options as Dispatcher.DispatchOptions & NamedRequest;
    const from = namedBy === undefined ? undefined : new URL(namedBy);
    const to = new URL(String(options.origin));
    if (!from || from.hostname === to.hostname) return this.#own.dispatch(rest, handler);
    const agent = this.#agentOf(from);
    const zone = zoneOfHost(to.hostname);
    if (zone === undefined || zone === 'public') return agent.dispatch(rest, handler);
    // An address in the URL is never looked up: it is judged here.
    this.#mayName(from, zone).then(
      (may) => {
        if (may) agent.dispatch(rest, handler);
        else handler.onResponseError?.(undefined as never, new AddressRefused(to.host, zone));
      },
      (error) => handler.onResponseError?.(undefined as never, error),
    );
    return true;
  }

  /**
   * The same judgement for a connection that is made otherwise.
   * @returns how to look the host up; `undefined` for as usual. @throws AddressRefused for an address in the URL.
   */
  async lookupFor(namedBy: string | undefined, to: URL): Promise<LookupFunction | undefined> {
    const from = namedBy === undefined ? undefined : new URL(namedBy);
    if (!from || from.hostname === to.hostname) return undefined;
    const zone = zoneOfHost(to.hostname);
    if (zone !== undefined && zone !== 'public' && !(await this.#mayName(from, zone)))
      throw new AddressRefused(to.host, zone);
    return (hostname, options, done) => this.#resolve(from, hostname, options, done);
  }

  #agentOf(from: URL): Agent {
    const known = this.#agents.get(from.host);
    if (known) return known;
    const agent = this.#agent({
      lookup: (hostname, options, done) => this.#resolve(from, hostname, options, done),
    });
    this.#agents.set(from.host, agent);
    return agent;
  }

  #resolve(from: URL, hostname: string, ...[options, done]: Tail<Parameters<LookupFunction>>): void {
    const judged = async () => {
      const addresses = await this.#lookup(hostname);
      const zone = innermost(addresses.map(({ address }) => address));
      if (zone !== 'public' && !(await this.#mayName(from, zone))) throw new AddressRefused(hostname, zone);
      return addresses;
    };
    judged().then(
      (addresses) => {
        if (options.all) return done(null, addresses);
        const [first] = addresses;
        done(null, first?.address ?? '', first?.family ?? 4);
      },
      (error) => done(error, ''),
    );
  }

  /** A server whose own addresses nobody here knows, as behind a proxy, counts as a public one. */
  async #mayName(from: URL, to: Zone): Promise<boolean> {
    const written = zoneOfHost(from.hostname);
    if (written) return mayName(written, to);
    const addresses = await this.#lookup(from.hostname).catch(() => []);
    return mayName(outermost(addresses.map(({ address }) => address)), to);
  }

  override close(): Promise<void> {
    return this.#all((agent) => agent.close());
  }

  override destroy(): Promise<void> {
    return this.#all((agent) => agent.destroy());
  }

  async #all(end: (agent: Agent) => Promise<void>): Promise<void> {
    await Promise.all([this.#own, ...this.#agents.values()].map(end));
  }
}

type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;
