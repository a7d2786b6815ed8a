/**
 * SCTP common header, RFC 9260 §3.1.
 *
 *      0        2        4                  8          12
 *      ├ source ┼  dest ─┼ verification tag ┼ CRC-32c ─┤
 */
export const SCTP_LEN: u32 = 12;
/** A chunk's type, flags and length (RFC 9260 §3.2). */
export const SCTP_CHUNK_LEN: u32 = 4;
export const SCTP_INIT: u32 = 1;
export const SCTP_INIT_ACK: u32 = 2;
export const SCTP_ABORT: u32 = 6;
export const SCTP_COOKIE_ACK: u32 = 11;
export const SCTP_SHUTDOWN_COMPLETE: u32 = 14;
/** Bytes of an INIT or INIT ACK before its parameters (§3.3.2). */
export const SCTP_INIT_LEN: u32 = 20;
/** ABORT, SHUTDOWN COMPLETE: the tag is the receiver's own, not the sender's peer's (§8.5.1). */
export const SCTP_FLAG_T: u32 = 1;

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
  /** As loaded, in memory order. */
  @inline tag(): u32 {
    return load<u32>(changetype<usize>(this), 4);
  }
  /** CRC-32c, which goes on the wire in little-endian order (RFC 9260 appendix A). */
  @inline checksum(): u32 {
    return load<u32>(changetype<usize>(this), 8);
  }
}
