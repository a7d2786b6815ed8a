// Host ports: a port of node 1 that leads to its pod 10.244.1.2, by whatever way a client comes.
import { describe, expect, it } from 'vitest';
import { node as nodeObject, pod as podObject } from '../../support/cluster.ts';
import { ACK, type Addresses, hopped, SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import { compilerOf } from '../../support/services.ts';
import { fromPeer, fromPod, innerOf, nodeOf, pod, toPod, underlay } from '../cluster.ts';
import { allow, deny, fate, type PolicySpec } from '../harness.ts';
import { CLIENT, delivered, families, reversed } from '../services.ts';

const HOST_PORT = 8080;
const TARGET = 80;

const hostPort = (fields: object) =>
  podObject({
    name: 'web',
    ips: [pod(4, 1, 2), pod(6, 1, 2)],
    spec: {
      containers: [{ name: 'main', ports: [{ containerPort: TARGET, hostPort: HOST_PORT, ...fields }] }],
    },
  });
const withHostPort = (fields: object = {}) => ({
  services: compilerOf([nodeObject(1), nodeObject(2), hostPort(fields)]),
});

describe.each(families)('a host port over IPv%i', (family) => {
  const target = pod(family, 1, 2);
  const stranger = family === 4 ? '198.51.100.7' : '2001:db8:51::7';
  const known = (src: string): Addresses => ({ src, dst: underlay(family, 1) });
  const real = (src: string): Addresses => ({ src, dst: target });
  const asks = { sport: CLIENT, flags: SYN, ack: 0 };
  const answers = { dport: CLIENT, flags: SYN | ACK, ack: 2 };

  it('a pod of another node keeps its address, and is answered by the address that it knocked at', () => {
    const node = nodeOf(1, withHostPort());
    const client = pod(family, 2, 3);
    for (let i = 0; i < 2; i++) {
      const there = tcpPacket(known(client), { ...asks, dport: HOST_PORT });
      expect(delivered(node.ingress(fromPeer(1, there)))).toEqual(
        toPod(1, 2, tcpPacket(real(client), { ...asks, dport: TARGET })),
      );
      const back = tcpPacket(reversed(real(client)), { ...answers, sport: TARGET });
      const burst = node.egress(fromPod(1, 2, back));
      expect(fate(burst)).toBe('Forward');
      expect(innerOf(burst.messages[0]?.datagrams[0] as Uint8Array, {})).toEqual(
        hopped(tcpPacket(reversed(known(client)), { ...answers, sport: HOST_PORT })),
      );
    }
  });

  it('so do clients outside, other nodes among them', () => {
    const node = nodeOf(1, withHostPort());
    for (const client of [stranger, underlay(family, 2)]) {
      const there = tcpPacket(known(client), { ...asks, dport: HOST_PORT });
      expect(delivered(node.egress(fromPod(1, 1, there)))).toEqual(
        toPod(1, 2, tcpPacket(real(client), { ...asks, dport: TARGET })),
      );
      // A tunnel to the other node would lead back into itself.
      const back = tcpPacket(reversed(real(client)), { ...answers, sport: TARGET });
      expect(delivered(node.egress(fromPod(1, 2, back)), 0)).toEqual(
        toPod(1, 0, tcpPacket(reversed(known(client)), { ...answers, sport: HOST_PORT })),
      );
    }
  });

  it('a pod beside it keeps its address, and the pod itself sees the node', () => {
    const node = nodeOf(1, withHostPort());
    const neighbour = pod(family, 1, 3);
    const there = tcpPacket(known(neighbour), { ...asks, dport: HOST_PORT });
    expect(delivered(node.egress(fromPod(1, 3, there)), 2)).toEqual(
      toPod(1, 2, hopped(tcpPacket(real(neighbour), { ...asks, dport: TARGET }))),
    );
    const self = delivered(
      node.egress(fromPod(1, 2, tcpPacket(known(target), { ...asks, dport: HOST_PORT }))),
    );
    const sport = Buffer.from(self).readUInt16BE(14 + (family === 4 ? 20 : 40));
    expect(self).toEqual(
      toPod(1, 2, hopped(tcpPacket(real(pod(family, 1, 1)), { ...asks, sport, dport: TARGET }))),
    );
  });

  it('NetworkPolicy 14: policy sees the pod and its port, through a tunnel too', () => {
    const ingress: PolicySpec = {
      rows: [[deny(1), allow(2)]],
      ports: [{ protocol: 'tcp', port: TARGET, portClass: 1 }],
    };
    const client = pod(family, 2, 3);
    const node = nodeOf(1, { ...withHostPort(), ports: { 2: { ingress } } });
    const there = tcpPacket(known(client), { ...asks, dport: HOST_PORT });
    expect(fate(node.ingress(fromPeer(1, there)))).toBe('Forward');
    const other = nodeOf(1, { ...withHostPort({ containerPort: 81 }), ports: { 2: { ingress } } });
    expect(fate(other.ingress(fromPeer(1, there)))).toBe('PolicyIngress');
  });

  it('is of its protocol and its address alone; the rest is for the node', () => {
    const client = pod(family, 2, 3);
    const toNode = (node: ReturnType<typeof nodeOf>, packet: Uint8Array) =>
      expect(delivered(node.ingress(fromPeer(1, packet)), 0)).toEqual(toPod(1, 0, packet));
    toNode(nodeOf(1, withHostPort()), udpPacket(known(client), { sport: CLIENT, dport: HOST_PORT }));
    const elsewhere = { src: client, dst: pod(family, 1, 1) };
    toNode(nodeOf(1, withHostPort()), tcpPacket(elsewhere, { ...asks, dport: HOST_PORT }));
    toNode(
      nodeOf(1, withHostPort({ hostIP: '192.0.2.99' })),
      tcpPacket(known(client), { ...asks, dport: HOST_PORT }),
    );
  });

  it('a datagram leads to who has the port now', () => {
    const client = pod(family, 2, 3);
    const node = nodeOf(1, withHostPort({ protocol: 'UDP' }));
    const there = udpPacket(known(client), { sport: CLIENT, dport: HOST_PORT });
    expect(delivered(node.ingress(fromPeer(1, there)))).toEqual(
      toPod(1, 2, udpPacket(real(client), { sport: CLIENT, dport: TARGET })),
    );
  });
});
