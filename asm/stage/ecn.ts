/**
 * Explicit congestion notification across tunnels, RFC 6040.
 *
 *     inner \ outer   Not-ECT   ECT(0)    ECT(1)    CE
 *     Not-ECT         Not-ECT   Not-ECT   Not-ECT   drop
 *     ECT(0)          ECT(0)    ECT(0)    ECT(1)    CE
 *     ECT(1)          ECT(1)    ECT(1)    ECT(1)    CE
 *     CE              CE        CE        CE        CE
 */

import { TUNNEL_FLAGS, TUNNEL_IS_ECN_COMPATIBILITY, TUNNEL_TOS } from '../layout/tables';
import { Packet } from '../packet';
import { Verdict } from '../verdict';
import { Ipv4 } from '../wire/ipv4';
import { Ipv6 } from '../wire/ipv6';

const NOT_ECT: u32 = 0;
const ECT_1: u32 = 1;
const ECT_0: u32 = 2;
const CE: u32 = 3;

/** Outer TOS of a packet with this inner one (§4.1); DSCP is the tunnel's own (RFC 2983 §3.1, pipe model). */
export function outerTos(tunnel: usize, innerTos: u32): u32 {
  const dscp = <u32>load<u8>(tunnel, TUNNEL_TOS) & 0xfc;
  return <u32>load<u16>(tunnel, TUNNEL_FLAGS) & TUNNEL_IS_ECN_COMPATIBILITY ? dscp : dscp | (innerTos & 3);
}

/** Combines outer and inner field after decapsulation (§4.2). */
export function ecnDecap(packet: Packet): void {
  const outer = packet.outerTos() & 3;
  const inner = packet.tos() & 3;
  if (outer === NOT_ECT || outer === inner) return;
  let result = inner;
  if (outer === CE) {
    if (inner === NOT_ECT) {
      packet.setVerdict(Verdict.EcnCongestion);
      return;
    }
    result = CE;
  } else if (outer === ECT_1 && inner === ECT_0) {
    result = ECT_1;
  }
  if (result === inner) return;
  if (packet.version() === 4) Ipv4.at(packet.ip()).setEcn(result);
  else Ipv6.at(packet.ip()).setEcn(result);
  packet.setTosTtl((packet.tos() & 0xfc) | result, packet.ttl());
}
