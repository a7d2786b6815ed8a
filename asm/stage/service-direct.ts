/**
 * Service direct: a connection to an endpoint itself, from a port from which the client also speaks to it by a Service.
 *
 *     client, p ──► Service          ═►  client, p  ──► endpoint     has these ends in the flow table
 *     client, p ──► endpoint         ═►  client, p′ ──► endpoint     found beside it
 *
 * The client may have both, since they differ for it; the endpoint could not tell them apart, and nobody their answers. The
 * second gets another source port, as Linux' conntrack gives it one (nf_nat_used_tuple, net/netfilter/nf_nat_core.c). In the
 * other order the connection by the Service gets it (findFree).
 */
import { FLOW_IS_CLOSED, FLOW_OPORT, FLOW_STATE } from '../layout/flows';
import { PACKET_IS_FOR_SERVICE } from '../layout/packet';
import { Packet } from '../packet';
import { flowBeside, flowsBeside, isExpired } from '../table/flow';
import { receivedOf } from '../table/received';
import { Verdict } from '../verdict';
import { hashFlow } from './parse';
import { findFree } from './service-source';
import { keepReceived, setEnds, translate } from './translate';

/** Leads a packet past Services whose ends `taken` has, the flow of a connection by one, to a flow of its own. */
export function direct(packet: Packet, taken: usize): void {
  const known = flowBeside(taken);
  if (known === 0 && isOver(taken)) return;
  keepReceived(packet);
  if (known !== 0) {
    packet.setPortPair(load<u32>(known, FLOW_OPORT));
    hashFlow(packet);
    packet.setFlow(known);
  } else {
    const received = receivedOf(packet);
    if (!findFree(packet, received, true)) {
      setEnds(packet, received);
      packet.setVerdict(Verdict.ServiceNoSourcePort);
      return;
    }
    // Its flow is there already where the other has begun anew.
    if (packet.flow() !== 0) flowsBeside(taken, packet.flow());
  }
  translate(packet);
  packet.addFlags(PACKET_IS_FOR_SERVICE);
  packet.setFront(taken);
}

/** Whether the entry is free for whoever asks for a connection between its ends. */
function isOver(flow: usize): bool {
  return isExpired(flow) || <u32>load<u8>(flow, FLOW_STATE) >= FLOW_IS_CLOSED;
}
