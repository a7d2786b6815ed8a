/**
 * GENEVE header, RFC 8926 §3.4, and its options, §3.5.
 *
 *      0            1       2          4         7          8
 *      ├ver│opt len ┼O C │ ─┼ protocol ┼── VNI ──┼(reserved)┼ options …
 *
 *      0             2      3            4
 *      ├ option class┼ type ┼ rsv│length ┼ data …          C = bit 7 of type
 */
export const GENEVE_LEN: u32 = 8;
export const GENEVE_PORT: u32 = 6081;
export const GENEVE_OPTION_LEN: u32 = 4;
/** Critical bit of an option's type. */
export const GENEVE_OPTION_CRITICAL: u32 = 0x80;

/** View of a GENEVE base header. Valid where GENEVE_LEN bytes are. */
@unmanaged
export class Geneve {
  @inline static at(p: usize): Geneve {
    return changetype<Geneve>(p);
  }
  @inline version(): u32 {
    return <u32>load<u8>(changetype<usize>(this)) >> 6;
  }
  /** Bytes of options behind the base header. */
  @inline optionsLength(): u32 {
    return (<u32>load<u8>(changetype<usize>(this)) & 0x3f) << 2;
  }
  @inline isOam(): bool {
    return (load<u8>(changetype<usize>(this), 1) & 0x80) !== 0;
  }
  @inline isCritical(): bool {
    return (load<u8>(changetype<usize>(this), 1) & 0x40) !== 0;
  }
  @inline protocol(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  @inline setProtocol(type: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>type), 2);
  }
  @inline vni(): u32 {
    return bswap<u32>(load<u32>(changetype<usize>(this), 4)) >>> 8;
  }
}

/** View of one option. Valid where GENEVE_OPTION_LEN bytes are. */
@unmanaged
export class GeneveOption {
  @inline static at(p: usize): GeneveOption {
    return changetype<GeneveOption>(p);
  }
  @inline optionClass(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this)));
  }
  /** Eight bits, the critical one counted in. */
  @inline type(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 2);
  }
  /** Bytes of data behind the option's header. */
  @inline dataLength(): u32 {
    return (<u32>load<u8>(changetype<usize>(this), 3) & 0x1f) << 2;
  }
}
