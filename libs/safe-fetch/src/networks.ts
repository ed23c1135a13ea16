import { BlockList, isIP } from 'node:net';

/**
 * IPv4 that is not the public internet: what IANA's registry calls not globally reachable, multicast, and the address
 * by which Azure's machines reach their host. The metadata services of the other clouds lie in these ranges.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml
 */
const BLOCKED_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** All of IPv6 that IANA has given out to be reached from everywhere; the rest is local, mapped, multicast or unused. */
const PUBLIC_IPV6 = ['2000::/3'];

/**
 * Within it, what is not: protocols such as Teredo, documentation, and 6to4, behind whose addresses any IPv4 may stand.
 *
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry.xhtml
 */
const BLOCKED_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const blockedIpv4 = listOf(BLOCKED_IPV4);
const publicIpv6 = listOf(PUBLIC_IPV6);
const blockedIpv6 = listOf(BLOCKED_IPV6);

/** Whether the address belongs to the public internet. What cannot be read does not. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !blockedIpv4.check(address, 'ipv4');
    case 6:
      return publicIpv6.check(address, 'ipv6') && !blockedIpv6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** Networks that a private address may stand in, by address or CIDR. */
export class Networks {
  /** One for each family: a rule of the other family would fit mapped addresses too. */
  readonly #ipv4: BlockList;
  readonly #ipv6: BlockList;

  /** @throws Error for an entry that is neither address nor CIDR */
  constructor(entries: readonly string[]) {
    this.#ipv4 = listOf(entries.filter((entry) => !entry.includes(':')));
    this.#ipv6 = listOf(entries.filter((entry) => entry.includes(':')));
  }

  includes(address: string): boolean {
    const family = isIP(address);
    if (family === 4) return this.#ipv4.check(address, 'ipv4');
    return family === 6 && this.#ipv6.check(address, 'ipv6');
  }
}

function listOf(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
