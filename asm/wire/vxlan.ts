/**
 * VXLAN header, RFC 7348 §5.
 *
 *      0       1              4              7          8
 *      ├ flags ┼ (reserved) ──┼──── VNI ─────┼(reserved)┤      flags: I = 0x08
 */
export const VXLAN_LEN: u32 = 8;
export const VXLAN_PORT: u32 = 4789;
/** Port of early Linux kernels, still flannel's default. */
export const VXLAN_PORT_LEGACY: u32 = 8472;
export const VXLAN_FLAG_VNI: u32 = 0x08;

/** View of a VXLAN header. Valid where VXLAN_LEN bytes are. */
@unmanaged
export class Vxlan {
  @inline static at(p: usize): Vxlan {
    return changetype<Vxlan>(p);
  }
  @inline hasVni(): bool {
    return (<u32>load<u8>(changetype<usize>(this)) & VXLAN_FLAG_VNI) !== 0;
  }
  @inline vni(): u32 {
    return bswap<u32>(load<u32>(changetype<usize>(this), 4)) >>> 8;
  }
}
