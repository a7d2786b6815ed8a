// Offloads of links, through ethtool.
import { run } from './command.ts';
import { inside, netnsFile } from './netns.ts';

const features = (netns: string, device: string, names: readonly string[], state: 'on' | 'off') =>
  run(...inside(netnsFile(netns), 'ethtool', ['-K', device, ...names.flatMap((name) => [name, state])]));

/** Makes a veth send as a plain network card does: packets of the MTU's size at most, their checksums finished. */
export const switchTransmitOffloadsOff = (netns: string, device: string): Promise<string> =>
  features(
    netns,
    device,
    [
      ...['tx', 'tso', 'gso', 'tx-udp-segmentation'],
      ...['tx-udp_tnl-segmentation', 'tx-udp_tnl-csum-segmentation'],
    ],
    'off',
  );

/**
 * Makes a veth join what it receives as the driver of a network card does. It has an effect only where the other end
 * sends without segmentation offload: veth_skb_is_eligible_for_gro in drivers/net/veth.c.
 */
export const switchReceiveOffloadOn = (netns: string, device: string): Promise<string> =>
  features(netns, device, ['gro'], 'on');
