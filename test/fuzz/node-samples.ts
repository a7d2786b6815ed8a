import { FIRST_POD_SLOT } from '../../src/daemon/outside/node-ports.ts';
import { formatMac } from '../../src/net/mac.ts';
import type { Sample } from '../../src/replay/inspector.ts';
import type { ReplayNode } from '../../src/replay/node.ts';
import {
  arp,
  echoPacket,
  ethernet,
  geneve,
  ipPacket,
  neighborSolicitation,
  tcpPacket,
  udpPacket,
  vxlan,
} from '../support/packets.ts';

const ETHERNET = 1;

/** Packets that concern a node of fuzzedNode(): from its pods, and through tunnels from the other node. */
export function nodeSamples({ config, ports, desired }: ReplayNode): Sample[] {
  const pod = ports.find(({ slot }) => slot === FIRST_POD_SLOT);
  if (!pod?.pod) throw new Error('the node has no pod');
  const addresses = desired.localPods.get(pod.pod)?.addresses.map(({ text }) => text) ?? [];
  const mac = formatMac(pod.mac);
  const router = formatMac(desired.node.routerMac);
  const framed = (packet: Uint8Array) => ethernet({ src: mac, dst: router }, packet);
  const inner = addresses.flatMap((own) => {
    const other = own.includes(':') ? 'fd00:244:2::3' : '10.244.2.3';
    const near = own.includes(':') ? 'fd00:244:1::4' : '10.244.1.4';
    return [other, near].flatMap((peer) => [
      { src: own, dst: peer },
      { src: peer, dst: own },
    ]);
  });
  const packets = inner.flatMap((between) => [
    tcpPacket(between, { flags: 2 }),
    tcpPacket(between, {}, new Uint8Array(1200)),
    udpPacket(between, {}, new Uint8Array(33)),
    udpPacket(between, { checksum: 'partial' }, new Uint8Array(4)),
    echoPacket(between),
  ]);
  const wrapped = packets.flatMap((packet) => tunnelled(config.encapsulation, packet, router));
  const questions = [
    ethernet(
      { src: mac, dst: 'ff:ff:ff:ff:ff:ff', type: 0x0806 },
      arp({
        operation: 1,
        senderMac: mac,
        senderIp: addresses.find((one) => one.includes('.')) ?? '',
        targetIp: '169.254.1.1',
      }),
    ),
    ...addresses
      .filter((one) => one.includes(':'))
      .map((src) => framed(neighborSolicitation({ src, dst: 'ff02::1:ff00:1' }, 'fe80::1', mac))),
  ];
  return [...packets.map(framed), ...wrapped, ...questions].map((data) => ({
    linkType: ETHERNET,
    data,
    original: data.length,
  }));
}

function tunnelled(encapsulation: string, packet: Uint8Array, router: string): Uint8Array[] {
  const macs = { src: '02:00:00:00:00:07', dst: '02:00:00:00:00:08' };
  const frame = ethernet({ src: '02:00:00:00:00:09', dst: router }, packet);
  const underlays = [
    { src: '192.0.2.2', dst: '192.0.2.1', tos: 2 },
    { src: '2001:db8::2', dst: '2001:db8::1' },
  ];
  return underlays.map((outer) => {
    if (encapsulation === 'ipip')
      return ethernet(
        macs,
        ipPacket({ ...outer, protocol: (packet[0] as number) >> 4 === 6 ? 41 : 4 }, packet),
      );
    const isGeneve = encapsulation === 'geneve';
    const payload = isGeneve ? geneve({ vni: 1 }, frame) : vxlan(1, frame);
    return ethernet(macs, udpPacket(outer, { dport: isGeneve ? 6081 : 4789 }, payload));
  });
}
