/**
 * Addresses as the tables know them: 16 bytes in network order, IPv4 as
 * ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that one key serves both families.
 */

/** Writes the IPv4 address `ip` (four bytes as loaded) as 16 bytes at `p`. */
export function storeMapped(p: usize, ip: u32): void {
  store<u64>(p, 0);
  store<u64>(p, 0xffff0000 | ((<u64>ip) << 32), 8);
}

/** The IPv4 address, four bytes as loaded, that the 16 bytes at `p` stand for. */
export function mappedIpv4(p: usize): u32 {
  return load<u32>(p, 12);
}

/** Copies the 16 bytes at `from` to `to`. */
export function copyAddress(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
}

export function isSameAddress(a: usize, b: usize): bool {
  return ((load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8))) === 0;
}

/** fe80::/10 at `p`. */
export function isLinkLocal(p: usize): bool {
  return (load<u16>(p) & 0xc0ff) === 0x80fe;
}

export function isUnspecified(p: usize): bool {
  return (load<u64>(p) | load<u64>(p, 8)) === 0;
}

/** A source that no routed packet may carry: 0/8, 127/8, 224/3 (RFC 1122 §3.2.1.3). `ip` as loaded. */
export function isMartianSource4(ip: u32): bool {
  const first = ip & 0xff;
  return first - 1 >= 223 || first === 127;
}

/** A destination that no routed packet may carry: 0/8, 127/8, 240/4; groups are told apart before. */
export function isMartianDestination4(ip: u32): bool {
  const first = ip & 0xff;
  return first - 1 >= 239 || first === 127;
}

/** ::, ::1, ff00::/8, or IPv4-mapped on the wire, at `p` (RFC 4291 §2.5, RFC 4942 §2.2). */
export function isMartian6(p: usize): bool {
  const low = load<u64>(p);
  const high = load<u64>(p, 8);
  if (low === 0) return high === 0 || high === 0x0100000000000000 || <u32>high === 0xffff0000;
  return <u32>load<u8>(p) === 0xff;
}
