/**
 * SCTP common header, RFC 9260 §3.1.
 *
 *      0        2        4                  8          12
 *      ├ source ┼  dest ─┼ verification tag ┼ CRC-32c ─┤
 */
export const SCTP_LEN: u32 = 12;

/** View of an SCTP common header. Valid where SCTP_LEN bytes are. */
@unmanaged
export class Sctp {
  @inline static at(p: usize): Sctp {
    return changetype<Sctp>(p);
  }
  @inline sourcePort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this)));
  }
  @inline destinationPort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  /** CRC-32c, which goes on the wire in little-endian order (RFC 9260 appendix A). */
  @inline checksum(): u32 {
    return load<u32>(changetype<usize>(this), 8);
  }
}
