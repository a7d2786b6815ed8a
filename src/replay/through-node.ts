/**
 * A captured packet's way through a node:
 *
 *     tunnel packet to the node   ──► ingress: what a socket would have received
 *     from a local pod            ──► egress: what the pod's TAP would have received
 *     from the node to a pod      ──► egress: what the node's TAP would have received
 *     anything else               is none of this node's business
 */
import {
  RX_DATAGRAM_FLAGS,
  RX_DATAGRAM_LENGTH,
  RX_DATAGRAM_OFFSET,
  RX_DATAGRAM_SEGMENT,
  RX_DATAGRAM_SLOT,
  RX_DATAGRAM_SOURCE,
  RX_DATAGRAM_SPORT,
  RX_DATAGRAM_TOS,
} from '../../asm/layout/burst.ts';
import {
  DECODED_OUTER,
  DECODED_OUTER_VERDICT,
  HEADERS_END,
  HEADERS_FLAGS,
  HEADERS_IS_FRAGMENT,
  HEADERS_L3,
  HEADERS_L4,
  HEADERS_SOURCE,
  HEADERS_TOS,
} from '../../asm/layout/decoded.ts';
import {
  CONTROL_CLOCK,
  DATAGRAM_HEADROOM,
  MAX_DATAGRAM,
  MAX_FRAME,
  VNET_HEADER,
  WORKER_DATAGRAM_ARENA,
  WORKER_PACKETS,
  WORKER_RX_DATAGRAMS,
} from '../../asm/layout/memory.ts';
import { PACKET_VERDICT } from '../../asm/layout/packet.ts';
import { Verdict } from '../../asm/verdict.ts';
import type { CapturedPacket } from '../capture-file/packet.ts';
import { workerBase } from '../dataplane/memory.ts';
import { verdictNames } from '../dataplane/statistics.ts';
import type { TablePort } from '../dataplane/tables.ts';
import { parseAddress } from '../net/address.ts';
import { formatMac } from '../net/mac.ts';
import { contains } from '../net/prefix.ts';
import type { Decoded } from './decoded.ts';
import { type DecodedRecord, PACKET } from './inspector.ts';
import { type ReplayNode, socketSlots } from './node.ts';
import { type Sent, sentPackets } from './sent.ts';
import { takeFrame } from './take-frame.ts';

const ETHERNET = 1;
const ETHERNET_LEN = 14;
const UDP_LEN = 8;
const IPPROTO_UDP = 17;
const IPPROTO_IPIP = 4;
const IPPROTO_TCP = 6;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
/** struct virtio_net_hdr_v1, linux/virtio_net.h. */
const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;

/** What becomes of a packet at a node. */
export interface Outcome extends Pick<Decoded, 'verdict' | 'reason'> {
  readonly sent: readonly Sent[];
}

/** Takes packets through a node, one after another: connections that it sees begin are known later on. */
export class NodeWay {
  readonly #node: ReplayNode;
  readonly #ownAddresses: ReadonlySet<string>;
  readonly #portsByMac: ReadonlyMap<string, TablePort>;
  readonly #portsByAddress: ReadonlyMap<string, TablePort>;
  readonly #nodePort: TablePort;

