/**
 * ICMP and ICMPv6, RFC 792 and RFC 4443: both begin alike.
 *
 *      0      1      2       4                 8
 *      ├ type ┼ code ┼ cksum ┼ rest of header ─┼ body …
 */
export const ICMP_LEN: u32 = 8;
/** Bytes from the header's start to its checksum. */
export const ICMP_CHECKSUM: u32 = 2;

export const ICMP_ECHO_REPLY: u32 = 0;
export const ICMP_UNREACHABLE: u32 = 3;
export const ICMP_ECHO: u32 = 8;
export const ICMP_TIME_EXCEEDED: u32 = 11;
export const ICMP_PARAMETER_PROBLEM: u32 = 12;
/** Codes of ICMP_UNREACHABLE. */
export const ICMP_HOST_UNREACHABLE: u32 = 1;
export const ICMP_PORT_UNREACHABLE: u32 = 3;
export const ICMP_FRAGMENTATION_NEEDED: u32 = 4;

export const ICMPV6_UNREACHABLE: u32 = 1;
export const ICMPV6_TOO_BIG: u32 = 2;
export const ICMPV6_TIME_EXCEEDED: u32 = 3;
export const ICMPV6_PARAMETER_PROBLEM: u32 = 4;
/** Codes of ICMPV6_UNREACHABLE. */
export const ICMPV6_ADDRESS_UNREACHABLE: u32 = 3;
export const ICMPV6_PORT_UNREACHABLE: u32 = 4;
/** First informational type; errors lie below. */
export const ICMPV6_INFORMATIONAL: u32 = 128;
export const ICMPV6_ECHO: u32 = 128;
export const ICMPV6_ECHO_REPLY: u32 = 129;

/** View of an ICMP or ICMPv6 header. Valid where ICMP_LEN bytes are. */
@unmanaged
export class Icmp {
  @inline static at(p: usize): Icmp {
    return changetype<Icmp>(p);
  }
  @inline type(): u32 {
    return <u32>load<u8>(changetype<usize>(this));
  }
  @inline code(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 1);
  }
  @inline setTypeCode(type: u32, code: u32): void {
    store<u8>(changetype<usize>(this), <u8>type);
    store<u8>(changetype<usize>(this), <u8>code, 1);
  }
  @inline setChecksum(field: u32): void {
    store<u16>(changetype<usize>(this), <u16>field, 2);
  }
  /** Identifier of an echo. */
  @inline identifier(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 4));
  }
  @inline setRest(value: u32): void {
    store<u32>(changetype<usize>(this), bswap<u32>(value), 4);
  }
}

/** An error, which quotes the packet that caused it (RFC 1122 §3.2.2, RFC 4443 §2.1). */
export function isIcmpv4Error(type: u32): bool {
  return (
    type === ICMP_UNREACHABLE ||
    type === 4 ||
    type === 5 ||
    type === ICMP_TIME_EXCEEDED ||
    type === ICMP_PARAMETER_PROBLEM
  );
}
