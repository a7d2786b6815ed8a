/** Two pods on one node, joined by the kernel: a Linux bridge with a veth for each. */
import { release } from 'node:os';
import { ipBatch } from '../../host/iproute.ts';
import { netnsFile } from '../../host/netns.ts';
import type { Peer } from '../contestant.ts';

export const linuxBridge: Peer = {
  title: 'Linux bridge with veths',
  encrypts: false,
  version: async () => `Linux ${release()}`,
  obtain: 'the module bridge',
  connect: async (nodes) => {
    const [{ netns }] = nodes;
    const inNode = { netns: netnsFile(netns) };
    await ipBatch(['link add pods0 type bridge mcast_snooping 0', 'link set pods0 up'], inNode);
    for (const [index, { podNetns, pod }] of nodes.entries()) {
      await ipBatch([`link add pod${index} netns ${netns} type veth peer name eth0 netns ${podNetns}`]);
      await ipBatch([`link set pod${index} master pods0 up`], inNode);
      await ipBatch(['link set eth0 up', `address add ${pod[0]}/16 dev eth0`], {
        netns: netnsFile(podNetns),
      });
    }
  },
};
