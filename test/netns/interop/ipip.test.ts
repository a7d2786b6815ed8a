// IPIP has no peer on many kernels: its bytes are compared with what scapy builds, both ways, through real raw sockets.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dropsOf } from '../../support/lab.ts';
import { describeWith, root, scapy, tun } from '../../support/requires.ts';
import { must } from '../../support/run.ts';
import { type Scapy, scapyAt } from '../../support/scapy.ts';
import { type Family, names, twoEnds } from './setup.ts';
import { far, near } from './topology.ts';

const ipip = 4;
const ipv6 = 41;
const payload = 'Raw(bytes(range(256)) * 3)';

/** scapy expressions of the inner packet, the same but for the hop count. */
const inner = {
  4: (from: string, to: string, ttl: number, tos = 0) =>
    `IP(src="${from}", dst="${to}", ttl=${ttl}, id=0x1234, flags="DF", tos=${tos})/UDP(sport=4000, dport=4001)/${payload}`,
  6: (from: string, to: string, ttl: number, tos = 0) =>
    `IPv6(src="${from}", dst="${to}", hlim=${ttl}, tc=${tos}, fl=0xabcde)/UDP(sport=4000, dport=4001)/${payload}`,
} as const;

for (const outer of [4, 6] as const) {
  describeWith([root, tun, scapy], `IPIP over IPv${outer} beside scapy`, () => {
    let ends: Awaited<ReturnType<typeof twoEnds>>;
    let pod: Scapy;
    let peer: Scapy;

    beforeAll(async () => {
      ends = await twoEnds('ipip', outer, true, async () => undefined);
      pod = await scapyAt(names.pod, 'eth0');
      peer = await scapyAt(names.peer, 'under0');
    });
    afterAll(async () => {
      await pod?.[Symbol.asyncDispose]();
      await peer?.[Symbol.asyncDispose]();
      await ends?.[Symbol.asyncDispose]();
    });

    it.each([4, 6] as const)(`sends %iin${outer} as scapy builds it`, async (version) => {
      const [source, destination] = podAddresses(version);
      await pod.send(
        `Ether(src="${await macOf(names.pod, 'eth0')}", dst="${near.routerMAC}")/${inner[version](source, destination, 64)}`,
      );
      const frame = Buffer.from(await peer.receive(isTunnel(outer, version)), 'hex');
      const packet = frame.subarray(14);
      // Identification is the sender's own choice; every other byte follows from the RFCs.
      const expected = await peer.build(
        `${outerHeader(outer, version, near.underlay, far.underlay, packet)}/${inner[version](source, destination, 63)}`,
      );
      expect(packet.toString('hex')).toBe(expected);
    });

    it.each([4, 6] as const)(`opens %iin${outer} that scapy built`, async (version) => {
      const [destination, source] = podAddresses(version);
      await sendFromPeer(version, inner[version](source, destination, 61), 0);
      const frame = await pod.receive(isFrom(version, source));
      expect(frame).toBe(await podFrame(inner[version](source, destination, 61)));
    });

    it.each([4, 6] as const)(
      'takes congestion marks over into the inner IPv%i (RFC 6040)',
      async (version) => {
        const [destination, source] = podAddresses(version);
        const ect0 = 2;
        const ce = 3;
        await sendFromPeer(version, inner[version](source, destination, 61, ect0), ce);
        const frame = await pod.receive(isFrom(version, source));
        expect(frame).toBe(await podFrame(inner[version](source, destination, 61, ce)));
      },
    );

    it.each([
      ['inner-source-spoofed', far.underlay, near.pod],
      ['unknown-peer', ['192.0.2.77', '2001:db8::77'], far.pod],
    ] as const)('drops by the name %s', async (name, outerSource, innerSource) => {
      const before = await dropsOf(ends.node.daemon, name);
      for (const version of [4, 6] as const) {
        const [destination] = podAddresses(version);
        const packet = inner[version](innerSource[version === 4 ? 0 : 1], destination, 61);
        await sendFromPeer(version, packet, 0, outerSource);
      }
      await expect.poll(() => dropsOf(ends.node.daemon, name)).toBe(before + 2);
    });

    const sendFromPeer = async (
      version: Family,
      packet: string,
      tos: number,
      source: readonly [string, string] = far.underlay,
    ): Promise<void> => {
      const ether = `Ether(src="${await macOf(names.peer, 'under0')}", dst="${await macOf(names.node, 'under0')}")`;
      await peer.send(
        `${ether}/${outerHeader(outer, version, source, near.underlay, undefined, tos)}/${packet}`,
      );
    };
    const podFrame = async (packet: string): Promise<string> =>
      pod.build(`Ether(src="${near.routerMAC}", dst="${await macOf(names.pod, 'eth0')}")/${packet}`);
  });
}

const podAddresses = (version: Family): [string, string] =>
  version === 4 ? [near.pod[0], far.pod[0]] : [near.pod[1], far.pod[1]];

function outerHeader(
  family: Family,
  version: Family,
  from: readonly [string, string],
  to: readonly [string, string],
  seen?: Buffer,
  tos = 0,
): string {
  const next = version === 4 ? ipip : ipv6;
  return family === 4
    ? `IP(src="${from[0]}", dst="${to[0]}", proto=${next}, ttl=64, flags="DF", tos=${tos}, id=${seen?.readUInt16BE(4) ?? 1})`
    : `IPv6(src="${from[1]}", dst="${to[1]}", nh=${next}, hlim=64, tc=${tos}, fl=${seen ? seen.readUInt32BE() & 0xfffff : 0})`;
}

const etherTypes = { 4: '0800', 6: '86dd' } as const;
const etherType = (frame: string): string => frame.slice(24, 28);

const isTunnel = (outer: Family, version: Family) => (frame: string) => {
  const next = Number.parseInt(outer === 4 ? frame.slice(46, 48) : frame.slice(40, 42), 16);
  return etherType(frame) === etherTypes[outer] && next === (version === 4 ? ipip : ipv6);
};

const isFrom = (version: Family, source: string) => (frame: string) =>
  etherType(frame) === etherTypes[version] && frame.includes(hexOf(version, source));

/** Hexadecimal address bytes. */
function hexOf(version: Family, address: string): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  if (version === 4)
    return address
      .split('.')
      .map((part) => hex(Number(part), 2))
      .join('');
  const [head = '', tail = ''] = address.split('::');
  const words = (text: string) =>
    text
      .split(':')
      .filter((word) => word !== '')
      .map((word) => word.padStart(4, '0'));
  const [left, right] = [words(head), words(tail)];
  return [...left, ...Array(8 - left.length - right.length).fill('0000'), ...right].join('');
}

const macOf = async (netns: string, link: string): Promise<string> =>
  JSON.parse(await must('ip', ['-n', netns, '-json', 'link', 'show', link]))[0].address;
