/** Everybody that Overweft can be measured against. */
import type { Peer, PeerName } from './contestant.ts';
import { kernelVxlanPeer } from './kernel-vxlan.ts';
import { linuxBridge } from './linux-bridge.ts';

export const peers: Readonly<Record<PeerName, Peer>> = {
  kernel: kernelVxlanPeer,
  bridge: linuxBridge,
};
