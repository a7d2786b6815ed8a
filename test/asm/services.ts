// A Service in front of the pods of two nodes, and what its packets look like on both sides.
import { expect } from 'vitest';
import { address } from '../../src/net/address.ts';
import type { Addresses } from '../support/packets.ts';
import { compilerOf, type EndpointFields, service, slice } from '../support/services.ts';
import { type ClusterOptions, fromPod, innerOf } from './cluster.ts';
import { type Burst, fate, type TestNode } from './harness.ts';

export const families = [4, 6] as const;
export const VIP = { 4: '10.96.0.10', 6: 'fd00:96::a' } as const;
export const CLIENT = 40000;

/** default/web of one family: http 80 → 8080, dns UDP 53 → 5353, sctp 90 → 9090. */
export function web(family: 4 | 6, endpoints: readonly EndpointFields[], spec: object = {}): object[] {
  const ports = [
    { name: 'http', port: 80, target: 8080, protocol: 'TCP' },
    { name: 'dns', port: 53, target: 5353, protocol: 'UDP' },
    { name: 'sctp', port: 90, target: 9090, protocol: 'SCTP' },
  ];
  return [
    service({
      clusterIP: VIP[family],
      clusterIPs: [VIP[family]],
      ports: ports.map(({ target, ...port }) => ({ ...port, targetPort: target })),
      ...spec,
    }),
    slice(endpoints, {
      type: family === 4 ? 'IPv4' : 'IPv6',
      ports: ports.map(({ target, name, protocol }) => ({ name, protocol, port: target })),
    }),
  ];
}

export const withWeb = (
  family: 4 | 6,
  endpoints: readonly EndpointFields[],
  spec?: object,
  more: ClusterOptions = {},
): ClusterOptions => ({ ...more, services: compilerOf(web(family, endpoints, spec)) });

export const reversed = ({ src, dst }: Addresses): Addresses => ({ src: dst, dst: src });
export const ready = (ip: string, node = 'node-2'): EndpointFields => ({ ip, node, ready: true });

/** The only packet that node 1 sends into the tunnel for one of its pod 2, or of another port. */
export function sent(node: TestNode, packet: Uint8Array, more?: Uint8Array, port = 2): Uint8Array {
  const burst = node.egress(fromPod(1, port, packet, more));
  expect(fate(burst)).toBe('Forward');
  const datagrams = burst.messages.flatMap((message) => message.datagrams);
  expect(datagrams).toHaveLength(1);
  return innerOf(datagrams[0] as Uint8Array, {});
}

/** The only frame that a TAP of node 1 gets, without vnet header. */
export function delivered(burst: Burst, port = 2): Uint8Array {
  expect(fate(burst)).toBe('Forward');
  expect(burst.messages.map(({ slot }) => slot)).toEqual([port]);
  return (burst.messages[0] as { bytes: Uint8Array }).bytes.slice(12);
}

export const destinationOf = (packet: Uint8Array): string =>
  Buffer.from((packet[0] as number) >> 4 === 4 ? packet.slice(16, 20) : packet.slice(24, 40)).toString('hex');
export const bytesOf = (text: string): string =>
  Buffer.from(address(text).bytes.slice(text.includes('.') ? 12 : 0)).toString('hex');

/** CRC-32c bit by bit, RFC 9260 appendix A. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
