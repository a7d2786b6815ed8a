/**
 * Decoded: what inspect() found in one captured packet, one record at an address that the caller chooses.
 *
 *     0          64              136             208             464              656           1160
 *     ├ tunnel, ─┼ outermost IP ─┼ the packet, ──┼ VLAN tags of ─┼ work space ────┼ GENEVE ─────┤
 *     │ link     │ and transport │ or tunnelled  │ the latter    │ (a packet row) │ options     │
 *
 * Words are little-endian host order; offsets are absolute in linear memory. TypeScript reads it and formats.
 */
export const DECODED_SIZE: u32 = 1160;

/** u32: Verdict. */
export const DECODED_VERDICT: u32 = 0;
/** u8: TUNNEL_* kind (tables.ts), 0: no tunnel. */
export const DECODED_TUNNEL: u32 = 4;
/** u8: DECODED_IS_* bits. */
export const DECODED_FLAGS: u32 = 5;
/** u16: what a GENEVE or IP header says that the tunnel carries: EtherType or IP protocol. */
export const DECODED_TUNNEL_PROTOCOL: u32 = 6;
/** u32 */
export const DECODED_VNI: u32 = 8;
/** u32: rows in DECODED_OPTIONS. */
export const DECODED_OPTIONS_COUNT: u32 = 12;
/** u32: offset of the Ethernet header of the packet, or of the tunnelled one. */
export const DECODED_ETHERNET: u32 = 16;
/** u16: EtherType behind any tags, where DECODED_IS_TYPED. */
export const DECODED_ETHERTYPE: u32 = 20;
/** u16: rows in DECODED_TAGS. */
export const DECODED_TAGS_COUNT: u32 = 22;
/** u32: Verdict on the outermost headers alone: what a kernel would say before it hands a tunnel's payload on. */
export const DECODED_OUTER_VERDICT: u32 = 24;
/** HEADERS_* group: the outermost IP header. */
export const DECODED_OUTER: u32 = 64;
/** HEADERS_* group: the IP header that the tunnel carries; without a tunnel a copy of the outermost. */
export const DECODED_INNER: u32 = 136;
/** u16 × DECODED_TAGS_MAX: tag control information (IEEE 802.1Q §9.6), outermost first. */
export const DECODED_TAGS: u32 = 208;
export const DECODED_TAGS_MAX: u32 = 128;
/** A PACKET_* row in which the parse stage of the data path works. */
export const DECODED_ROW: u32 = 464;
/** OPTION_SIZE rows. */
export const DECODED_OPTIONS: u32 = 656;

/** Has an Ethernet header at DECODED_ETHERNET. */
export const DECODED_IS_ETHERNET: u32 = 0x1;
/** The tunnel header is there in full, so that VNI, protocol and flags are known. */
export const DECODED_IS_TUNNEL_READ: u32 = 0x2;
export const DECODED_IS_OAM: u32 = 0x4;
export const DECODED_IS_CRITICAL: u32 = 0x8;
/** The Ethernet header has a type, not a length (IEEE 802.3). */
export const DECODED_IS_TYPED: u32 = 0x10;

// ---- one IP header and the transport header behind it ------------------------------------
//
//      0        1          2     3     4        6      7       8       10      12    16
//      ├ version┼ protocol ┼ ttl ┼ tos ┼ offset ┼ bits ┼ ports ┼ sport ┼ dport ┼cksum┤
//      16             32                  48   52    56     60     64
//      ├ source ──────┼ destination ──────┼ l4 ┼ end ┼ last ┼ first┼ l3 ┤ … 72
//
export const HEADERS_SIZE: u32 = 72;
/** u8: 4 or 6; 0: no readable IP header. */
export const HEADERS_VERSION: u32 = 0;
/** u8: IPv6: behind the extension headers. */
export const HEADERS_PROTOCOL: u32 = 1;
export const HEADERS_TTL: u32 = 2;
export const HEADERS_TOS: u32 = 3;
/** u16: bytes. */
export const HEADERS_FRAGMENT_OFFSET: u32 = 4;
/** u8: HEADERS_IS_* bits. */
export const HEADERS_FLAGS: u32 = 6;
/** u8: 1 where the ports are known. */
export const HEADERS_HAS_PORTS: u32 = 7;
export const HEADERS_SPORT: u32 = 8;
export const HEADERS_DPORT: u32 = 10;
/** u8: CHECKSUM_*, of TCP, UDP or SCTP. */
export const HEADERS_CHECKSUM: u32 = 12;
/** 16 bytes, network order, IPv4 as ::ffff:a.b.c.d. */
export const HEADERS_SOURCE: u32 = 16;
export const HEADERS_DESTINATION: u32 = 32;
/** u32: offset of the IP header. */
export const HEADERS_L3: u32 = 64;
/** u32: offset of what follows the IP header and its extensions. */
export const HEADERS_L4: u32 = 48;
/** u32: offset of the end of the IP packet, or of what was captured of it. */
export const HEADERS_END: u32 = 52;
/** u32: offset of the 16 or 4 bytes of the destination that checksums cover: the end of a source route. */
export const HEADERS_LAST: u32 = 56;
/** u32: offset of the 16 or 4 bytes of the source that checksums cover: the home of a mobile node. */
export const HEADERS_FIRST: u32 = 60;

/** A fragment, or an IPv6 packet with a fragment header (RFC 6946). */
export const HEADERS_IS_FRAGMENT: u32 = 0x1;
export const HEADERS_HAS_MORE: u32 = 0x2;

/** Not there, not readable, or not to be judged: fragments, and packets cut short. */
export const CHECKSUM_NONE: u32 = 0;
export const CHECKSUM_OK: u32 = 1;
/** UDP without a checksum. */
export const CHECKSUM_ZERO: u32 = 2;
/** Only the sum of the pseudo-header: a sender that leaves the rest to its network card. */
export const CHECKSUM_PARTIAL: u32 = 3;
export const CHECKSUM_BAD: u32 = 4;

// ---- one GENEVE option (RFC 8926 §3.5) -------------------------------------------------------
//
//      0       2      3          4        8
//      ├ class ┼ type ┼ critical ┼ length ┤
//
export const OPTION_SIZE: u32 = 8;
export const OPTION_CLASS: u32 = 0;
/** u8: without the critical bit. */
export const OPTION_TYPE: u32 = 2;
/** u8: 1 or 0. */
export const OPTION_IS_CRITICAL: u32 = 3;
/** u32: bytes, the option's own header counted in. */
export const OPTION_LENGTH: u32 = 4;
/** Most options that fit a GENEVE header. */
export const OPTIONS_MAX: u32 = 63;
