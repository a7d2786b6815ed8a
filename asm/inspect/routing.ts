/**
 * The addresses that the sender's transport checksum covers where the IP header has others
 * for the way: the end of a source route (RFC 8200 §8.1, RFC 1122 §3.2.1.8), and the home
 * of a mobile node (RFC 6275 §6.3).
 *
 *   IPv4 option   ├ type ┼ length ┼ pointer ┼ address … ┤
 *   IPv6 routing  ├ next ┼ length ┼ type ┼ segments left ┼ (4 bytes) ┼ address … ┤
 *   IPv6 options  ├ next ┼ length ┼ type 201 ┼ 16 ┼ home address ┤
 */
const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_LOOSE_ROUTE: u32 = 131;
const OPTION_STRICT_ROUTE: u32 = 137;

const OPTION_PAD1: u32 = 0;
const OPTION_HOME_ADDRESS: u32 = 201;

const ROUTING_SOURCE: u32 = 0;
const ROUTING_MOBILE: u32 = 2;
const ROUTING_SEGMENT: u32 = 4;

/** Offset of the four bytes, in the header at `ip` or its route option; `end` is the end of the options. */
export function finalDestination4(ip: usize, end: usize): usize {
  let at = ip + 20;
  while (at + 3 <= end) {
    const type = <u32>load<u8>(at);
    if (type === OPTION_END) break;
    if (type === OPTION_NOP) {
      at++;
      continue;
    }
    const length = <u32>load<u8>(at, 1);
    if (length < 2 || at + length > end) break;
    const isRoute = type === OPTION_LOOSE_ROUTE || type === OPTION_STRICT_ROUTE;
    if (isRoute && length >= 7 && <u32>load<u8>(at, 2) <= length) return at + length - 4;
    at += length;
  }
  return ip + 16;
}

/** Offset of the sixteen bytes, in the routing header of `bytes` at `at`, or `destination`. */
export function finalDestination6(at: usize, bytes: u32, destination: usize): usize {
  const type = <u32>load<u8>(at, 2);
  const left = <u32>load<u8>(at, 3);
  if (left === 0 || bytes < 24) return destination;
  if (type === ROUTING_SOURCE || type === ROUTING_MOBILE) return at + (((bytes - 8) & ~15) - 8);
  // Segments stand in reverse order, the last one first (RFC 8754 §2).
  if (type === ROUTING_SEGMENT) return at + 8;
  return destination;
}

/** Offset of the sixteen bytes, in the destination options of `bytes` at `at`, or `source`. */
export function homeAddress(at: usize, bytes: u32, source: usize): usize {
  const end = at + bytes;
  for (let option = at + 2; option + 2 <= end; ) {
    const type = <u32>load<u8>(option);
    if (type === OPTION_PAD1) {
      option++;
      continue;
    }
    const length = <u32>load<u8>(option, 1);
    if (type === OPTION_HOME_ADDRESS && length === 16 && option + 18 <= end) source = option + 2;
    option += 2 + length;
  }
  return source;
}
