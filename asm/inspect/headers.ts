/** View of one HEADERS_* group of a DECODED record (layout/decoded.ts). */
import {
  HEADERS_CHECKSUM,
  HEADERS_DESTINATION,
  HEADERS_DPORT,
  HEADERS_END,
  HEADERS_FIRST,
  HEADERS_FLAGS,
  HEADERS_FRAGMENT_OFFSET,
  HEADERS_HAS_PORTS,
  HEADERS_IS_FRAGMENT,
  HEADERS_L3,
  HEADERS_L4,
  HEADERS_LAST,
  HEADERS_PROTOCOL,
  HEADERS_SOURCE,
  HEADERS_SPORT,
  HEADERS_TOS,
  HEADERS_TTL,
  HEADERS_VERSION,
} from '../layout/decoded';

@unmanaged
export class Headers {
  @inline static at(p: usize): Headers {
    return changetype<Headers>(p);
  }
  @inline version(): u32 {
    return <u32>load<u8>(changetype<usize>(this), HEADERS_VERSION);
  }
  @inline protocol(): u32 {
    return <u32>load<u8>(changetype<usize>(this), HEADERS_PROTOCOL);
  }
  @inline setProtocol(protocol: u32): void {
    store<u8>(changetype<usize>(this), <u8>protocol, HEADERS_PROTOCOL);
  }
  @inline setIp(version: u32, protocol: u32, ttl: u32, tos: u32): void {
    const p = changetype<usize>(this);
    store<u8>(p, <u8>version, HEADERS_VERSION);
    store<u8>(p, <u8>protocol, HEADERS_PROTOCOL);
    store<u8>(p, <u8>ttl, HEADERS_TTL);
    store<u8>(p, <u8>tos, HEADERS_TOS);
  }
  /** HEADERS_IS_FRAGMENT and HEADERS_HAS_MORE bits; offset in bytes. */
  @inline setFragment(flags: u32, offset: u32): void {
    store<u8>(changetype<usize>(this), <u8>flags, HEADERS_FLAGS);
    store<u16>(changetype<usize>(this), <u16>offset, HEADERS_FRAGMENT_OFFSET);
  }
  @inline hasFragment(): bool {
    return (load<u8>(changetype<usize>(this), HEADERS_FLAGS) & <u8>HEADERS_IS_FRAGMENT) !== 0;
  }
  /** A piece of a larger packet, not the whole of one behind a fragment header (RFC 6946). */
  @inline isFragment(): bool {
    return (
      load<u8>(changetype<usize>(this), HEADERS_FLAGS) > <u8>HEADERS_IS_FRAGMENT || this.isLaterFragment()
    );
  }
  @inline isLaterFragment(): bool {
    return load<u16>(changetype<usize>(this), HEADERS_FRAGMENT_OFFSET) !== 0;
  }
  @inline hasPorts(): bool {
    return load<u8>(changetype<usize>(this), HEADERS_HAS_PORTS) !== 0;
  }
  @inline setPorts(sport: u32, dport: u32): void {
    const p = changetype<usize>(this);
    store<u8>(p, 1, HEADERS_HAS_PORTS);
    store<u16>(p, <u16>sport, HEADERS_SPORT);
    store<u16>(p, <u16>dport, HEADERS_DPORT);
  }
  @inline dport(): u32 {
    return <u32>load<u16>(changetype<usize>(this), HEADERS_DPORT);
  }
  @inline checksum(): u32 {
    return <u32>load<u8>(changetype<usize>(this), HEADERS_CHECKSUM);
  }
  @inline setChecksum(kind: u32): void {
    store<u8>(changetype<usize>(this), <u8>kind, HEADERS_CHECKSUM);
  }
  /** Offset of the 16 bytes. */
  @inline source(): usize {
    return changetype<usize>(this) + HEADERS_SOURCE;
  }
  @inline destination(): usize {
    return changetype<usize>(this) + HEADERS_DESTINATION;
  }
  @inline setL3(at: usize): void {
    store<u32>(changetype<usize>(this), <u32>at, HEADERS_L3);
  }
  @inline l4(): usize {
    return <usize>load<u32>(changetype<usize>(this), HEADERS_L4);
  }
  @inline end(): usize {
    return <usize>load<u32>(changetype<usize>(this), HEADERS_END);
  }
  @inline setRange(l4: usize, end: usize): void {
    store<u32>(changetype<usize>(this), <u32>l4, HEADERS_L4);
    store<u32>(changetype<usize>(this), <u32>end, HEADERS_END);
  }
  /** Offset of the address, 4 or 16 bytes, that stands for the source in the pseudo-header. */
  @inline first(): usize {
    return <usize>load<u32>(changetype<usize>(this), HEADERS_FIRST);
  }
  @inline last(): usize {
    return <usize>load<u32>(changetype<usize>(this), HEADERS_LAST);
  }
  @inline setFirst(at: usize): void {
    store<u32>(changetype<usize>(this), <u32>at, HEADERS_FIRST);
  }
  @inline setLast(at: usize): void {
    store<u32>(changetype<usize>(this), <u32>at, HEADERS_LAST);
  }
}
