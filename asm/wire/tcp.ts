/**
 * TCP header, RFC 9293 §3.1.
 *
 *      0        2        4          8          12    13      14       16      18       20
 *      ├ source ┼  dest ─┼ sequence ┼ ack ─────┼off│ ┼ flags ┼ window ┼ cksum ┼ urgent ┼ options …
 */
export const TCP_LEN: u32 = 20;
/** Bytes from the header's start to its checksum. */
export const TCP_CHECKSUM: u32 = 16;
export const TCP_FIN: u32 = 0x01;
export const TCP_SYN: u32 = 0x02;
export const TCP_RST: u32 = 0x04;
export const TCP_PSH: u32 = 0x08;
export const TCP_ACK: u32 = 0x10;
export const TCP_CWR: u32 = 0x80;

/** View of a TCP header. Valid where TCP_LEN bytes are and headerLength() of them, too. */
@unmanaged
export class Tcp {
  @inline static at(p: usize): Tcp {
    return changetype<Tcp>(p);
  }
  @inline sourcePort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this)));
  }
  @inline destinationPort(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  @inline sequence(): u32 {
    return bswap<u32>(load<u32>(changetype<usize>(this), 4));
  }
  @inline setSequence(sequence: u32): void {
    store<u32>(changetype<usize>(this), bswap<u32>(sequence), 4);
  }
  @inline acknowledgement(): u32 {
    return bswap<u32>(load<u32>(changetype<usize>(this), 8));
  }
  /** As on the wire, not scaled. */
  @inline window(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 14));
  }
  /** Bytes, options counted in. */
  @inline headerLength(): u32 {
    return (<u32>load<u8>(changetype<usize>(this), 12) >> 4) << 2;
  }
  @inline flags(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 13);
  }
  @inline setFlags(flags: u32): void {
    store<u8>(changetype<usize>(this), <u8>flags, 13);
  }
  /** As loaded, in memory order. */
  @inline checksum(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 16);
  }
  @inline setChecksum(field: u32): void {
    store<u16>(changetype<usize>(this), <u16>field, 16);
  }
}

/** Value of windowScale() where the option is not there. */
export const NO_SCALE: u32 = 0xff;
/** Largest shift (RFC 7323 §2.3). */
export const MAX_SCALE: u32 = 14;
const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_WINDOW_SCALE: u32 = 3;

/** Shift of the Window Scale option (RFC 7323 §2.2) of the header at `p`, or NO_SCALE. */
export function windowScale(p: usize): u32 {
  const end = p + Tcp.at(p).headerLength();
  let at = p + TCP_LEN;
  while (at + 2 < end) {
    const kind = <u32>load<u8>(at);
    if (kind === OPTION_END) break;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    if (kind === OPTION_WINDOW_SCALE) return min(<u32>load<u8>(at, 2), MAX_SCALE);
    const length = <u32>load<u8>(at, 1);
    if (length < 2) break;
    at += length;
  }
  return NO_SCALE;
}
