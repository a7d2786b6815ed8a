// What the kernel refuses: drops by name, no longer forwarded.
import { describe, expect, it } from 'vitest';
import { PORT_DROPS, STAT_MESSAGES_LOST, TUNNEL_DROPS } from '../../../asm/layout/tables.ts';
import { tcpPacket, udpPacket, vnet } from '../../support/packets.ts';
import { fromPod, nodeOf, pod } from '../cluster.ts';

const toPeer = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, {}, new Uint8Array(64));
const toLocal = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 1, 3) }, {}, new Uint8Array(64));

// asm-generic/errno.h
it.each([
  ['EAGAIN', 11, 'TxQueueFull'],
  ['ENOMEM', 12, 'TxQueueFull'],
  ['ENOBUFS', 105, 'TxQueueFull'],
  ['EMSGSIZE', 90, 'TxMessageSize'],
  ['ENETUNREACH', 101, 'TxUnreachable'],
  ['ECONNREFUSED', 111, 'TxUnreachable'],
  ['EHOSTUNREACH', 113, 'TxUnreachable'],
  ['EIO', 5, 'TxDeviceDown'],
  ['ENODEV', 19, 'TxDeviceDown'],
  ['EBADFD', 77, 'TxDeviceDown'],
  ['ENETDOWN', 100, 'TxDeviceDown'],
  ['EINVAL', 22, 'TxRefused'],
  ['EPERM', 1, 'TxRefused'],
])('%s', (_, errno, verdict) => {
  const node = nodeOf(1);
  const { messages } = node.egress(
    ...Array.from({ length: 5 }, () => fromPod(1, 2, toPeer)),
    fromPod(1, 2, toLocal),
  );
  const [tap, socket] = messages[0]?.frames === 1 ? [0, 1] : [1, 0];
  expect(messages[socket]?.frames).toBe(5);

  node.refuse(socket, errno);
  node.wasm.settle(2);
  expect(node.verdicts()).toEqual({ Forward: 1, [verdict]: 5 });
  expect(node.tunnelCounter(0, TUNNEL_DROPS)).toBe(5);
  expect(node.stats()[STAT_MESSAGES_LOST]).toBe(1);

  node.refuse(socket, 0);
  node.refuse(tap, errno);
  node.wasm.settle(2);
  expect(node.verdicts()).toEqual({ [verdict]: 6 });
  expect(node.portCounter(3, PORT_DROPS)).toBe(1);
});

describe('a message that decides no frame’s fate', () => {
  it('is counted as lost only: a later part of a superframe', () => {
    const node = nodeOf(1);
    const packet = tcpPacket(
      { src: pod(4, 1, 2), dst: pod(4, 2, 2) },
      { checksum: 'partial' },
      new Uint8Array(60_000),
    );
    const { messages } = node.egress(
      fromPod(1, 2, packet, vnet({ flags: 1, gsoType: 1, gsoSize: 500, start: 34, offset: 16 })),
    );
    expect(messages.map(({ frames }) => frames)).toEqual([1, 0]);
    node.refuse(1, 11);
    node.wasm.settle(2);
    expect(node.verdicts()).toEqual({ Forward: 1 });
    expect(node.stats()[STAT_MESSAGES_LOST]).toBe(1);
  });

  it('nor is one made here: an ICMP error', () => {
    const node = nodeOf(1);
    node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2), ttl: 1 }, {})));
    node.refuse(0, 11);
    node.wasm.settle(1);
    expect(node.verdicts()).toEqual({ TtlExpired: 1 });
  });
});
