import type { Decoded, Ethernet, Ip, Outer, Transport, Tunnel } from './decoded.ts';

const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  4: 'ipv4',
  6: 'tcp',
  17: 'udp',
  41: 'ipv6',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmpv6',
  59: 'nothing',
  132: 'sctp',
};

const typeNames: Readonly<Record<number, string>> = { 2054: 'arp', 2048: 'ipv4', 34525: 'ipv6' };

/** A packet in one readable line, its parts from the outside in: `outer | tunnel | inner -> verdict`. */
export function decodedText({ outer, tunnel, inner, verdict, reason }: Decoded): string {
  const parts = [
    ...(tunnel && outer ? [outerText(outer), tunnelText(tunnel)] : []),
    ...(inner?.ethernet && !inner.ip ? [ethernetText(inner.ethernet)] : []),
    ...(inner?.ip ? [ipText(inner.ip, inner.l4, inner.ethernet)] : []),
  ];
  return `${parts.join(' | ') || 'no packet that is known here'} -> ${reason === null ? verdict : `${verdict} ${reason}`}`;
}

function outerText({ src, dst, protocol, sport, dport, checksum }: Outer): string {
  return `${socket(src, sport)} > ${socket(dst, dport)} ${protocolName(protocol)}${checksumText(checksum)}`;
}

function tunnelText({ type, vni, oam, critical, options }: Tunnel): string {
  const words = [
    type,
    ...(vni === null ? [] : [`vni ${vni}`]),
    ...(oam ? ['oam'] : []),
    ...(critical ? ['critical'] : []),
    ...(options ?? []).map(
      (option) =>
        `option ${hex(option.class)}/${hex(option.type)}${option.critical ? '!' : ''} ${option.length} B`,
    ),
  ];
  return words.join(' ');
}

function ethernetText({ src, dst, type, vlans }: Ethernet): string {
  const name = type === null ? 'ieee 802.3' : (typeNames[type] ?? hex(type));
  return `${src} > ${dst}${vlanText(vlans)} ${name}`;
}

function ipText(ip: Ip, l4: Transport | null, ethernet: Ethernet | null): string {
  const { fragment } = ip;
  const words = [
    `${socket(ip.src, l4?.sport ?? null)} > ${socket(ip.dst, l4?.dport ?? null)}`,
    `${protocolName(ip.protocol)}${checksumText(l4?.checksum ?? 'none')}`,
    `ttl ${ip.ttl}`,
    ...(ip.dscp ? [`dscp ${ip.dscp}`] : []),
    ...(ip.ecn ? [`ecn ${ip.ecn}`] : []),
    ...(fragment.offset > 0 || fragment.more
      ? [`fragment at ${fragment.offset}${fragment.more ? '+' : ''}`]
      : []),
  ];
  return words.join(' ') + vlanText(ethernet?.vlans ?? []);
}

const vlanText = (vlans: readonly number[]): string => (vlans.length > 0 ? ` vlan ${vlans.join('.')}` : '');

const checksumText = (checksum: string): string => (checksum === 'none' ? '' : ` checksum ${checksum}`);

const protocolName = (protocol: number): string => protocolNames[protocol] ?? `protocol ${protocol}`;

const hex = (number: number): string => `0x${number.toString(16).padStart(4, '0')}`;

function socket(address: string, port: number | null): string {
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
