import { constants } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import { SOCKET_READY } from '../../src/phy/addon.ts';
import { type Netns, netns } from '../support/netns.ts';
import { command, describeWith, root } from '../support/requires.ts';
import { addon, collect, count, pattern, receiveDatagrams, transmit, udp } from './burst.ts';

const { errno } = constants;

describeWith([root, command('ip')], 'UDP', () => {
  let ns: Netns;
  const inside = { netns: '/run/netns/ownat-udp' };
  const families = [
    ['IPv4', '127.0.0.1', '127.0.0.1'],
    ['IPv6', '::1', '::1'],
  ] as const;
  beforeAll(async () => {
    ns = await netns('ownat-udp');
    await ns.exec('ip', 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1');
    await ns.exec('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'veth0');
    await ns.exec('ip', 'link', 'set', 'veth0', 'up');
    await ns.exec('ip', 'link', 'set', 'veth1', 'up');
  });
  afterAll(async () => ns[Symbol.asyncDispose]());

  it('tells the MTU of a route, in the namespace where the socket was opened', async () => {
    await ns.exec('ip', 'route', 'replace', '198.18.0.0/24', 'via', '192.0.2.2', 'mtu', 'lock', '1234');
    const { fd } = addon.openUdp({ ...inside, address: '192.0.2.1', port: 0 });
    expect(addon.pathMtu(fd, '198.18.0.7')).toBe(1234);
    expect(addon.pathMtu(fd, '192.0.2.2'), 'another one of the same socket').toBe(1500);
    expect(() => addon.pathMtu(fd, '203.0.113.1')).toThrow(expect.objectContaining({ code: 'ENETUNREACH' }));
    expect(() => addon.pathMtu(fd, 'x')).toThrow("'x' is no IPv4 or IPv6 address");
    addon.close(fd);
    expect(() => addon.pathMtu(fd, '192.0.2.2')).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  it.each(families)('sends a burst as one UDP_SEGMENT and receives it merged (%s)', (_, address, source) => {
    using receiver = udp(0, { ...inside, address, gro: true, receiveTos: true });
    using sender = udp(1, { ...inside, address });
    const to = { address, port: receiver.port };
    const data = pattern(20 * 1000 + 123);
    const parts = [data.subarray(0, 700), data.subarray(700, 1500), data.subarray(1500)];
    expect(transmit([{ slot: sender.slot, parts, segment: 1000, tos: 0xb9, to }])).toEqual([0]);
    const [merged] = collect(receiveDatagrams, count(1));
    expect(merged).toEqual({
      slot: receiver.slot,
      source,
      sport: sender.port,
      segment: 1000,
      tos: 0xb9,
      truncated: false,
      length: data.length,
      data,
    });
  });

  it.each(families)(
    'delivers the segments one by one where the receiver does not merge (%s)',
    (_, address) => {
      using receiver = udp(0, { ...inside, address });
      using sender = udp(1, { ...inside, address });
      const to = { address, port: receiver.port };
      const data = pattern(3500);
      expect(transmit([{ slot: sender.slot, parts: [data], segment: 1000, to }])).toEqual([0]);
      const received = collect(receiveDatagrams, count(4));
      expect(received.map((datagram) => datagram.length)).toEqual([1000, 1000, 1000, 500]);
      expect(received.map((datagram) => datagram.segment)).toEqual([0, 0, 0, 0]);
      expect(Uint8Array.from(received.flatMap((datagram) => [...datagram.data]))).toEqual(data);
    },
  );

  it('keeps order over several sendmmsg and several recvmmsg, the traffic class with each', () => {
    const address = '127.0.0.1';
    using receiver = udp(0, { ...inside, address, receiveTos: true, receiveBuffer: 4 << 20 });
    using sender = udp(1, { ...inside, address });
    const to = { address, port: receiver.port };
    const messages = Array.from({ length: 200 }, (_, index) => ({
      slot: sender.slot,
      parts: [pattern(10, index)],
      tos: index % 3 === 0 ? 0 : index & 0xfc,
      to,
    }));
    expect(transmit(messages)).toEqual(messages.map(() => 0));
    const received = collect(receiveDatagrams, count(200));
    expect(received.map((datagram) => datagram.data)).toEqual(messages.map((message) => message.parts[0]));
    expect(received.map((datagram) => datagram.tos)).toEqual(messages.map((message) => message.tos));
  });

  it('serves every readable socket in turn', () => {
    const address = '127.0.0.1';
    using a = udp(0, { ...inside, address });
    using b = udp(1, { ...inside, address });
    using sender = udp(2, { ...inside, address });
    const message = (port: number) => ({ slot: sender.slot, parts: [pattern(4)], to: { address, port } });
    transmit([...Array.from({ length: 6 }, () => message(a.port)), message(b.port), message(b.port)]);
    expect(addon.wait(1000)).toBe(SOCKET_READY);
    const slots = [receiveDatagrams(4), receiveDatagrams(4)].map((batch) => batch.map(({ slot }) => slot));
    expect(slots.flat().filter((slot) => slot === b.slot)).toHaveLength(2);
    expect(slots.flat()).toHaveLength(8);
    expect(new Set(slots[1])).toContain(slots[0]?.[0] === a.slot ? b.slot : a.slot);
  });

  it('marks a datagram that is longer than its buffer', () => {
    using receiver = udp(0, { ...inside, address: '127.0.0.1' });
    using sender = udp(1, { ...inside, address: '127.0.0.1' });
    const to = { address: '127.0.0.1', port: receiver.port };
    transmit([
      { slot: sender.slot, parts: [pattern(300)], to },
      { slot: sender.slot, parts: [pattern(100)], to },
    ]);
    addon.wait(1000);
    const received = receiveDatagrams(16, 100);
    expect(received.map(({ truncated }) => truncated)).toEqual([true, false]);
    expect(received.map(({ data }) => data)).toEqual([pattern(300).subarray(0, 100), pattern(100)]);
  });

  it('goes on behind a message that is refused, and names each refusal by its errno', () => {
    using receiver = udp(0, { ...inside, address: '127.0.0.1' });
    using four = udp(1, { ...inside, address: '127.0.0.1' });
    using six = udp(2, { ...inside, address: '::1' });
    using wide = udp(3, { ...inside, address: '192.0.2.1', pmtudisc: 'do' });
    const to = { address: '127.0.0.1', port: receiver.port };
    const message = (slot: number, address = to) => ({ slot, parts: [pattern(8)], to: address });
    expect(
      transmit([
        message(four.slot),
        message(four.slot, { address: '198.51.100.1', port: 9 }),
        message(four.slot),
        message(four.slot, { address: '::1', port: 9 }),
        message(six.slot),
        { slot: four.slot, parts: [pattern(8)] },
        message(wide.slot + 1),
        message(0xffff),
        { slot: wide.slot, parts: [pattern(2000)], to: { address: '192.0.2.9', port: 9 } },
        { slot: four.slot, parts: [], to },
        message(four.slot),
      ]),
    ).toEqual([
      0,
      errno.ENETUNREACH,
      0,
      errno.EAFNOSUPPORT,
      errno.EAFNOSUPPORT,
      errno.EDESTADDRREQ,
      errno.ENODEV,
      errno.ENODEV,
      errno.EMSGSIZE,
      errno.EINVAL,
      0,
    ]);
    expect(collect(receiveDatagrams, count(3))).toHaveLength(3);
  });

  it('waits for room 20 ms in all, then refuses with EAGAIN', () => {
    using sender = udp(0, { ...inside, address: '192.0.2.1', sendBuffer: 4608 });
    // Datagrams to a neighbour that does not answer ARP stay in the socket's send buffer.
    const to = { address: '192.0.2.77', port: 9 };
    const messages = Array.from({ length: 150 }, () => ({ slot: sender.slot, parts: [pattern(1000)], to }));
    const begin = performance.now();
    const statuses = transmit(messages);
    const took = performance.now() - begin;
    const first = statuses.indexOf(errno.EAGAIN);
    expect(first).toBeGreaterThan(0);
    expect(statuses.slice(first).every((status) => status === errno.EAGAIN)).toBe(true);
    expect(took).toBeGreaterThan(15);
    expect(took).toBeLessThan(500);
  });

  it('does not poll a socket that only sends', () => {
    using sender = udp(0, { ...inside, address: '127.0.0.1' });
    const opened = addon.openUdp({ ...inside, address: '127.0.0.1', port: 0 });
    addon.adoptSocket(FIRST_SOCKET_SLOT + 76, opened.fd, 'udp', { receive: false });
    transmit([{ slot: sender.slot, parts: [pattern(8)], to: { address: '127.0.0.1', port: opened.port } }]);
    expect(addon.wait(20)).toBe(0);
    addon.drop(FIRST_SOCKET_SLOT + 76);
  });

  it('spins before it sleeps only where the last wait was short, and for as long as it was told', () => {
    using sender = udp(0, { ...inside, address: '127.0.0.1' });
    using receiver = udp(1, { ...inside, address: '127.0.0.1' });
    const used = (wait: () => void): number => {
      const before = process.threadCpuUsage();
      wait();
      const { user, system } = process.threadCpuUsage(before);
      return (user + system) / 1000;
    };
    const spin = 30;
    addon.setSpin(spin * 1000);
    try {
      expect(used(() => addon.wait(60))).toBeLessThan(spin / 2);
      const to = { address: '127.0.0.1', port: receiver.port };
      transmit([{ slot: sender.slot, parts: [pattern(8)], to }]);
      expect(addon.wait(1000)).toBe(SOCKET_READY);
      expect(receiveDatagrams()).toHaveLength(1);
      const spun = used(() => expect(addon.wait(60)).toBe(0));
      expect(spun).toBeGreaterThan(1);
      expect(spun).toBeLessThan(spin * 2);
      expect(used(() => addon.wait(60))).toBeLessThan(spin / 2);
    } finally {
      addon.setSpin(0);
    }
  });

  it('stops polling a dropped slot although a duplicate lives on', () => {
    using sender = udp(0, { ...inside, address: '127.0.0.1' });
    const opened = addon.openUdp({ ...inside, address: '127.0.0.1', port: 0 });
    const copy = addon.duplicate(opened.fd);
    addon.adoptSocket(FIRST_SOCKET_SLOT + 76, opened.fd, 'udp');
    addon.drop(FIRST_SOCKET_SLOT + 76);
    transmit([{ slot: sender.slot, parts: [pattern(8)], to: { address: '127.0.0.1', port: opened.port } }]);
    expect(addon.wait(20)).toBe(0);
    addon.adoptSocket(FIRST_SOCKET_SLOT + 76, copy, 'udp');
    expect(addon.wait(1000)).toBe(SOCKET_READY);
    expect(receiveDatagrams()).toHaveLength(1);
    addon.drop(FIRST_SOCKET_SLOT + 76);
  });

  it('sends without checksum where told so, and takes such datagrams on IPv6 only where told so', async () => {
    for (const [_, address] of families) {
      using taker = udp(0, { ...inside, address, acceptZeroChecksum: true });
      using sender = udp(1, { ...inside, address, checksum: false });
      using refuser = udp(2, { ...inside, address });
      const message = (port: number) => ({ slot: sender.slot, parts: [pattern(8)], to: { address, port } });
      expect(transmit([message(refuser.port), message(taker.port)])).toEqual([0, 0]);
      const slots = collect(receiveDatagrams, (items) => items.some(({ slot }) => slot === taker.slot)).map(
        ({ slot }) => slot,
      );
      expect(slots.includes(refuser.slot)).toBe(address === '127.0.0.1');
      expect(transmit([{ ...message(taker.port), parts: [pattern(200)], segment: 100 }])).toEqual([
        errno.EINVAL,
      ]);
    }
  });

  it('grants large buffers and binds where told', () => {
    const opened = addon.openUdp({
      ...inside,
      address: '203.0.113.1',
      port: 4789,
      freebind: true,
      device: 'veth0',
      ttl: 64,
      pmtudisc: 'probe',
      receiveBuffer: 8 << 20,
      sendBuffer: 6 << 20,
    });
    expect(opened).toMatchObject({ port: 4789, gro: false, receiveBuffer: 16 << 20, sendBuffer: 12 << 20 });
    addon.close(opened.fd);
  });

  it('names what is wrong with a socket', () => {
    const refusals: [Parameters<typeof addon.openUdp>[0], object][] = [
      [{ address: '192.0.2.300', port: 1 }, { message: expect.stringContaining("'192.0.2.300'") }],
      [
        { address: '192.0.2.1', port: 65536 },
        { message: expect.stringContaining('65536 is not in 0..65535') },
      ],
      [{ address: '192.0.2.1', port: 1, ttl: 0 }, { message: expect.stringContaining('ttl 0') }],
      [
        { address: '203.0.113.5', port: 7 },
        { code: 'EADDRNOTAVAIL', syscall: 'bind', errno: -errno.EADDRNOTAVAIL },
      ],
      [{ address: '2001:db8::5', port: 7 }, { message: expect.stringContaining('[2001:db8::5]:7') }],
      [
        { address: '192.0.2.1', port: 7, device: 'nosuch0' },
        { code: 'ENODEV', syscall: 'setsockopt(SO_BINDTODEVICE)' },
      ],
    ];
    for (const [options, error] of refusals) {
      expect(() => addon.openUdp({ ...inside, ...options })).toThrow(expect.objectContaining(error));
    }
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.openUdp({ address: '192.0.2.1', port: 1, pmtudisc: 'no' })).toThrow("not 'no'");
  });
});
