/**
 * Ethernet II header, IEEE 802.3; 802.1Q tags stand between source and type.
 *
 *      0                 6                 12      14
 *      ├── destination ──┼──── source ─────┼─ type ┤
 */
export const ETHERNET_LEN: u32 = 14;
/** Bytes of one 802.1Q or 802.1ad tag. */
export const VLAN_LEN: u32 = 4;
/** Values below are lengths of 802.3 frames. */
export const ETHERTYPE_MIN: u32 = 0x0600;
export const ETHERTYPE_IPV4: u32 = 0x0800;
export const ETHERTYPE_ARP: u32 = 0x0806;
export const ETHERTYPE_VLAN: u32 = 0x8100;
export const ETHERTYPE_IPV6: u32 = 0x86dd;
export const ETHERTYPE_QINQ: u32 = 0x88a8;
/** QinQ before 802.1ad. */
export const ETHERTYPE_QINQ_OLD: u32 = 0x9100;
/** Transparent Ethernet bridging: an Ethernet frame follows (RFC 8926 §3.4). */
export const ETHERTYPE_TEB: u32 = 0x6558;

/** Whether the six bytes at each are the same. Two more are read behind them. */
export function isSameMac(a: usize, b: usize): bool {
  return (load<u64>(a) ^ load<u64>(b)) << 16 === 0;
}

/** View of an Ethernet header. Valid where ETHERNET_LEN bytes are. */
@unmanaged
export class Ethernet {
  @inline static at(p: usize): Ethernet {
    return changetype<Ethernet>(p);
  }
  @inline type(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 12));
  }
  @inline setType(type: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>type), 12);
  }
  /** First four bytes of the destination, as loaded. */
  @inline destinationLow(): u32 {
    return load<u32>(changetype<usize>(this));
  }
  /** Last two bytes of the destination, as loaded. */
  @inline destinationHigh(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 4);
  }
  @inline sourceLow(): u32 {
    return load<u32>(changetype<usize>(this), 6);
  }
  @inline sourceHigh(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 10);
  }
  @inline setDestination(low: u32, high: u32): void {
    store<u32>(changetype<usize>(this), low);
    store<u16>(changetype<usize>(this), <u16>high, 4);
  }
  /** Whether the destination is the MAC at `mac`; see isSameMac(). */
  @inline isTo(mac: usize): bool {
    return isSameMac(changetype<usize>(this), mac);
  }
  @inline isFrom(mac: usize): bool {
    return isSameMac(changetype<usize>(this) + 6, mac);
  }
  /** Copies both from the MACs at `destination` and `source`, and writes the type. Two bytes are read behind each. */
  @inline write(destination: usize, source: usize, type: u32): void {
    const p = changetype<usize>(this);
    store<u64>(p, load<u64>(destination));
    store<u64>(p, load<u64>(source), 6);
    this.setType(type);
  }
  @inline setSource(low: u32, high: u32): void {
    store<u32>(changetype<usize>(this), low, 6);
    store<u16>(changetype<usize>(this), <u16>high, 10);
  }
  /** Multicast or broadcast destination. */
  @inline isGroup(): bool {
    return (load<u8>(changetype<usize>(this)) & 1) !== 0;
  }
}
