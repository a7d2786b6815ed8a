/**
 * IPv4 header, RFC 791.
 *
 *      0     1     2       4       6           8     9      10      12       16       20
 *      ├v│ihl┼ tos ┼ total ┼  id  ─┼flags│frag ┼ ttl ┼proto─┼ cksum ┼ source ┼  dest ─┼ options …
 */
import { complement, fold, sum, sum20, updated16 } from './checksum';

export const IPV4_LEN: u32 = 20;
/** What every link carries whole (RFC 791 §3.2): the longest header and eight bytes. */
export const IPV4_MIN_MTU: u32 = 68;

/** View of an IPv4 header. Valid where IPV4_LEN bytes are and headerLength() of them, too. */
@unmanaged
export class Ipv4 {
  @inline static at(p: usize): Ipv4 {
    return changetype<Ipv4>(p);
  }
  @inline version(): u32 {
    return <u32>load<u8>(changetype<usize>(this)) >> 4;
  }
  /** Bytes, options counted in. */
  @inline headerLength(): u32 {
    return (<u32>load<u8>(changetype<usize>(this)) & 15) << 2;
  }
  @inline tos(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 1);
  }
  /** Bytes, header counted in. */
  @inline totalLength(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  @inline setTotalLength(bytes: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>bytes), 2);
  }
  @inline id(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 4));
  }
  @inline setId(id: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>id), 4);
  }
  @inline isDontFragment(): bool {
    return (load<u8>(changetype<usize>(this), 6) & 0x40) !== 0;
  }
  @inline hasMoreFragments(): bool {
    return (load<u8>(changetype<usize>(this), 6) & 0x20) !== 0;
  }
  /** First or later fragment. */
  @inline isFragment(): bool {
    return (load<u16>(changetype<usize>(this), 6) & 0xff3f) !== 0;
  }
  /** Bytes. */
  @inline fragmentOffset(): u32 {
    return (<u32>bswap<u16>(load<u16>(changetype<usize>(this), 6)) & 0x1fff) << 3;
  }
  /** Flags (DF 0x4000, MF 0x2000) and offset in 8-byte units. */
  @inline setFragment(flagsAndOffset: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>flagsAndOffset), 6);
  }
  @inline ttl(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 8);
  }
  @inline protocol(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 9);
  }
  /** As loaded, in memory order. */
  @inline checksum(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 10);
  }
  @inline isChecksumOk(): bool {
    return fold(this.sum()) === 0xffff;
  }
  /** Sum of the header, checksum counted in. */
  @inline sum(): u64 {
    const bytes = this.headerLength();
    return bytes === IPV4_LEN ? sum20(changetype<usize>(this)) : sum(changetype<usize>(this), bytes);
  }
  /** Computes and stores the header checksum. */
  @inline completeChecksum(): void {
    store<u16>(changetype<usize>(this), 0, 10);
    store<u16>(changetype<usize>(this), <u16>complement(this.sum()), 10);
  }
  /** One hop less of at least one; the checksum follows (RFC 1624). */
  @inline decrementTtl(): void {
    const p = changetype<usize>(this);
    const before = <u32>load<u16>(p, 8);
    // As loaded, the TTL is the low byte of its word.
    const after = before - 1;
    store<u16>(p, <u16>after, 8);
    store<u16>(p, <u16>updated16(<u32>load<u16>(p, 10), before, after), 10);
  }
  /** Replaces the two ECN bits; the checksum follows. */
  @inline setEcn(ecn: u32): void {
    const p = changetype<usize>(this);
    const before = <u32>load<u16>(p);
    const after = (before & 0xfcff) | (ecn << 8);
    store<u16>(p, <u16>after);
    store<u16>(p, <u16>updated16(<u32>load<u16>(p, 10), before, after), 10);
  }
  /** Four bytes as loaded. */
  @inline source(): u32 {
    return load<u32>(changetype<usize>(this), 12);
  }
  @inline destination(): u32 {
    return load<u32>(changetype<usize>(this), 16);
  }
}
