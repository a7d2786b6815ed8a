/**
 * UDP header, RFC 768.
 *
 *      0        2        4        6        8
 *      ├ source ┼  dest ─┼ length ┼ cksum ─┤
 */
export const UDP_LEN: u32 = 8;
/** Bytes from the header's start to its checksum. */
export const UDP_CHECKSUM: u32 = 6;

/** View of a UDP header. Valid where UDP_LEN bytes are. */
@unmanaged
export class Udp {
  @inline static at(p: usize): Udp {
    return changetype<Udp>(p);
  }
  @inline sourcePort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this)));
  }
  @inline setSourcePort(port: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>port));
  }
  @inline destinationPort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  /** Bytes, header counted in. */
  @inline length(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 4));
  }
  @inline setLength(bytes: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>bytes), 4);
  }
  /** As loaded, in memory order; 0: none was computed. */
  @inline checksum(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 6);
  }
  @inline setChecksum(field: u32): void {
    store<u16>(changetype<usize>(this), <u16>field, 6);
  }
}
