/**
 * ARP for IPv4 over Ethernet, RFC 826.
 *
 *      0       2       4   5   6       8          14         18         24         28
 *      ├ htype ┼ ptype ┼hl ┼pl ┼ oper ─┼ sender MAC ┼ sender IP ┼ target MAC ┼ target IP ┤
 */
export const ARP_LEN: u32 = 28;
export const ARP_REQUEST: u32 = 1;
export const ARP_REPLY: u32 = 2;

/** View of an ARP packet. Valid after isEthernetIpv4() where ARP_LEN bytes are. */
@unmanaged
export class Arp {
  @inline static at(p: usize): Arp {
    return changetype<Arp>(p);
  }
  /** Hardware type 1, protocol 0x0800, lengths 6 and 4. */
  @inline isEthernetIpv4(): bool {
    return (
      load<u32>(changetype<usize>(this)) === 0x00080100 && load<u16>(changetype<usize>(this), 4) === 0x0406
    );
  }
  @inline operation(): u32 {
    return <u32>bswap<u16>(load<u16>(changetype<usize>(this), 6));
  }
  @inline setOperation(operation: u32): void {
    store<u16>(changetype<usize>(this), bswap<u16>(<u16>operation), 6);
  }
  @inline senderMacLow(): u32 {
    return load<u32>(changetype<usize>(this), 8);
  }
  @inline senderMacHigh(): u32 {
    return <u32>load<u16>(changetype<usize>(this), 12);
  }
  /** Four bytes as loaded. */
  @inline senderIp(): u32 {
    return load<u32>(changetype<usize>(this), 14);
  }
  @inline targetIp(): u32 {
    return load<u32>(changetype<usize>(this), 24);
  }
  @inline setSender(macLow: u32, macHigh: u32, ip: u32): void {
    store<u32>(changetype<usize>(this), macLow, 8);
    store<u16>(changetype<usize>(this), <u16>macHigh, 12);
    store<u32>(changetype<usize>(this), ip, 14);
  }
  @inline setTarget(macLow: u32, macHigh: u32, ip: u32): void {
    store<u32>(changetype<usize>(this), macLow, 18);
    store<u16>(changetype<usize>(this), <u16>macHigh, 22);
    store<u32>(changetype<usize>(this), ip, 24);
  }
}
