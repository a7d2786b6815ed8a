import { RX_FRAME_LENGTH, RX_FRAME_OFFSET, RX_FRAME_PORT } from '../../asm/layout/burst.ts';
import {
  FRAME_HEADROOM,
  VNET_HEADER,
  WORKER_FRAME_ARENA,
  WORKER_RX_FRAMES,
} from '../../asm/layout/memory.ts';
import { workerBase } from '../dataplane/memory.ts';
import type { ReplayNode } from './node.ts';

/**
 * Takes a frame through egress, as if a TAP had received it.
 * @param vnet virtio_net_hdr_v1
 * @param frame from the Ethernet header on; what policy does not look at may be missing behind
 * @param length of the whole frame, at most MAX_FRAME less the vnet header
 * @returns messages that are left to be sent
 */
export function takeFrame(
  { memory, dataPath }: ReplayNode,
  slot: number,
  vnet: Uint8Array,
  frame: Uint8Array,
  length = frame.length,
): number {
  const at = workerBase(0) + WORKER_FRAME_ARENA + FRAME_HEADROOM;
  const row = workerBase(0) + WORKER_RX_FRAMES;
  memory.bytes.set(vnet, at);
  memory.bytes.set(frame, at + VNET_HEADER);
  memory.view.setUint32(row + RX_FRAME_OFFSET, at, true);
  memory.view.setUint32(row + RX_FRAME_LENGTH, VNET_HEADER + length, true);
  memory.view.setUint16(row + RX_FRAME_PORT, slot, true);
  return dataPath.egress(1);
}
