/**
 * virtio_net_hdr_v1 (linux/virtio_net.h), which stands before each frame of a TAP;
 * little-endian on the hosts that Overweft runs on.
 *
 *      0       1          2         4          6            8             10        12
 *      ├ flags ┼ gso type ┼ hdr len ┼ gso size ┼ csum start ┼ csum offset ┼ buffers ┤
 *
 * virtio_net_hdr_v1_hash_tunnel goes on; its offsets count from the frame's start:
 *
 *      12        20                      22                    24
 *      ├ hash ───┼ outer transport offset ┼ inner network offset ┤
 */
export const VNET_NEEDS_CSUM: u32 = 1;
export const VNET_DATA_VALID: u32 = 2;
export const VNET_GSO_NONE: u32 = 0;
export const VNET_GSO_TCPV4: u32 = 1;
export const VNET_GSO_TCPV6: u32 = 4;
export const VNET_GSO_UDP_L4: u32 = 5;
/** Added to the type: the first segment carries CWR (RFC 3168). */
export const VNET_GSO_ECN: u32 = 0x80;
/** Flag: the outer UDP header of a tunnelled superframe has a checksum to complete, too. */
export const VNET_UDP_TUNNEL_CSUM: u32 = 8;
/** Added to the type: the superframe is inside a UDP tunnel over IPv4, */
export const VNET_GSO_UDP_TUNNEL_IPV4: u32 = 0x20;
/** or over IPv6. */
export const VNET_GSO_UDP_TUNNEL_IPV6: u32 = 0x40;

/** View of a vnet header. Valid where VNET_HEADER bytes are. */
@unmanaged
export class Vnet {
  @inline static at(p: usize): Vnet {
    return changetype<Vnet>(p);
  }
  @inline flags(): u32 {
    return <u32>load<u8>(changetype<usize>(this));
  }
  @inline gsoType(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 1);
  }
  @inline gsoSize(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 4);
  }
  /** Bytes from the frame's start. */
  @inline checksumStart(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 6);
  }
  /** Bytes from checksumStart(). */
  @inline checksumOffset(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 8);
  }
  @inline clear(): void {
    store<u64>(changetype<usize>(this), 0);
    store<u32>(changetype<usize>(this), 0, 8);
  }
  @inline set(
    flags: u32,
    gsoType: u32,
    headerLength: u32,
    gsoSize: u32,
    checksumStart: u32,
    checksumOffset: u32,
  ): void {
    const p = changetype<usize>(this);
    store<u8>(p, <u8>flags);
    store<u8>(p, <u8>gsoType, 1);
    store<u16>(p, <u16>headerLength, 2);
    store<u16>(p, <u16>gsoSize, 4);
    store<u16>(p, <u16>checksumStart, 6);
    store<u16>(p, <u16>checksumOffset, 8);
    store<u16>(p, 0, 10);
  }
  /** The part behind virtio_net_hdr_v1; valid where VNET_TUNNEL_HEADER bytes are. */
  @inline setTunnel(outerTransport: u32, innerNetwork: u32): void {
    const p = changetype<usize>(this);
    store<u64>(p, 0, 12);
    store<u16>(p, <u16>outerTransport, 20);
    store<u16>(p, <u16>innerNetwork, 22);
  }
}
