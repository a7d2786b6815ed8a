/**
 * Link layers of captures: where the IP header begins, and the Ethernet header if there is
 * one. Numbers are LINKTYPE_ values, https://www.tcpdump.org/linktypes.html.
 */
import {
  DECODED_ETHERNET,
  DECODED_ETHERTYPE,
  DECODED_FLAGS,
  DECODED_IS_ETHERNET,
  DECODED_IS_TYPED,
  DECODED_TAGS,
  DECODED_TAGS_COUNT,
  DECODED_TAGS_MAX,
} from '../layout/decoded';
import {
  ARPHRD_IEEE80211_RADIOTAP,
  ARPHRD_NETLINK,
  COOKED_LEN,
  COOKED2_LEN,
  Cooked,
  Cooked2,
} from '../wire/cooked';
import {
  ETHERNET_LEN,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MIN,
  ETHERTYPE_QINQ,
  ETHERTYPE_QINQ_OLD,
  ETHERTYPE_VLAN,
  Ethernet,
  VLAN_LEN,
} from '../wire/ethernet';

export const LINKTYPE_NULL: u32 = 0;
export const LINKTYPE_ETHERNET: u32 = 1;
export const LINKTYPE_RAW_BSD: u32 = 12;
export const LINKTYPE_RAW_OPENBSD: u32 = 14;
export const LINKTYPE_RAW: u32 = 101;
export const LINKTYPE_LOOP: u32 = 108;
export const LINKTYPE_LINUX_SLL: u32 = 113;
export const LINKTYPE_IPV4: u32 = 228;
export const LINKTYPE_IPV6: u32 = 229;
export const LINKTYPE_LINUX_SLL2: u32 = 276;

/** Bytes of the address family before each packet of LINKTYPE_NULL and LINKTYPE_LOOP. */
const FAMILY_LEN: u32 = 4;
const AF_INET: u32 = 2;
/** AF_INET6 of NetBSD and OpenBSD, FreeBSD, and Darwin. */
const AF_INET6_NETBSD: u32 = 24;
const AF_INET6_FREEBSD: u32 = 28;
const AF_INET6_DARWIN: u32 = 30;

/**
 * Reads an Ethernet header and its tags into the record.
 * @returns offset behind them, 0 where they are cut short
 */
export function readEthernet(record: usize, at: usize, end: usize): usize {
  if (at + ETHERNET_LEN > end) return 0;
  let type = Ethernet.at(at).type();
  let l3 = at + ETHERNET_LEN;
  let tags: u32 = 0;
  while (isTag(type) && l3 + 2 <= end && tags < DECODED_TAGS_MAX) {
    store<u16>(record + DECODED_TAGS + (tags << 1), bswap<u16>(load<u16>(l3)));
    // A tag cut short in the middle still tells its VLAN.
    type = l3 + VLAN_LEN <= end ? <u32>bswap<u16>(load<u16>(l3, 2)) : 0;
    l3 += VLAN_LEN;
    tags++;
  }
  // Zero is no length of any frame; behind a tag it is a frame of none.
  const flags =
    DECODED_IS_ETHERNET | (type >= ETHERTYPE_MIN || (type === 0 && tags === 0) ? DECODED_IS_TYPED : 0);
  store<u8>(record, load<u8>(record, DECODED_FLAGS) | <u8>flags, DECODED_FLAGS);
  store<u32>(record, <u32>at, DECODED_ETHERNET);
  store<u16>(record, <u16>type, DECODED_ETHERTYPE);
  store<u16>(record, <u16>tags, DECODED_TAGS_COUNT);
  return l3;
}

/** Offset of the IP packet that a link layer other than Ethernet carries, 0 where it carries none. */
export function ipBehindLink(linkType: u32, at: usize, end: usize): usize {
  switch (linkType) {
    case LINKTYPE_RAW_BSD:
    case LINKTYPE_RAW_OPENBSD:
    case LINKTYPE_RAW:
    case LINKTYPE_IPV4:
      return isIp(at, end) ? at : 0;
    case LINKTYPE_IPV6:
      return isIp(at, end) && load<u8>(at) >> 4 === 6 ? at : 0;
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      if (at + FAMILY_LEN > end || !isIpFamily(load<u32>(at))) return 0;
      return at + FAMILY_LEN;
    case LINKTYPE_LINUX_SLL:
      if (at + COOKED_LEN > end) return 0;
      return ipBehindCooked(Cooked.at(at).hardware(), Cooked.at(at).protocol(), at + COOKED_LEN, end);
    case LINKTYPE_LINUX_SLL2:
      if (at + COOKED2_LEN > end) return 0;
      return ipBehindCooked(Cooked2.at(at).hardware(), Cooked2.at(at).protocol(), at + COOKED2_LEN, end);
    default:
      return 0;
  }
}

export function isTag(type: u32): bool {
  return type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ || type === ETHERTYPE_QINQ_OLD;
}

function isIp(at: usize, end: usize): bool {
  if (at >= end) return false;
  const version = load<u8>(at) >> 4;
  return version === 4 || version === 6;
}

/** The family is in the byte order of the machine that captured, or of the network. */
function isIpFamily(word: u32): bool {
  const family = (word & 0xffff) !== 0 ? word : bswap<u32>(word);
  return (
    family === AF_INET ||
    family === AF_INET6_NETBSD ||
    family === AF_INET6_FREEBSD ||
    family === AF_INET6_DARWIN
  );
}

function ipBehindCooked(hardware: u32, protocol: u32, at: usize, end: usize): usize {
  if (hardware === ARPHRD_NETLINK || hardware === ARPHRD_IEEE80211_RADIOTAP) return 0;
  while (isTag(protocol) && at + VLAN_LEN <= end) {
    protocol = <u32>bswap<u16>(load<u16>(at, 2));
    at += VLAN_LEN;
  }
  return protocol === ETHERTYPE_IPV4 || protocol === ETHERTYPE_IPV6 ? at : 0;
}
