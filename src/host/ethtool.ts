// Offloads of links, through ethtool.
import { run } from './command.ts';
import { inside, netnsFile } from './netns.ts';

const transmitOffloads = [
  ...['tx', 'tso', 'gso', 'tx-udp-segmentation'],
  ...['tx-udp_tnl-segmentation', 'tx-udp_tnl-csum-segmentation'],
];

/** Makes a veth send as a plain network card does: packets of the MTU's size at most, their checksums finished. */
export const switchTransmitOffloadsOff = (netns: string, device: string): Promise<string> =>
  run(
    ...inside(netnsFile(netns), 'ethtool', [
      ...['-K', device],
      ...transmitOffloads.flatMap((feature) => [feature, 'off']),
    ]),
  );
