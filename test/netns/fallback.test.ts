// A peer that cannot be reached by the preferred tunnel is reached by another one, and said by name.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { ping } from '../../src/lab/traffic.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, overweft } from '../support/run.ts';

describeWith([root, tun, command('nft')], 'fallback', () => {
  describe.each(['geneve', 'ipip'])('of %s', fallsBack);
  describe('across encapsulations', usesTheOther);
});

const within = { timeout: 60_000, interval: 500 };
const reach = () => Promise.all(['10.244.2.3', 'fd00:244:2::3'].map((to) => ping('ow-pod1', to)));

function usesTheOther(): void {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
    for (const node of lab.nodes)
      await restart(node, (config) => ({
        ...config,
        liveness: { interval: 1, timeout: 3 },
        fallbackEncapsulations: ['vxlan'],
      }));
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const fallbacks = () =>
    Promise.all(lab.nodes.map(async ({ socket }) => (await daemonStatus(socket)).peers[0]?.fallback));
  const nft = async (input: string) => {
    for (const { netns } of lab.nodes) await must('nft', ['-f', '-'], { netns, input });
  };

  it('reaches a peer by VXLAN where the underlay carries no GENEVE either way, says so, and comes back', {
    timeout: 240_000,
  }, async () => {
    await expect.poll(reach, within).not.toContain(null);
    expect(await fallbacks()).toEqual([null, null]);
    await nft('table inet lab { chain out { type filter hook output priority 0; udp dport 6081 drop\n}\n}');
    const instead = {
      tunnel: 'vxlan/ipv4',
      instead: 'geneve/ipv4',
      reason: 'nothing that is sent by geneve/ipv4 arrives',
    };
    await expect
      .poll(fallbacks, { timeout: 90_000, interval: 500 })
      .toEqual([expect.objectContaining(instead), expect.objectContaining(instead)]);
    await expect.poll(reach, within).not.toContain(null);
    await nft('delete table inet lab');
    await expect.poll(fallbacks, { timeout: 90_000, interval: 500 }).toEqual([null, null]);
    await expect.poll(reach, within).not.toContain(null);
  });
}

function fallsBack(encapsulation: string): void {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp('--encap', encapsulation);
    for (const node of lab.nodes)
      await restart(node, (config) => ({ ...config, liveness: { interval: 1, timeout: 3 } }));
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const peer = async () => (await daemonStatus(node1().socket)).peers[0] ?? expect.fail('no peer');
  const block = (family: 'ip' | 'ip6', address: string) =>
    must('nft', ['-f', '-'], {
      netns: 'ow-node1',
      input: `table inet lab-${family} { chain out { type filter hook output priority 0;
        ${family} daddr ${address} ${encapsulation === 'ipip' ? 'meta l4proto { 4, 41 }' : 'udp dport 6081'} drop
      }
      }`,
    });
  const unblock = (family: 'ip' | 'ip6') =>
    must('nft', ['delete', 'table', 'inet', `lab-${family}`], { netns: 'ow-node1' });

  it('uses the tunnel of the other family, shows it, and comes back', { timeout: 180_000 }, async () => {
    await expect.poll(reach, within).not.toContain(null);
    expect((await peer()).fallback).toBeNull();
    await block('ip', '192.0.2.2');
    await expect
      .poll(async () => (await peer()).fallback, within)
      .toEqual({
        tunnel: `${encapsulation}/ipv6`,
        instead: `${encapsulation}/ipv4`,
        reason: `nothing that is sent by ${encapsulation}/ipv4 arrives`,
        since: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      });
    await expect.poll(reach, within).not.toContain(null);
    await expect.poll(async () => (await peer()).state, within).toBe('alive');
    const { stdout } = await overweft(['status', '--socket', node1().socket]);
    expect(stdout).toMatch(
      /peer node-2 +reached by \w+\/ipv6 since .*: nothing that is sent by \w+\/ipv4 arrives/,
    );

    await unblock('ip');
    await expect.poll(async () => (await peer()).fallback, within).toBeNull();
    expect((await peer()).tunnels.find(({ preferred }) => preferred)?.family).toBe(4);
    await expect.poll(reach, within).not.toContain(null);
  });

  it('changes nothing where no tunnel bears', { timeout: 180_000 }, async () => {
    await block('ip', '192.0.2.2');
    await block('ip6', '2001:db8::2');
    await expect
      .poll(async () => (await overweft(['status', '--socket', node1().socket])).stdout, within)
      .toMatch(/peer node-2 +(?:is dead|does not answer)/);
    const { fallback, tunnels } = await peer();
    expect(fallback).toBeNull();
    expect(tunnels.find(({ preferred }) => preferred)?.family).toBe(4);
    await unblock('ip');
    await unblock('ip6');
    await expect.poll(reach, within).not.toContain(null);
  });
}
