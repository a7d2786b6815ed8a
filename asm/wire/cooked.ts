/**
 * Linux cooked capture headers: what a capture on "any" has instead of a link-layer header,
 * https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html and …_SLL2.html.
 *
 *   v1 0       2        4         6               14         16
 *      ├ type ─┼ ARPHRD ┼ address ┼ address ──────┼ protocol ┤
 *   v2 0          2      4           8        10     11        12              20
 *      ├ protocol ┼ (0) ─┼ interface ┼ ARPHRD ┼ type ┼ address ┼ address ──────┤
 */
export const COOKED_LEN: u32 = 16;
export const COOKED2_LEN: u32 = 20;
/** ARPHRD types under which the protocol is not an EtherType (linux/if_arp.h). */
export const ARPHRD_IEEE80211_RADIOTAP: u32 = 803;
export const ARPHRD_NETLINK: u32 = 824;

/** View of a version 1 header. Valid where COOKED_LEN bytes are. */
@unmanaged
export class Cooked {
  @inline static at(p: usize): Cooked {
    return changetype<Cooked>(p);
  }
  @inline hardware(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 2));
  }
  @inline protocol(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 14));
  }
}

/** View of a version 2 header. Valid where COOKED2_LEN bytes are. */
@unmanaged
export class Cooked2 {
  @inline static at(p: usize): Cooked2 {
    return changetype<Cooked2>(p);
  }
  @inline protocol(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this)));
  }
  @inline hardware(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 8));
  }
}
