/**
 * Queues: a TAP has several, and each flow stays with one, so that none waits behind another's packets.
 *
 *     pod ─► kernel: queue of the flow ─► egress: queueSeen()      WORKER_QUEUES: u8 a flow, 0: not seen yet,
 *     pod ◄─ kernel: notes the queue   ◄─ queueFor()               or the queue's number + 1
 *
 * The kernel gives a flow to the queue that packets were last written to for it (drivers/net/tun.c:
 * tun_flow_update), or to one by its own hash. What is written goes where the flow's packets came from: to move a
 * flow would put those that still wait behind those that follow.
 */
import { WORKER_QUEUES, WORKER_QUEUES_MASK } from '../layout/memory';
import { Packet } from '../packet';
import { base, queues } from '../worker';

/** Direct-mapped and private to the worker: flows that meet here share a queue. */
function rowOf(port: u32, hash: u32): usize {
  return base + WORKER_QUEUES + ((hash ^ (port * 0x9e37)) & WORKER_QUEUES_MASK);
}

/** Notes the queue in which a packet came from its port. */
export function queueSeen(packet: Packet): void {
  if (queues > 1) store<u8>(rowOf(packet.slot(), packet.hash()), <u8>(packet.queue() + 1));
}

/** Queue in which a port gets packets of a flow. */
export function queueFor(port: u32, hash: u32): u32 {
  if (queues <= 1) return 0;
  const seen = <u32>load<u8>(rowOf(port, hash));
  return seen === 0 ? (hash >> 16) & (queues - 1) : seen - 1;
}
