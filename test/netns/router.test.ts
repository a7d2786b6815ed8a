// What a router owes its neighbours: errors that reach the sender, fragments, and no spoofed source.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ping } from '../../src/lab/traffic.ts';
import { dropsOf, type Lab, labUp } from '../support/lab.ts';
import { describeWith, root, scapy, tun } from '../support/requires.ts';
import { must, run } from '../support/run.ts';
import { scapyAt } from '../support/scapy.ts';

/** 1500 less GENEVE over IPv4: outer IPv4, UDP, GENEVE and inner Ethernet headers. */
const tunnelMTU = 1500 - 20 - 8 - 8 - 14;

describeWith([root, tun], 'router', () => {
  let lab: Lab;
  let near: readonly string[];
  let far: readonly string[];

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
    near = lab.pods[2]?.ips ?? [];
    far = lab.pods[1]?.ips ?? [];
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const inPod1 = (command: string, ...args: string[]) => run(command, args, { netns: 'ow-pod1' });
  const families = [
    { family: 'IPv4', index: 0, headers: 28 },
    { family: 'IPv6', index: 1, headers: 48 },
  ] as const;

  describe.each(families)('in $family', ({ index, headers }) => {
    it('gives the pod the MTU that the tunnel leaves', async () => {
      const [link] = JSON.parse((await inPod1('ip', '-json', 'link', 'show', 'eth0')).stdout);
      expect(link.mtu).toBe(tunnelMTU);
      const size = `${tunnelMTU - headers}`;
      const { status, stdout } = await inPod1(
        'ping',
        '-n',
        '-M',
        'do',
        '-s',
        size,
        '-c',
        '1',
        far[index] ?? '',
      );
      expect(status, stdout).toBe(0);
    });

    it('tells a sender that knows no better how much fits the tunnel', async () => {
      await must('ip', ['-n', 'ow-pod1', 'link', 'set', 'eth0', 'mtu', '1500']);
      try {
        const oversize = [
          '-n',
          '-M',
          'do',
          '-s',
          `${1500 - headers}`,
          '-c',
          '1',
          '-W',
          '10',
          far[index] ?? '',
        ];
        const { stdout, stderr } = await inPod1('ping', ...oversize);
        expect(stdout + stderr).toMatch(/Frag needed|too big/i);
        const learned = await inPod1('ip', 'route', 'get', far[index] ?? '');
        expect(learned.stdout).toContain(`mtu ${tunnelMTU}`);
      } finally {
        await must('ip', ['-n', 'ow-pod1', 'link', 'set', 'eth0', 'mtu', `${tunnelMTU}`]);
        await must('ip', ['-n', 'ow-pod1', index === 0 ? '-4' : '-6', 'route', 'flush', 'cache']);
      }
    });

    it('reports a packet whose hop count is used up', async () => {
      const { stdout } = await inPod1('ping', '-n', '-t', '1', '-c', '1', '-W', '10', far[index] ?? '');
      expect(stdout).toMatch(/Time to live exceeded|Hop limit/i);
      expect((await inPod1('ping', '-n', '-t', '2', '-c', '1', '-W', '10', far[index] ?? '')).status).toBe(0);
    });

    it.each([
      ['near', () => near],
      ['far', () => far],
    ])('carries fragments to a pod that is %s', async (_, to) => {
      for (const size of ['4000', '30000']) {
        const { status, stdout } = await inPod1(
          'ping',
          '-n',
          '-s',
          size,
          '-c',
          '2',
          '-i',
          '0.2',
          to()[index] ?? '',
        );
        expect(status, stdout).toBe(0);
      }
    });

    it('says that an address nobody has cannot be reached', async () => {
      const nobody = index === 0 ? '10.244.1.99' : 'fd00:244:1::99';
      const before = await dropsOf(node1(), 'no-endpoint');
      expect(await ping('ow-pod1', nobody)).toBeNull();
      expect(await dropsOf(node1(), 'no-endpoint')).toBeGreaterThan(before);
    });
  });

  describeWith([scapy], 'with a pod that lies', () => {
    const [pod1, pod2] = ['10.244.1.2', '10.244.2.3'];
    const echo = (source: string, version: 4 | 6) =>
      version === 4
        ? `IP(src="${source}", dst="${pod2}")/ICMP()`
        : `IPv6(src="${source}", dst="fd00:244:2::3")/ICMPv6EchoRequest()`;

    it.each([
      [
        'IPv4 address',
        (mac: string, gateway: string) => `Ether(src="${mac}", dst="${gateway}")/${echo('10.244.1.4', 4)}`,
      ],
      [
        'IPv6 address',
        (mac: string, gateway: string) => `Ether(src="${mac}", dst="${gateway}")/${echo('fd00:244:1::4', 6)}`,
      ],
      [
        'MAC',
        (_: string, gateway: string) => `Ether(src="02:00:00:00:00:99", dst="${gateway}")/${echo(pod1, 4)}`,
      ],
    ])('drops what has a foreign %s, by name', async (_, frame) => {
      await ping('ow-pod1', pod2);
      const [link] = JSON.parse((await inPod1('ip', '-json', 'link', 'show', 'eth0')).stdout);
      const neighbors = JSON.parse(
        (await inPod1('ip', '-json', '-4', 'neighbor', 'show', 'dev', 'eth0')).stdout,
      );
      await using liar = await scapyAt('ow-pod1', 'eth0');
      const before = await dropsOf(node1(), 'source-spoofed');
      await liar.send(frame(link.address, neighbors[0].lladdr));
      await expect.poll(() => dropsOf(node1(), 'source-spoofed')).toBe(before + 1);
    });
  });
});