  constructor(node: ReplayNode) {
    const { config, desired, ports } = node;
    this.#node = node;
    this.#ownAddresses = new Set(config.underlay.addresses.map(({ text }) => text));
    const pods = ports.filter(({ pod }) => pod !== undefined);
    this.#portsByMac = new Map(pods.map((port) => [formatMac(port.mac), port]));
    this.#portsByAddress = new Map(
      pods.flatMap((port) =>
        (desired.localPods.get(port.pod as string)?.addresses ?? []).map(({ text }) => [text, port] as const),
      ),
    );
    this.#nodePort = ports.find(({ kind }) => kind === 'node') as TablePort;
  }

  /** @returns undefined where the packet does not concern this node, or where its kernel would not hand it on */
  take(packet: CapturedPacket, record: DecodedRecord, decoded: Decoded): Outcome | undefined {
    const { memory } = this.#node;
    if (packet.data.length < packet.original) return undefined;
    memory.view.setUint32(CONTROL_CLOCK, Number(((packet.time ?? 0n) / 1_000_000n) & 0xffffffffn), true);
    if (decoded.tunnel && decoded.outer && this.#ownAddresses.has(decoded.outer.dst))
      return this.#isDelivered(record, decoded) ? this.#receive(packet, record, decoded) : undefined;
    const port = this.#portOf(decoded);
    if (!port) return undefined;
    const frame = this.#frameOf(packet, record, decoded, port);
    if (!frame || frame.length > MAX_FRAME - VNET_HEADER) return undefined;
    return this.#send(
      frame,
      vnetHeader(frame, packet.data.length - frame.length, record, decoded, port.mtu),
      port,
    );
  }

  /** Whether the node's kernel hands the payload to a socket. It would put fragments together, which is not done here. */
  #isDelivered({ bytes, view }: DecodedRecord, { outer }: Decoded): boolean {
    if (view.getUint32(DECODED_OUTER_VERDICT, true) !== Verdict.InProgress) return false;
    if (((bytes[DECODED_OUTER + HEADERS_FLAGS] as number) & HEADERS_IS_FRAGMENT) !== 0) return false;
    const isZeroOverIpv6 = outer?.checksum === 'zero' && outer.src.includes(':');
    return !isZeroOverIpv6 || this.#node.config.underlay.acceptZeroChecksumIPv6;
  }

  #receive({ data }: CapturedPacket, { bytes, view }: DecodedRecord, { tunnel, outer }: Decoded): Outcome {
    const { memory, dataPath } = this.#node;
    const l4 = view.getUint32(DECODED_OUTER + HEADERS_L4, true) - PACKET;
    const end = view.getUint32(DECODED_OUTER + HEADERS_END, true) - PACKET;
    const isUdp = outer?.protocol === IPPROTO_UDP;
    const isIpv4 = !outer?.src.includes(':');
    // A raw IPv4 socket receives the IP header, too.
    const start = isUdp
      ? l4 + UDP_LEN
      : isIpv4
        ? view.getUint32(DECODED_OUTER + HEADERS_L3, true) - PACKET
        : l4;
    const last = isUdp
      ? Math.min(l4 + Buffer.from(data.buffer, data.byteOffset + l4 + 4, 2).readUInt16BE(), end)
      : end;
    const payload = data.subarray(start, Math.min(last, start + MAX_DATAGRAM));
    const slot = isUdp
      ? socketSlots[tunnel?.type === 'vxlan' ? 'vxlan' : 'geneve']
      : socketSlots[isIpv4 ? 'ipip4' : outer?.protocol === IPPROTO_IPIP ? 'ipip6with4' : 'ipip6with6'];

    const base = workerBase(0);
    const at = base + WORKER_DATAGRAM_ARENA + DATAGRAM_HEADROOM;
    const row = base + WORKER_RX_DATAGRAMS;
    memory.bytes.set(payload, at);
    memory.view.setUint32(row + RX_DATAGRAM_OFFSET, at, true);
    memory.view.setUint32(row + RX_DATAGRAM_LENGTH, payload.length, true);
    memory.view.setUint32(row + RX_DATAGRAM_SEGMENT, 0, true);
    memory.view.setUint16(row + RX_DATAGRAM_SLOT, slot, true);
    memory.view.setUint8(row + RX_DATAGRAM_TOS, bytes[DECODED_OUTER + HEADERS_TOS] as number);
    memory.view.setUint8(row + RX_DATAGRAM_FLAGS, 0);
    memory.bytes.set(
      bytes.subarray(DECODED_OUTER + HEADERS_SOURCE, DECODED_OUTER + HEADERS_SOURCE + 16),
      row + RX_DATAGRAM_SOURCE,
    );
    memory.view.setUint16(row + RX_DATAGRAM_SPORT, outer?.sport ?? 0, true);
    return this.#outcome(dataPath.ingress(1));
  }

  #send(frame: Uint8Array, vnet: Uint8Array, { slot }: TablePort): Outcome {
    return this.#outcome(takeFrame(this.#node, slot, vnet, frame));
  }

  #outcome(messages: number): Outcome {
    const verdict = this.#node.memory.view.getUint32(workerBase(0) + WORKER_PACKETS + PACKET_VERDICT, true);
    const isDrop = verdict !== Verdict.Forward && verdict !== Verdict.Consumed;
    return {
      verdict: isDrop ? 'drop' : 'forward',
      reason: isDrop ? (verdictNames[verdict] as string) : null,
      sent: sentPackets(this.#node, messages),
    };
  }

  /** The local port that the packet left, as far as it tells. */
  #portOf({ outer, inner, tunnel }: Decoded): TablePort | undefined {
    const byMac = tunnel ? undefined : this.#portsByMac.get(inner?.ethernet?.src ?? '');
    if (byMac) return byMac;
    if (!outer) return undefined;
    const byAddress = this.#portsByAddress.get(outer.src);
    if (byAddress || tunnel) return byAddress;
    const { desired, config } = this.#node;
    const own = [...config.underlay.addresses, ...desired.node.podNetworkAddresses];
    const destination = parseAddress(outer.dst);
    const isToPods = destination && desired.clusterCIDRs.some((block) => contains(block, destination));
    return isToPods && own.some(({ text }) => text === outer.src) ? this.#nodePort : undefined;
  }

  /** The Ethernet frame as captured; of a link layer without one, as the port's owner would have built it. */
  #frameOf(
    { linkType, data }: CapturedPacket,
    { view }: DecodedRecord,
    { outer }: Decoded,
    port: TablePort,
  ): Uint8Array | undefined {
    if (linkType === ETHERNET) return data;
    if (!outer) return undefined;
    const start = view.getUint32(DECODED_OUTER + HEADERS_L3, true) - PACKET;
    const end = view.getUint32(DECODED_OUTER + HEADERS_END, true) - PACKET;
    const header = Buffer.alloc(ETHERNET_LEN);
    header.set(this.#node.desired.node.routerMac, 0);
    header.set(port.mac, 6);
    header.writeUInt16BE(outer.src.includes(':') ? 0x86dd : 0x0800, 12);
    return Buffer.concat([header, data.subarray(start, end)]);
  }
}

