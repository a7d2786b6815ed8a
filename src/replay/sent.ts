// What the data path left for transmission, as packets.
import {
  IOV_LENGTH,
  IOV_OFFSET,
  IOV_SIZE,
  TX_IOV,
  TX_IOVS,
  TX_MESSAGE_SIZE,
  TX_SEGMENT,
  TX_SLOT,
  TX_TOS,
  TX_TUNNEL,
} from '../../asm/layout/burst.ts';
import {
  FIRST_SOCKET_SLOT,
  VNET_HEADER,
  WORKER_TX_IOVS,
  WORKER_TX_MESSAGES,
} from '../../asm/layout/memory.ts';
import type { Tunnel } from '../control/topology.ts';
import { workerBase } from '../dataplane/memory.ts';
import { type ReplayNode, sourcePort } from './node.ts';
import { withOuterHeaders } from './outer.ts';

/** A packet that would have been sent. */
export interface Sent {
  /** Port that it goes to, undefined: the underlay. */
  readonly slot: number | undefined;
  /** Ethernet frame to a port, IP packet to the underlay. */
  readonly data: Buffer;
}

/** The packets of the first `count` messages that the worker left. */
export function sentPackets(node: ReplayNode, count: number): Sent[] {
  const sent: Sent[] = [];
  for (let i = 0; i < count; i++) {
    const message = workerBase(0) + WORKER_TX_MESSAGES + i * TX_MESSAGE_SIZE;
    const slot = node.memory.view.getUint16(message + TX_SLOT, true);
    const data = gather(node, message);
    if (slot < FIRST_SOCKET_SLOT) {
      sent.push({ slot, data: data.subarray(VNET_HEADER) });
      continue;
    }
    const tunnel = node.tunnels[node.memory.view.getUint32(message + TX_TUNNEL, true)];
    if (!tunnel) throw new RangeError(`message ${i} goes to a tunnel that does not exist`);
    for (const datagram of datagrams(data, node.memory.view.getUint16(message + TX_SEGMENT, true)))
      sent.push({ slot: undefined, data: onTheWire(node, tunnel, slot, message, datagram) });
  }
  return sent;
}

function gather({ memory }: ReplayNode, message: number): Buffer {
  const first = memory.view.getUint32(message + TX_IOV, true);
  const count = memory.view.getUint32(message + TX_IOVS, true);
  const parts = Array.from({ length: count }, (_, i) => {
    const row = workerBase(0) + WORKER_TX_IOVS + (first + i) * IOV_SIZE;
    const offset = memory.view.getUint32(row + IOV_OFFSET, true);
    return memory.bytes.subarray(offset, offset + memory.view.getUint32(row + IOV_LENGTH, true));
  });
  return Buffer.concat(parts);
}

/** What UDP_SEGMENT makes of a message. */
function datagrams(data: Buffer, segment: number): Buffer[] {
  if (segment === 0) return [data];
  return Array.from({ length: Math.ceil(data.length / segment) }, (_, i) =>
    data.subarray(i * segment, (i + 1) * segment),
  );
}

function onTheWire(
  { config, memory }: ReplayNode,
  { encapsulation, local, remote }: Tunnel,
  slot: number,
  message: number,
  datagram: Buffer,
): Buffer {
  // The data path builds the outer IP header of IPIP itself, and of who is reached without a tunnel replay knows nothing.
  if (encapsulation === 'ipip' || encapsulation === 'direct') return datagram;
  return withOuterHeaders(datagram, {
    source: local,
    destination: remote,
    sport: sourcePort(slot),
    dport: config.ports[encapsulation],
    tos: memory.view.getUint8(message + TX_TOS),
    ttl: config.underlay.ttl,
    hasChecksum: config.underlay.outerChecksum,
  });
}
