import { constants } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MAX_PORTS } from '../../asm/layout/memory.ts';
import { SLOT_FAILED, TAP_READY } from '../../src/phy/addon.ts';
import { type Netns, netns } from '../support/netns.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';
import {
  ARENA,
  addon,
  collect,
  count,
  type Frame,
  HEADROOM,
  MAX_FRAME,
  pattern,
  receiveFrames,
  tap,
  transmit,
  udp,
} from './burst.ts';

const VNET = 12;
const GSO_TYPE = 1;
const GSO_SIZE = 4;
const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
const { errno } = constants;
/** Not in os.constants: file descriptor in bad state. */
const EBADFD = 77;

const udpTo = (port: number) => (frame: Frame) =>
  frame.data[VNET + 12] === 8 &&
  frame.data[VNET + 13] === 0 &&
  frame.data[VNET + 14 + 9] === 17 &&
  ((frame.data[VNET + 14 + 22] ?? 0) << 8) + (frame.data[VNET + 14 + 23] ?? 0) === port;

describeWith([root, tun, command('ip'), command('ping')], 'TAP', () => {
  let ns: Netns;
  const path = '/run/netns/ownat-tap';
  beforeAll(async () => {
    ns = await netns('ownat-tap');
    await ns.exec('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
  });
  afterAll(async () => ns[Symbol.asyncDispose]());

  /** Brings a TAP up at 10.99.N.1/24, with a neighbour at .2 that needs no ARP. */
  async function configure(name: string, n: number): Promise<void> {
    await ns.exec('ip', 'link', 'set', name, 'up');
    await ns.exec('ip', 'address', 'add', `10.99.${n}.1/24`, 'dev', name);
    await ns.exec('ip', 'neighbour', 'add', `10.99.${n}.2`, 'lladdr', '02:00:00:00:00:02', 'dev', name);
  }

  it('is made anew, or taken up, as the caller says', () => {
    expect(() => addon.openTap({ name: 'some0', netns: path, presence: 'existing' })).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    );
    const { fd } = addon.openTap({ name: 'some0', netns: path, presence: 'new' });
    expect(() => addon.openTap({ name: 'some0', netns: path, presence: 'new' })).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    );
    addon.close(addon.openTap({ name: 'some0', netns: path, presence: 'existing' }).fd);
    addon.close(fd);
  });

  it('carries a ping from a namespace and back', async () => {
    using port = tap(3, { name: 'ping0', netns: path });
    await configure('ping0', 1);
    const ping = run('ping', ['-c', '1', '-W', '2', '-s', '1000', '10.99.1.2'], { netns: 'ownat-tap' });
    // The loop below must not block: ping is started by this thread.
    let request: Frame | undefined;
    for (const deadline = Date.now() + 2000; !request && Date.now() < deadline; ) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      addon.wait(0);
      request = receiveFrames().find((frame) => frame.data[VNET + 14 + 9] === 1);
    }
    expect(request?.port).toBe(3);
    const reply = Uint8Array.from(request?.data ?? []);
    const ethernet = reply.subarray(VNET);
    ethernet.set([...ethernet.slice(6, 12), ...ethernet.slice(0, 6)]);
    const ip = ethernet.subarray(14);
    ip.set([...ip.slice(16, 20), ...ip.slice(12, 16)], 12);
    const icmp = ip.subarray(20);
    expect(icmp[0]).toBe(8);
    icmp[0] = 0;
    // Type 8 → 0 is the only change: RFC 1624 adds it back to the checksum.
    const sum = ((icmp[2] ?? 0) << 8) + (icmp[3] ?? 0) + 0x800;
    const folded = (sum & 0xffff) + (sum >> 16);
    icmp.set([folded >> 8, folded & 0xff], 2);

    const parts = [reply.subarray(0, VNET), reply.subarray(VNET, 60), reply.subarray(60)];
    expect(transmit([{ slot: port.slot, parts }])).toEqual([0]);
    expect((await ping).status).toBe(0);
  });

  it('takes a UDP superframe whole when USO is on, and datagram by datagram when it is off', async () => {
    for (const uso of [true, false]) {
      const opened = addon.openTap({ name: 'uso0', netns: path, offloads: { uso } });
      expect(opened.offloads).toEqual({ csum: true, tso: true, uso });
      addon.adoptTap(4, opened.fd);
      await configure('uso0', 2);
      {
        using sender = udp(0, { address: '10.99.2.1', netns: path });
        const to = { address: '10.99.2.2', port: 7000 };
        expect(transmit([{ slot: sender.slot, parts: [pattern(1000)], segment: 100, to }])).toEqual([0]);
        const frames = collect(receiveFrames, count(uso ? 1 : 10)).filter(udpTo(7000));
        expect(frames).toHaveLength(uso ? 1 : 10);
        const payload = frames.flatMap((frame) => [...frame.data.subarray(VNET + 14 + 28)]);
        expect(Uint8Array.from(payload)).toEqual(pattern(1000));
        const vnet = frames[0]?.data ?? new Uint8Array(VNET);
        expect(vnet[GSO_TYPE]).toBe(uso ? VIRTIO_NET_HDR_GSO_UDP_L4 : 0);
        if (uso) expect(vnet[GSO_SIZE]).toBe(100);
      }
      addon.drop(4);
    }
  });

  it('gives no offload when checksums are not wanted', () => {
    const opened = addon.openTap({ name: 'plain0', netns: path, offloads: { csum: false } });
    expect(opened.offloads).toEqual({ csum: false, tso: false, uso: false });
    addon.close(opened.fd);
  });

  it('places frames behind their headroom, 64 bytes aligned, and leaves what does not fit the arena', async () => {
    using port = tap(5, { name: 'arena0', netns: path });
    using sender = udp(0, { address: '0.0.0.0', netns: path });
    await configure('arena0', 3);
    const to = { address: '10.99.3.2', port: 7001 };
    const parts = Array.from({ length: 5 }, (_, index) => pattern(50 + index, index));
    expect(transmit(parts.map((part) => ({ slot: sender.slot, parts: [part], to })))).toEqual([
      0, 0, 0, 0, 0,
    ]);

    expect(addon.wait(1000) & TAP_READY).toBe(TAP_READY);
    const room = HEADROOM + MAX_FRAME;
    const first = receiveFrames(128, ARENA + room + 2 * 320);
    expect(first).toHaveLength(3);
    for (const frame of first) expect((frame.offset - HEADROOM) % 64).toBe(0);
    expect(first.map((frame) => frame.offset)).toEqual([0, 1, 2].map((n) => ARENA + n * 320 + HEADROOM));
    const rest = receiveFrames();
    expect([...first, ...rest].map((frame) => frame.data.subarray(VNET + 14 + 28))).toEqual(parts);
    expect(rest.every((frame) => frame.port === port.slot)).toBe(true);
    expect(receiveFrames()).toEqual([]);
  });

  it('lets no busy TAP starve another, and goes on after the one served last', async () => {
    using busy = tap(6, { name: 'busy0', netns: path });
    using quiet = tap(7, { name: 'quiet0', netns: path });
    using sender = udp(0, { address: '0.0.0.0', netns: path });
    await configure('busy0', 4);
    await configure('quiet0', 5);
    const message = (n: number) => ({
      slot: sender.slot,
      parts: [pattern(20)],
      to: { address: `10.99.${n}.2`, port: 7002 },
    });
    transmit([...Array.from({ length: 100 }, () => message(4)), message(5), message(5)]);
    addon.wait(1000);
    const ports = receiveFrames(128).map((frame) => frame.port);
    expect(ports).toHaveLength(102);
    expect(ports.indexOf(quiet.slot)).toBe(64);
    expect(ports.slice(66).every((port) => port === busy.slot)).toBe(true);

    transmit([message(4), message(4), message(5), message(5)]);
    addon.wait(1000);
    expect(receiveFrames(1).map((frame) => frame.port)).toEqual([quiet.slot]);
    expect(receiveFrames(1).map((frame) => frame.port)).toEqual([busy.slot]);
  });

  it('reads a flow from the queue that it was last written to', async () => {
    const queues = 4;
    const opened = Array.from({ length: queues }, () => addon.openTap({ name: 'multi0', netns: path }));
    for (const [queue, { fd }] of opened.entries()) addon.adoptTap(9 + queue * MAX_PORTS, fd);
    await configure('multi0', 7);
    using sender = udp(0, { address: '10.99.7.1', netns: path });
    const to = { address: '10.99.7.2', port: 7003 };
    const sent = () => {
      expect(transmit([{ slot: sender.slot, parts: [pattern(30)], to }])).toEqual([0]);
      return collect(receiveFrames, count(1)).find(udpTo(7003));
    };
    const reply = Uint8Array.from(sent()?.data ?? []);
    const ethernet = reply.subarray(VNET);
    ethernet.set([...ethernet.slice(6, 12), ...ethernet.slice(0, 6)]);
    const ip = ethernet.subarray(14);
    ip.set([...ip.slice(16, 20), ...ip.slice(12, 16)], 12);
    ip.set([...ip.slice(22, 24), ...ip.slice(20, 22)], 20);
    for (const queue of [2, 1, 3, 0]) {
      expect(transmit([{ slot: 9, queue, parts: [reply] }])).toEqual([0]);
      expect(sent()).toMatchObject({ port: 9, queue });
    }
    expect(transmit([{ slot: 9, queue: queues, parts: [reply] }])).toEqual([errno.ENODEV]);
    for (let queue = 0; queue < queues; queue++) addon.drop(9 + queue * MAX_PORTS);
  });

  it('attaches again to a persistent TAP, which keeps address and routes meanwhile', async () => {
    const first = addon.openTap({ name: 'keep0', netns: path, persist: true });
    await configure('keep0', 6);
    addon.close(first.fd);
    expect(await ns.exec('ip', '-o', 'address', 'show', 'keep0')).toContain('10.99.6.1');
    expect(await ns.exec('ip', 'route', 'show', 'dev', 'keep0')).toContain('linkdown');
    {
      using _queue = tap(8, { name: 'keep0', netns: path, persist: true });
      using _further = tap(9, { name: 'keep0', netns: path, persist: true });
      using sender = udp(0, { address: '0.0.0.0', netns: path });
      transmit([{ slot: sender.slot, parts: [pattern(9)], to: { address: '10.99.6.2', port: 7003 } }]);
      const frames = collect(receiveFrames, (items) => items.some(udpTo(7003)));
      expect(frames.find(udpTo(7003))?.data.subarray(VNET + 14 + 28)).toEqual(pattern(9));
      addon.deleteTap({ name: 'keep0', netns: path });
      expect(await ns.exec('ip', '-o', 'link', 'show')).toContain('keep0');
    }
    expect(await ns.exec('ip', '-o', 'link', 'show')).not.toContain('keep0');
    expect(() => addon.deleteTap({ name: 'keep0', netns: path })).toThrow(/ENODEV.*keep0/);
  });

  it('reports a TAP that vanished, once, and the others go on', async () => {
    using port = tap(10, { name: 'gone0', netns: path });
    using _other = tap(11, { name: 'other0', netns: path });
    await ns.exec('ip', 'link', 'delete', 'gone0');
    expect(addon.wait(1000) & TAP_READY).toBe(TAP_READY);
    expect(receiveFrames()).toEqual([]);
    expect(addon.wait(1000) & SLOT_FAILED).toBe(SLOT_FAILED);
    expect(addon.takeFailures()).toEqual([
      { slot: port.slot, code: 'EBADFD', errno: -EBADFD, syscall: 'read' },
    ]);
    expect(addon.takeFailures()).toEqual([]);
    expect(addon.wait(0)).toBe(0);
    expect(transmit([{ slot: port.slot, parts: [pattern(80)] }])).toEqual([EBADFD]);
  });

  it('gives the errno of a frame that the TAP refuses and sends the rest of the burst', async () => {
    using down = tap(12, { name: 'down0', netns: path });
    using up = tap(13, { name: 'up0', netns: path });
    await configure('up0', 7);
    const frame = new Uint8Array(VNET + 60);
    const before = Number(await ns.exec('cat', '/sys/class/net/up0/statistics/rx_packets'));
    expect(
      transmit([
        { slot: down.slot, parts: [frame] },
        { slot: up.slot, parts: [frame] },
        { slot: up.slot, parts: [frame.subarray(0, 5)] },
        { slot: up.slot, parts: [frame] },
      ]),
    ).toEqual([errno.EIO, 0, errno.EINVAL, 0]);
    expect(Number(await ns.exec('cat', '/sys/class/net/up0/statistics/rx_packets'))).toBe(before + 2);
  });

  it('names what is wrong with a TAP', () => {
    expect(() => addon.openTap({ name: 'far-too-long-name' })).toThrow(/far-too-long-name.*15 bytes/);
    expect(() => addon.openTap({ name: 'x0', netns: '/run/netns/ownat-none' })).toThrow(
      expect.objectContaining({ code: 'ENOENT', errno: -errno.ENOENT, syscall: 'open' }),
    );
    expect(() => addon.openTap({ name: 'lo', netns: path })).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        syscall: 'ioctl(TUNSETIFF)',
        message: expect.stringContaining("'lo'"),
      }),
    );
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.openTap({ name: 5 })).toThrow("openTap: 'name' must be a string");
  });
});
