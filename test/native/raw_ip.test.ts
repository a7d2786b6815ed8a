import { constants } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Netns, netns } from '../support/netns.ts';
import { command, describeWith, root } from '../support/requires.ts';
import { addon, addressBytes, collect, count, pattern, receiveDatagrams, socket, transmit } from './burst.ts';

const { errno } = constants;

/** IPv4 header without options; the kernel fills in length and checksum (raw(7)). */
function ipv4(protocol: number, tos: number, source: string, destination: string): Uint8Array {
  const header = new Uint8Array(20);
  header.set([0x45, tos, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol]);
  header.set(addressBytes(source).subarray(12), 12);
  header.set(addressBytes(destination).subarray(12), 16);
  return header;
}

function ipv6(
  next: number,
  trafficClass: number,
  length: number,
  source: string,
  destination: string,
): Uint8Array {
  const header = new Uint8Array(40);
  header.set([
    0x60 | (trafficClass >> 4),
    (trafficClass & 15) << 4,
    0,
    0,
    length >> 8,
    length & 255,
    next,
    64,
  ]);
  header.set(addressBytes(source), 8);
  header.set(addressBytes(destination), 24);
  return header;
}

describeWith([root, command('ip')], 'raw IP', () => {
  let left: Netns;
  let right: Netns;
  beforeAll(async () => {
    left = await netns('ownat-raw1');
    right = await netns('ownat-raw2');
    await left.exec(
      'ip',
      'link',
      'add',
      'veth0',
      'type',
      'veth',
      'peer',
      'name',
      'veth0',
      'netns',
      'ownat-raw2',
    );
    for (const [ns, host] of [
      [left, 1],
      [right, 2],
    ] as const) {
      await ns.exec('ip', 'address', 'add', `192.0.2.${host}/24`, 'dev', 'veth0');
      await ns.exec('ip', 'address', 'add', `2001:db8::${host}/64`, 'dev', 'veth0', 'nodad');
      await ns.exec('ip', 'link', 'set', 'veth0', 'up');
    }
  });
  afterAll(async () => {
    await left[Symbol.asyncDispose]();
    await right[Symbol.asyncDispose]();
  });

  const open = (index: number, ns: 1 | 2, six: boolean, protocol: 4 | 41) =>
    socket(
      index,
      addon.openRawIp({
        netns: `/run/netns/ownat-raw${ns}`,
        address: six ? `2001:db8::${ns}` : `192.0.2.${ns}`,
        protocol,
        receiveTos: true,
        device: 'veth0',
        pmtudisc: 'do',
      }).fd,
      six ? 'raw6' : 'raw4',
    );

  it.each([
    ['4in4', false, 4],
    ['6in4', false, 41],
    ['4in6', true, 4],
    ['6in6', true, 41],
  ] as const)('carries %s with the outer header built here', (_, six, protocol) => {
    using sender = open(0, 1, six, protocol);
    using receiver = open(1, 2, six, protocol);
    const inner = pattern(900);
    const tos = 0xb9;
    const header = six
      ? ipv6(protocol, tos, inner.length, '2001:db8::1', '2001:db8::2')
      : ipv4(protocol, tos, '192.0.2.1', '192.0.2.2');
    const to = { address: six ? '2001:db8::2' : '192.0.2.2', port: 0 };
    const parts = [header, inner.subarray(0, 100), inner.subarray(100)];
    expect(transmit([{ slot: sender.slot, parts, to }])).toEqual([0]);

    const [received] = collect(receiveDatagrams, count(1));
    expect(received).toMatchObject({ slot: receiver.slot, sport: 0, segment: 0, tos, truncated: false });
    expect(received?.source).toBe(six ? '2001:db8::1' : '192.0.2.1');
    if (six) return expect(received?.data).toEqual(inner);
    expect(received?.data.subarray(20)).toEqual(inner);
    const outer = new DataView(received?.data.buffer ?? new ArrayBuffer(20));
    expect(outer.getUint16(2)).toBe(20 + inner.length);
    expect(outer.getUint16(4)).toBe(0x1234);
    let sum = 0;
    for (let at = 0; at < 20; at += 2) sum += outer.getUint16(at);
    expect((sum & 0xffff) + (sum >> 16)).toBe(0xffff);
  });

  it('refuses a segment size, a port on IPv6, another family and what exceeds the MTU', () => {
    using four = open(0, 1, false, 4);
    using six = open(1, 1, true, 4);
    const header4 = ipv4(4, 0, '192.0.2.1', '192.0.2.2');
    const header6 = ipv6(4, 0, 1600, '2001:db8::1', '2001:db8::2');
    const to4 = { address: '192.0.2.2', port: 0 };
    const to6 = { address: '2001:db8::2', port: 0 };
    expect(
      transmit([
        { slot: four.slot, parts: [header4, pattern(60)], segment: 20, to: to4 },
        { slot: six.slot, parts: [header6, pattern(60)], to: { ...to6, port: 41 } },
        { slot: six.slot, parts: [header6, pattern(60)], to: to4 },
        { slot: four.slot, parts: [header4, pattern(1600)], to: to4 },
        { slot: six.slot, parts: [header6, pattern(1600)], to: to6 },
      ]),
    ).toEqual([errno.EINVAL, errno.EINVAL, errno.EAFNOSUPPORT, errno.EMSGSIZE, errno.EMSGSIZE]);
  });

  it('names a protocol that is none of IPIP', () => {
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.openRawIp({ address: '192.0.2.1', protocol: 47 })).toThrow('47 is neither 4 nor 41');
  });
});
