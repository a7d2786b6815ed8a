/**
 * flannel's udp backend: a TUN and a proxy in C, a system call or two a packet.
 *
 *     eth0 (pod) ── pod0 ─ routes ─ flannel0 (TUN) ─ proxy ─ UDP 8285 ─ under0
 */
import type { Peer } from '../contestant.ts';
import { routedPod } from '../nodes.ts';
import { buildThem, builtProgram, builtVersion } from './built.ts';

/** 1500 less IPv4 and UDP. */
const mtu = 1472;

export const flannelUdp: Peer = {
  title: 'flannel, udp backend',
  encrypts: false,
  version: () => builtVersion('flannel'),
  obtain: buildThem,
  connect: async ([first, second], _setting, { start }) => {
    const network = first.podCIDRs[0].replace(/\.\d+\.0\/24$/, '.0.0/16');
    for (const [own, other] of [
      [first, second],
      [second, first],
    ] as const) {
      await routedPod(own, mtu);
      const ends = [own, other].flatMap(({ podCIDRs, underlay }) => [podCIDRs[0], underlay[0]]);
      start(own.netns, builtProgram('flannel', 'flannel'), ['under0', network, ...ends]);
    }
  },
};
