/** Everybody that Overweft can be measured against. */
import type { Peer, PeerName } from '../contestant.ts';
import { flannelUdp } from './flannel.ts';
import { kernelVxlanPeer } from './kernel-vxlan.ts';
import { linuxBridge } from './linux-bridge.ts';
import { nebula } from './nebula.ts';
import { openVswitchPeer } from './open-vswitch.ts';
import { wireguardGo } from './wireguard.ts';

export const peers: Readonly<Record<PeerName, Peer>> = {
  kernel: kernelVxlanPeer,
  bridge: linuxBridge,
  openvswitch: openVswitchPeer,
  flannel: flannelUdp,
  nebula,
  wireguard: wireguardGo,
};
