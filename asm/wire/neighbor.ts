/**
 * Neighbour discovery over ICMPv6, RFC 4861 §4.3 and §4.4, with the one link-layer
 * address option that Ethernet needs (§4.6.1).
 *
 *      0      1      2       4                 8                  24     25     26          32
 *      ├ type ┼ code ┼ cksum ┼ R S O │ (zero) ─┼ target address ──┼ type ┼len 1 ┼── MAC ────┤
 */
export const NEIGHBOR_LEN: u32 = 24;
/** With the link-layer address option. */
export const NEIGHBOR_ADVERTISEMENT_LEN: u32 = 32;
export const ROUTER_SOLICITATION: u32 = 133;
export const ROUTER_ADVERTISEMENT: u32 = 134;
export const NEIGHBOR_SOLICITATION: u32 = 135;
export const NEIGHBOR_ADVERTISEMENT: u32 = 136;
export const REDIRECT: u32 = 137;
/** Hop limit of every such packet: it has crossed no router (§7.1). */
export const NEIGHBOR_HOP_LIMIT: u32 = 255;
/** Option with the sender's link-layer address. */
export const OPTION_SOURCE_LINK_LAYER: u32 = 1;
/** Option with the target's link-layer address. */
export const OPTION_TARGET_LINK_LAYER: u32 = 2;
export const NEIGHBOR_ROUTER: u32 = 0x80000000;
export const NEIGHBOR_SOLICITED: u32 = 0x40000000;
export const NEIGHBOR_OVERRIDE: u32 = 0x20000000;

/** View of a neighbour solicitation or advertisement. Valid where NEIGHBOR_LEN bytes are. */
@unmanaged
export class Neighbor {
  @inline static at(p: usize): Neighbor {
    return changetype<Neighbor>(p);
  }
  @inline setFlags(flags: u32): void {
    store<u32>(changetype<usize>(this), bswap<u32>(flags), 4);
  }
  /** Offset of the 16 bytes. */
  @inline target(): usize {
    return changetype<usize>(this) + 8;
  }
  @inline setLinkLayerOption(type: u32, macLow: u32, macHigh: u32): void {
    store<u16>(changetype<usize>(this), <u16>(type | 0x100), 24);
    store<u32>(changetype<usize>(this), macLow, 26);
    store<u16>(changetype<usize>(this), <u16>macHigh, 30);
  }
}
