/**
 * ICMP errors, sent back to where the packet came from: RFC 792, RFC 1812 §4.3, RFC 4443.
 *
 *     │ IP, from this node to the source │ ICMP type, code, MTU │ the packet, as much as is allowed │
 *
 * Never about an ICMP error, a later fragment, or a packet without one source; at most
 * RATE a second.
 */
import { NO_TUNNEL } from '../layout/burst';
import { VNET_HEADER } from '../layout/memory';
import { PACKET_IS_ICMP_ERROR, PACKET_IS_LATER_FRAGMENT } from '../layout/packet';
import {
  STAT_GENERATED,
  STAT_GENERATED_SUPPRESSED,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE4,
  TABLES_NODE6,
} from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { tunnelRow } from '../table/snapshot';
import { messagePush, messageToPort } from '../transmit/message';
import { transmitFits } from '../transmit/pending';
import { Verdict } from '../verdict';
import { copyAddress, isUnspecified } from '../wire/address';
import { complement, pseudoSum, sum } from '../wire/checksum';
import { ETHERNET_LEN } from '../wire/ethernet';
import {
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HOST_UNREACHABLE,
  ICMP_LEN,
  ICMP_PORT_UNREACHABLE,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  ICMPV6_ADDRESS_UNREACHABLE,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_PORT_UNREACHABLE,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_TOO_BIG,
  ICMPV6_UNREACHABLE,
  Icmp,
} from '../wire/icmp';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, IPV6_MIN_MTU, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from '../wire/protocol';
import { Vnet } from '../wire/vnet';
import { area, headersAlloc, now } from '../worker';
import { coalesceClose } from './coalesce';
import { ENCAP_HEADROOM, encap } from './encap';
import { etherWrite } from './ether';
import { untranslate } from './translate';

/** Bytes of an IPv4 error with its quote (RFC 1812 §4.3.2.3). */
const MAX_ERROR4: u32 = 576;
/** Errors a second and worker; also the burst that is allowed after silence. */
const RATE: u32 = 1000;
const HOPS: u32 = 64;

let tokens: u32 = 0;
let refilled: u32 = 0;

function takeToken(): bool {
  const elapsed = now - refilled;
  if (elapsed !== 0) {
    tokens = <u32>min<u64>(RATE, <u64>tokens + (<u64>elapsed * RATE) / 1000);
    refilled = now;
  }
  if (tokens === 0) return false;
  tokens--;
  return true;
}

/** Tells the sender of a dropped packet, where its verdict is one that senders are told. */
export function icmpError(packet: Packet): void {
  const verdict = packet.verdict();
  const isV4 = packet.version() === 4;
  let type: u32;
  let code: u32 = 0;
  let rest: u32 = 0;
  let isFromDestination: bool = false;
  if (verdict === Verdict.TtlExpired) {
    type = isV4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED;
  } else if (verdict === Verdict.MtuExceeded) {
    type = isV4 ? ICMP_UNREACHABLE : ICMPV6_TOO_BIG;
    code = isV4 ? ICMP_FRAGMENTATION_NEEDED : 0;
    // IPv6 is never asked to go below its minimum (RFC 8200 §5).
    rest = isV4 ? packet.mtu() : max(packet.mtu(), IPV6_MIN_MTU);
  } else if (verdict === Verdict.EncapsulationLimit) {
    type = ICMPV6_PARAMETER_PROBLEM;
    rest = packet.mtu();
  } else if (verdict === Verdict.NoEndpoint || verdict === Verdict.NoRoute) {
    type = isV4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE;
    code = isV4
      ? verdict === Verdict.NoEndpoint
        ? ICMP_HOST_UNREACHABLE
        : 0
      : verdict === Verdict.NoEndpoint
        ? ICMPV6_ADDRESS_UNREACHABLE
        : 0;
  } else if (verdict === Verdict.ServiceNoEndpoint || verdict === Verdict.ServiceNoSuchPort) {
    // As a host says it that has the address and nothing at the port.
    type = isV4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE;
    code = isV4 ? ICMP_PORT_UNREACHABLE : ICMPV6_PORT_UNREACHABLE;
    isFromDestination = true;
  } else {
    return;
  }
  if (packet.has(PACKET_IS_ICMP_ERROR | PACKET_IS_LATER_FRAGMENT)) return;
  untranslate(packet);
  const from = isFromDestination ? packet.destination() : routerOf(isV4);
  if (!takeToken() || !transmitFits(1, 1) || !build(packet, from, type, code, rest)) {
    countStat(STAT_GENERATED_SUPPRESSED, 1);
    return;
  }
  countStat(STAT_GENERATED, 1);
}

/** This node in the pod network, the gateway that pods know where it has no address there. */
function routerOf(isV4: bool): usize {
  const own = area + (isV4 ? TABLES_NODE4 : TABLES_NODE6);
  return isUnspecified(own) ? area + (isV4 ? TABLES_GATEWAY4 : TABLES_GATEWAY6) : own;
}

/** `from` is the error's source. */
function build(packet: Packet, from: usize, type: u32, code: u32, rest: u32): bool {
  const isV4 = packet.version() === 4;
  const header: u32 = isV4 ? IPV4_LEN : IPV6_LEN;
  const quote = min(packet.ipLength(), (isV4 ? MAX_ERROR4 : IPV6_MIN_MTU) - header - ICMP_LEN);
  const body = ICMP_LEN + quote;
  const arena = headersAlloc(ENCAP_HEADROOM + header + body);
  if (arena === 0) return false;
  const ip = arena + ENCAP_HEADROOM;
  const icmp = ip + header;
  Icmp.at(icmp).setTypeCode(type, code);
  Icmp.at(icmp).setChecksum(0);
  Icmp.at(icmp).setRest(rest);
  memory.copy(icmp + ICMP_LEN, packet.ip(), quote);
  if (isV4) {
    store<u32>(ip, 0x0045);
    Ipv4.at(ip).setTotalLength(header + body);
    store<u32>(ip, 0, 4);
    store<u8>(ip, <u8>HOPS, 8);
    store<u8>(ip, <u8>PROTOCOL_ICMP, 9);
    store<u32>(ip, load<u32>(from, 12), 12);
    store<u32>(ip, load<u32>(packet.source(), 12), 16);
    Ipv4.at(ip).completeChecksum();
    Icmp.at(icmp).setChecksum(complement(sum(icmp, body)));
  } else {
    Ipv6.at(ip).setFirstWord(0, 0);
    Ipv6.at(ip).setPayloadLength(body);
    Ipv6.at(ip).setNextHeader(PROTOCOL_ICMPV6);
    Ipv6.at(ip).setHopLimit(HOPS);
    copyAddress(Ipv6.at(ip).source(), from);
    copyAddress(Ipv6.at(ip).destination(), packet.source());
    Icmp.at(icmp).setChecksum(complement(pseudoSum(ip + 8, 32, PROTOCOL_ICMPV6, body) + sum(icmp, body)));
  }
  if (packet.tunnel() !== NO_TUNNEL) {
    const tunnel = packet.tunnel();
    return encap(tunnelRow(area, tunnel), tunnel, ip, header + body, packet.version(), 0, packet.hash(), 0);
  }
  const frame = ip - ETHERNET_LEN;
  etherWrite(frame, packet.version(), packet.slot());
  Vnet.at(frame - VNET_HEADER).clear();
  coalesceClose();
  messagePush(
    messageToPort(packet.slot(), 0, packet.hash()),
    frame - VNET_HEADER,
    VNET_HEADER + ETHERNET_LEN + header + body,
  );
  return true;
}
