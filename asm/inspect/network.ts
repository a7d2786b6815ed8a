/**
 * Reads an IP header as far as it can be read, malformed or not: replay shows what is
 * there, and leaves it to the parse stage to say what is wrong with it.
 */
import { HEADERS_HAS_MORE, HEADERS_IS_FRAGMENT } from '../layout/decoded';
import { copyAddress, storeMapped } from '../wire/address';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import {
  PROTOCOL_AH,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ROUTING,
} from '../wire/protocol';
import { Headers } from './headers';
import { finalDestination4, finalDestination6, homeAddress } from './routing';

const OPTION_PAD1: u32 = 0;
const OPTION_JUMBO: u32 = 194;

/** Larger packets have no length in their header (RFC 2675, Linux BIG TCP). */
export const LONGEST: u32 = 0xffff;

/** Reads the IP header at `at`, whose first four bits say which; `end` is the end of what was captured. */
export function readIp(headers: Headers, at: usize, end: usize): void {
  if (at < end && load<u8>(at) >> 4 === 6) readIpv6(headers, at, end);
  else readIpv4(headers, at, end);
}

function readIpv4(headers: Headers, at: usize, end: usize): void {
  if (at + IPV4_LEN > end) return;
  const ip = Ipv4.at(at);
  const header = ip.headerLength();
  let total = ip.totalLength();
  // Length 0: a superframe that its sender's network card would have cut up.
  if (total === 0) total = <u32>(end - at);
  if (ip.version() !== 4 || header < IPV4_LEN || total < header) return;
  headers.setL3(at);
  headers.setIp(4, ip.protocol(), ip.ttl(), ip.tos());
  storeMapped(headers.source(), ip.source());
  storeMapped(headers.destination(), ip.destination());
  headers.setFirst(at + 12);
  headers.setLast(finalDestination4(at, min<usize>(at + header, end)));
  if (ip.isFragment()) {
    headers.setFragment(
      HEADERS_IS_FRAGMENT | (ip.hasMoreFragments() ? HEADERS_HAS_MORE : 0),
      ip.fragmentOffset(),
    );
  }
  const last = min<usize>(at + total, end);
  headers.setRange(min<usize>(at + header, last), last);
}

export function readIpv6(headers: Headers, at: usize, end: usize): void {
  if (at + IPV6_LEN > end) return;
  const ip = Ipv6.at(at);
  if (ip.version() !== 6) return;
  headers.setL3(at);
  headers.setIp(6, ip.nextHeader(), ip.hopLimit(), ip.trafficClass());
  copyAddress(headers.source(), ip.source());
  copyAddress(headers.destination(), ip.destination());
  headers.setFirst(ip.source());
  headers.setLast(ip.destination());
  const payload = at + IPV6_LEN;
  const last = min<usize>(payload + payloadLength(ip, payload, end), end);
  headers.setRange(payload, last);
  readExtensions(headers, payload, last);
}

/** Bytes behind the fixed header; 0 in the header of a jumbogram, with its length in an option or without. */
function payloadLength(ip: Ipv6, payload: usize, end: usize): u32 {
  if (ip.payloadLength() !== 0) return ip.payloadLength();
  if (ip.nextHeader() === PROTOCOL_HOP_BY_HOP) {
    const jumbo = jumboLength(payload, end);
    if (jumbo !== 0) return jumbo;
  }
  const rest = <u32>(end - payload);
  return rest > LONGEST ? rest : 0;
}

/** Length in the jumbo payload option (RFC 2675 §2) of the hop-by-hop options at `at`, 0: there is none. */
function jumboLength(at: usize, end: usize): u32 {
  if (at + 8 > end) return 0;
  const last = at + ((<u32>load<u8>(at, 1) + 1) << 3);
  if (last > end) return 0;
  for (let option = at + 2; option + 6 <= last; ) {
    const type = <u32>load<u8>(option);
    if (type === OPTION_JUMBO && load<u8>(option, 1) === 4) return bswap<u32>(load<u32>(option, 2));
    option += type === OPTION_PAD1 ? 1 : 2 + <u32>load<u8>(option, 1);
  }
  return 0;
}

function readExtensions(headers: Headers, at: usize, end: usize): void {
  let next = headers.protocol();
  while (isWalked(next) && at < end) {
    if (at + 8 > end) {
      if (next !== PROTOCOL_FRAGMENT) headers.setProtocol(<u32>load<u8>(at));
      headers.setRange(end, end);
      return;
    }
    let bytes: u32 = (<u32>load<u8>(at, 1) + 1) << 3;
    if (next === PROTOCOL_AH) {
      bytes = (<u32>load<u8>(at, 1) + 2) << 2;
    } else if (next === PROTOCOL_FRAGMENT) {
      bytes = 8;
      const field = <u32>bswap<u16>(load<u16>(at, 2));
      headers.setFragment(HEADERS_IS_FRAGMENT | ((field & 1) !== 0 ? HEADERS_HAS_MORE : 0), field & 0xfff8);
    } else if (next === PROTOCOL_ROUTING && at + bytes <= end) {
      headers.setLast(finalDestination6(at, bytes, headers.last()));
    } else if (next === PROTOCOL_DESTINATION_OPTIONS && at + bytes <= end) {
      headers.setFirst(homeAddress(at, bytes, headers.first()));
    }
    next = <u32>load<u8>(at);
    headers.setProtocol(next);
    at = min<usize>(at + bytes, end);
    headers.setRange(at, end);
    // Behind the header of a later fragment stands data, not another header (RFC 8200 §4.5).
    if (headers.isLaterFragment()) return;
  }
}

function isWalked(next: u32): bool {
  return (
    next === PROTOCOL_HOP_BY_HOP ||
    next === PROTOCOL_ROUTING ||
    next === PROTOCOL_FRAGMENT ||
    next === PROTOCOL_AH ||
    next === PROTOCOL_DESTINATION_OPTIONS
  );
}
