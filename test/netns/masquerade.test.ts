// Pods and the world outside: who is seen there, who within the cluster, and what of it outlives the daemon.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { seenBy } from '../support/greeter.ts';
import { type Lab, restart } from '../support/lab.ts';
import type { Netns } from '../support/netns.ts';
import { labAndOutside, type OutsideLab, outsideIps } from '../support/outside.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must } from '../support/run.ts';

describeWith([root, tun, command('nft')], 'masquerade', () => {
  let all: OutsideLab;
  let lab: Lab;
  let outside: Netns;
  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const nft = (...args: string[]) => must('nft', args, { netns: 'ow-node1' });

  beforeAll(async () => {
    const greeters = ['ow-outside', 'ow-pod2', 'ow-pod3', 'ow-node1', 'ow-node2'];
    all = await labAndOutside(['--pods-per-node', '2'], greeters);
    ({ lab, outside } = all);
  });
  afterAll(() => all?.[Symbol.asyncDispose]());

  describe.each([
    { family: 'IPv4', index: 0, pod: '10.244.1.2', node: '192.0.2.1' },
    { family: 'IPv6', index: 1, pod: 'fd00:244:1::2', node: '2001:db8::1' },
  ] as const)('in $family', ({ index, pod, node }) => {
    it("shows the node's address to the world outside", async () => {
      await expect.poll(() => seenBy('ow-pod1', outsideIps[index])).toBe(node);
    });

    it.each([
      ['a pod of the same node', ['10.244.1.4', 'fd00:244:1::4']],
      ['a pod of another node', ['10.244.2.3', 'fd00:244:2::3']],
      ['its own node', ['192.0.2.1', '2001:db8::1']],
      ['another node', ['192.0.2.2', '2001:db8::2']],
    ])("shows the pod's own address to %s", async (_, addresses) => {
      await expect.poll(() => seenBy('ow-pod1', addresses[index] ?? '')).toBe(pod);
    });

    it("shows the pod's own address where the configuration excepts the destination", async () => {
      const prefix = index === 0 ? '192.0.2.200/31' : '2001:db8::200/127';
      await must('ip', [
        ...['-n', outside.name, 'route', 'replace', index === 0 ? '10.244.1.0/24' : 'fd00:244:1::/64'],
        ...['via', node],
      ]);
      const pid = node1().pid;
      await restart(node1(), (config) => ({ ...config, masquerade: { exceptCIDRs: [prefix] } }));
      expect(pid).not.toBe((await daemonStatus(node1().socket)).pid);
      await expect.poll(() => seenBy('ow-pod1', outsideIps[index])).toBe(pod);
      await restart(node1(), (config) => ({ ...config, masquerade: {} }));
      await expect.poll(() => seenBy('ow-pod1', outsideIps[index])).toBe(node);
    });
  });

  it('changes forwarding of the devices that lead outside only, and says which', async () => {
    const { masquerade } = await daemonStatus(node1().socket);
    expect(masquerade).toMatchObject({ enabled: true, faults: [], exceptCIDRs: [] });
    const settings = await must(
      'sysctl',
      ['-a', '--pattern', String.raw`net\.ipv[46]\.conf\..*\.(force_)?forwarding`],
      { netns: 'ow-node1' },
    );
    expect(settings).toMatch(/^net\.ipv4\.conf\.all\.forwarding = 0$/m);
    expect(settings).toMatch(/^net\.ipv6\.conf\.all\.forwarding = 0$/m);
    expect(settings).toMatch(/^net\.ipv4\.conf\.under0\.forwarding = 1$/m);
    expect(settings).toMatch(/^net\.ipv6\.conf\.under0\.force_forwarding = 1$/m);
  });

  it('keeps tunnels out of connection tracking', async () => {
    await expect.poll(() => seenBy('ow-pod1', outsideIps[0])).toBe('192.0.2.1');
    await seenBy('ow-pod1', '10.244.2.3');
    const tracked = await must('cat', ['/proc/net/nf_conntrack'], { netns: 'ow-node1' });
    expect(tracked).toMatch(/dst=192\.0\.2\.200 .*dport=7007/);
    expect(tracked).not.toMatch(/dport=6081/);
  });

  it('comes back after somebody has flushed all tables', async () => {
    await nft('flush', 'ruleset');
    await expect
      .poll(() => nft('list', 'tables'), { timeout: 30_000, interval: 500 })
      .toMatch(/overweft-masquerade/);
    await expect.poll(() => seenBy('ow-pod1', outsideIps[0])).toBe('192.0.2.1');
  });

  it('is taken away where the configuration switches it off', async () => {
    await restart(node1(), (config) => ({ ...config, masquerade: { enabled: false } }));
    await expect.poll(() => nft('list', 'tables')).not.toMatch(/overweft-masquerade/);
    await restart(node1(), (config) => ({ ...config, masquerade: {} }));
    await expect.poll(() => nft('list', 'tables')).toMatch(/overweft-masquerade/);
  });
});
