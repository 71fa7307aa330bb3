import { BlockList, isIP, isIPv4 } from 'node:net';

/** How far away an address can be seen, the farthest first. */
const zones = ['public', 'private', 'loopback', 'link-local'] as const;
export type Zone = (typeof zones)[number];

/** IANA's special-purpose registries. What is no destination at all (multicast, documentation) is nobody's storage. */
const ranges: [Exclude<Zone, 'public'>, string[]][] = [
  // 0.0.0.0 and :: reach this machine on Linux.
  ['loopback', ['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128']],
  // Where clouds serve the credentials of a machine: also Amazon over IPv6, Alibaba, Azure's wire server.
  [
    'link-local',
    [
      '169.254.0.0/16',
      'fe80::/10',
      '224.0.0.0/4',
      'ff00::/8',
      'fd00:ec2::/32',
      '100.100.100.200/32',
      '168.63.129.16/32',
    ],
  ],
  [
    'private',
    [
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
      '192.0.0.0/24',
      '198.18.0.0/15',
      '240.0.0.0/4',
      'fc00::/7',
      'fec0::/10',
      '64:ff9b:1::/48',
    ],
  ],
];

const lists = ranges.map(([zone, subnets]) => {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', length] = subnet.split('/');
    list.addSubnet(address, Number(length), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return [zone, list] as const;
});

/** The zone of an IP address; IPv4 in IPv6 (mapped, compatible, NAT64, 6to4) is what it leads to. */
export function zoneOf(address: string): Zone {
  const inner = embedded(address) ?? address;
  const family = isIPv4(inner) ? 'ipv4' : 'ipv6';
  return lists.find(([, list]) => list.check(inner, family))?.[0] ?? 'public';
}

/** The zone of a URL's host where that is an address or `localhost`; `undefined` for a name. */
export function zoneOfHost(hostname: string): Zone | undefined {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/(.)\.$/, '$1');
  if (isIP(host)) return zoneOf(host);
  return /(^|\.)localhost$/i.test(host) ? 'loopback' : undefined;
}

/** The zone that the outermost of a host's addresses is in: one who names its host after our own gains nothing by it. */
export function outermost(addresses: string[]): Zone {
  const found = addresses.map(zoneOf);
  return zones.find((zone) => found.includes(zone)) ?? 'public';
}

/** The innermost. */
export function innermost(addresses: string[]): Zone {
  const found = addresses.map(zoneOf);
  return zones.findLast((zone) => found.includes(zone)) ?? 'public';
}

/**
 * The rule: a server may name addresses that are as public as its own, or more. A public one that names 127.0.0.1 wants
 * us to reach what it cannot; a private registry with private storage is as usual. Nobody names link-local addresses.
 */
export function mayName(from: Zone, to: Zone): boolean {
  return zones.indexOf(to) <= zones.indexOf(from);
}

/** `::ffff:7f00:1` -> `127.0.0.1`. */
function embedded(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const groups = groupsOf(address);
  const prefix = groups.slice(0, 6).join(':');
  const last = groups.slice(6);
  // Mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
  if (/^(0:0:0:0:0:ffff|0:0:0:0:ffff:0|64:ff9b:0:0:0:0)$/.test(prefix)) return dotted(last);
  // Compatible (RFC 4291, deprecated), but for :: and ::1.
  if (prefix === '0:0:0:0:0:0' && !(last[0] === '0' && Number.parseInt(last[1] ?? '0', 16) <= 1))
    return dotted(last);
  return groups[0] === '2002' ? dotted(groups.slice(1, 3)) : undefined;
}

/** All eight groups, without leading zeros, lower case. The URL parser compresses them in one way only. */
function groupsOf(address: string): string[] {
  const canonical = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const split = (text: string) => (text === '' ? [] : text.split(':'));
  if (tail === undefined) return split(head);
  const zeros = 8 - split(head).length - split(tail).length;
  return [...split(head), ...Array<string>(zeros).fill('0'), ...split(tail)];
}

function dotted(groups: string[]): string {
  return groups
    .map((group) => Number.parseInt(group, 16))
    .flatMap((value) => [value >> 8, value & 255])
    .join('.');
}
