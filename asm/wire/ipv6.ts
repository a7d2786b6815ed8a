/**
 * IPv6 fixed header, RFC 8200 §3.
 *
 *      0                 4         6      7     8                 24                40
 *      ├v│traffic│ flow ─┼ payload ┼ next ┼ hop ┼──── source ─────┼── destination ──┤
 */
export const IPV6_LEN: u32 = 40;
/** Smallest link MTU (RFC 8200 §5). */
export const IPV6_MIN_MTU: u32 = 1280;

/** View of an IPv6 header. Valid where IPV6_LEN bytes are. */
@unmanaged
export class Ipv6 {
  @inline static at(p: usize): Ipv6 {
    return changetype<Ipv6>(p);
  }
  @inline version(): u32 {
    return <u32>load<u8>(changetype<usize>(this)) >> 4;
  }
  @inline trafficClass(): u32 {
    return (<u32>bswap<u16>(load<u16>(changetype<usize>(this))) >> 4) & 0xff;
  }
  @inline setEcn(ecn: u32): void {
    const p = changetype<usize>(this);
    store<u8>(p, <u8>((<u32>load<u8>(p, 1) & 0xcf) | (ecn << 4)), 1);
  }
  /** Version, traffic class and flow label at once. */
  @inline setFirstWord(trafficClass: u32, flowLabel: u32): void {
    store<u32>(
      changetype<usize>(this),
      bswap<u32>(0x60000000 | (trafficClass << 20) | (flowLabel & 0xfffff)),
    );
  }
  /** Bytes behind the fixed header; 0 of a jumbogram. */
  @inline payloadLength(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 4));
  }
  @inline setPayloadLength(bytes: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>bytes), 4);
  }
  @inline nextHeader(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 6);
  }
  @inline setNextHeader(protocol: u32): void {
    store<u8>(changetype<usize>(this), <u8>protocol, 6);
  }
  @inline hopLimit(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 7);
  }
  @inline setHopLimit(hops: u32): void {
    store<u8>(changetype<usize>(this), <u8>hops, 7);
  }
  /** Offset of the 16 bytes. */
  @inline source(): usize {
    return changetype<usize>(this) + 8;
  }
  @inline destination(): usize {
    return changetype<usize>(this) + 24;
  }
}