/**
 * The virtio_net_hdr that a TAP would have put before the frame: a checksum left to the interface, and with it a TCP
 * packet too long for its MTU, are what a capture at the sender shows of offloads.
 * @param cut bytes of the capture that are not in the frame, negative where the frame has more
 */
function vnetHeader(
  frame: Uint8Array,
  cut: number,
  { view }: DecodedRecord,
  { inner, tunnel }: Decoded,
  mtu: number,
): Buffer {
  const header = Buffer.alloc(VNET_HEADER);
  if (tunnel || inner?.l4?.checksum !== 'partial' || !inner.ip) return header;
  const l3 = view.getUint32(DECODED_OUTER + HEADERS_L3, true) - PACKET;
  const l4 = view.getUint32(DECODED_OUTER + HEADERS_L4, true) - PACKET;
  const end = view.getUint32(DECODED_OUTER + HEADERS_END, true) - PACKET;
  const isTcp = inner.ip.protocol === IPPROTO_TCP;
  const start = l4 - cut;
  header.writeUInt8(NEEDS_CSUM, 0);
  header.writeUInt16LE(start, 6);
  header.writeUInt16LE(isTcp ? TCP_CHECKSUM : UDP_CHECKSUM, 8);
  if (!isTcp || end - l3 <= mtu) return header;
  const headers = start + ((frame[start + 12] as number) >> 4) * 4;
  header.writeUInt8(inner.ip.version === 4 ? GSO_TCPV4 : GSO_TCPV6, 1);
  header.writeUInt16LE(headers, 2);
  header.writeUInt16LE(mtu - (headers - (l3 - cut)), 4);
  return header;
}
