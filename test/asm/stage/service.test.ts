// Packets to Services and back: whom they reach, and every byte of them.
import { describe, expect, it } from 'vitest';
import { ACK, type Addresses, hopped, SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import { compilerOf, type EndpointFields, service, slice } from '../../support/services.ts';
import { type ClusterOptions, fromPeer, fromPod, innerOf, nodeOf, pod, toPod } from '../cluster.ts';
import { fate, type TestNode } from '../harness.ts';

const families = [4, 6] as const;
const VIP = { 4: '10.96.0.10', 6: 'fd00:96::a' } as const;
const CLIENT = 40000;

interface Behind {
  readonly endpoints: readonly EndpointFields[];
  readonly spec?: object;
  readonly ports?: readonly object[];
}

/** default/web, http 80 → 8080 and dns UDP 53 → 5353, of one family. */
const items = (family: 4 | 6, { endpoints, spec = {} }: Behind): object[] => [
  service({
    clusterIP: VIP[family],
    clusterIPs: [VIP[family]],
    ports: [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'dns', port: 53, targetPort: 5353, protocol: 'UDP' },
    ],
    ...spec,
  }),
  slice(endpoints, {
    type: family === 4 ? 'IPv4' : 'IPv6',
    ports: [
      { name: 'http', port: 8080 },
      { name: 'dns', port: 5353, protocol: 'UDP' },
    ],
  }),
];

const servicesOf = (family: 4 | 6, behind: Behind) => compilerOf(items(family, behind));

const withServices = (family: 4 | 6, behind: Behind): ClusterOptions => ({
  services: servicesOf(family, behind),
});

const reversed = ({ src, dst }: Addresses): Addresses => ({ src: dst, dst: src });

/** What node 1 sends of a packet of its pod 2, as it lies in the tunnel. */
function sent(node: TestNode, packet: Uint8Array, more?: Uint8Array): Uint8Array {
  const burst = node.egress(fromPod(1, 2, packet, more));
  expect(fate(burst)).toBe('Forward');
  const datagrams = burst.messages.flatMap(({ datagrams }) => datagrams);
  expect(datagrams).toHaveLength(1);
  return innerOf(datagrams[0] as Uint8Array, {});
}

/** The frame that a TAP of node 1 gets for a packet, without vnet header. */
function delivered(node: TestNode, burst: ReturnType<TestNode['egress']>, port: number): Uint8Array {
  expect(fate(burst)).toBe('Forward');
  expect(burst.messages.map(({ slot }) => slot)).toEqual([port]);
  expect(node.area).not.toBe(0);
  return (burst.messages[0] as { bytes: Uint8Array }).bytes.slice(12);
}

describe.each(families)('a connection to a cluster IP over IPv%i', (family) => {
  const own = pod(family, 1, 2);
  const remote = pod(family, 2, 2);
  const known = { src: own, dst: VIP[family] };
  const real = { src: own, dst: remote };

  it.each([
    ['TCP', tcpPacket, 80, 8080, { flags: SYN, ack: 0 }],
    ['UDP', udpPacket, 53, 5353, {}],
  ] as const)('%s goes to an endpoint of another node and comes back', (_, build, port, target, fields) => {
    const node = nodeOf(1, withServices(family, { endpoints: [{ ip: remote, node: 'node-2' }] }));
    const body = Uint8Array.from({ length: 33 }, (_, i) => i);
    const ports = { sport: CLIENT, dport: port };
    const asked = build(known, { ...ports, ...fields }, body);
    expect(sent(node, asked)).toEqual(hopped(build(real, { ...ports, ...fields, dport: target }, body)));
    const answered = { ...fields, ...('flags' in fields && { flags: SYN | ACK, ack: 2 }) };
    const answer = build(reversed(real), { ...answered, sport: target, dport: CLIENT }, body);
    const burst = node.ingress(fromPeer(1, answer));
    expect(delivered(node, burst, 2)).toEqual(
      toPod(1, 2, build(reversed(known), { ...answered, sport: port, dport: CLIENT }, body)),
    );
    // Once more, as a known connection.
    const again = { ...ports, ...('flags' in fields && { flags: ACK, seq: 35, ack: 35 }) };
    expect(sent(node, build(known, again, body))).toEqual(
      hopped(build(real, { ...again, dport: target }, body)),
    );
  });
});
