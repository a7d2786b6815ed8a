// Superframes through the node's kernel: probed, used, and not used where they would not come through.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import type { InjectionState } from '../../src/daemon/ports/injection.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { addon } from '../native/burst.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { command, describeWith, type Requirement, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';

const tunnelGso: Requirement = {
  name: 'tunnel GSO on TAPs (Linux ≥ 6.17)',
  met: () => root.met() && tun.met() && addon.probe().tunnelGso.available,
};

const port = 5001;
const bytes = 32 << 20;
const settled = { timeout: 15_000, interval: 200 };

/** Of the tunnel to the only peer, once it has been probed. */
async function injectionOf({ socket }: { readonly socket: string }): Promise<InjectionState | undefined> {
  const { peers } = await daemonStatus(socket);
  const state = peers[0]?.tunnels.find(({ preferred }) => preferred)?.injection;
  return state?.reason === 'not probed yet' ? undefined : state;
}

const isUsed = async (node: { readonly socket: string }) => (await injectionOf(node))?.used;
const injected = async (node: { readonly socket: string }) =>
  (await daemonStatus(node.socket)).counters.events.injected ?? 0;

describeWith([root, tun, tunnelGso, command('nft')], 'injection', () => {
  describe.each([
    ['--encap', 'geneve', '--underlay', 'ipv4'],
    ['--encap', 'geneve', '--underlay', 'ipv6'],
    ['--encap', 'vxlan', '--underlay', 'ipv4'],
    ['--encap', 'vxlan', '--underlay', 'ipv6'],
  ])('%s %s %s %s', (...args) => {
    it('carries TCP of both families, every byte as it was sent', async () => {
      await using lab = await labUp(...args);
      await using client = trafficIn('ow-pod1');
      await using server = trafficIn('ow-pod2');
      await server.listen({ port, mode: 'sink' });
      for (const node of lab.nodes) await expect.poll(() => isUsed(node), settled).toBe(true);
      const [sender] = lab.nodes as [Lab['nodes'][0]];
      for (const address of lab.pods[1]?.ips ?? []) {
        const before = await injected(sender);
        const transfer = await client.send({ address, port, bytes, hash: true });
        expect(transfer, address).toMatchObject({ bytes, intact: true });
        expect(await injected(sender), address).toBeGreaterThan(before + 100);
      }
    });
  });

  describe('where it would not do', () => {
    let lab: Lab;
    let client: Traffic;
    let server: Traffic;

    beforeAll(async () => {
      lab = await labUp('--underlay-offloads', 'none');
      client = trafficIn('ow-pod1');
      server = trafficIn('ow-pod2');
      await server.listen({ port, mode: 'sink' });
    });
    afterAll(async () => {
      await client?.[Symbol.asyncDispose]();
      await server?.[Symbol.asyncDispose]();
      await lab?.[Symbol.asyncDispose]();
    });

    it('is not used over a device that does not split tunnels', async () => {
      const [node] = lab.nodes as [Lab['nodes'][0]];
      await expect
        .poll(() => injectionOf(node), settled)
        .toMatchObject({
          used: false,
          reason: expect.stringContaining('does not have tx-udp_tnl-csum-segmentation'),
        });
      await intact(node, 0);
    });

    it('is used there when the configuration says so', async () => {
      const node = await restarted({ tunnelGso: 'on' });
      await expect.poll(() => isUsed(node), settled).toBe(true);
      await intact(node, 100);
    });

    it('is not used where a firewall forbids forwarding, and traffic goes on', async () => {
      const hook = 'type filter hook forward priority 0; policy drop;';
      const ruleset = `table inet closed {
 chain forward {
 ${hook}
 }
}
`;
      expect(await run('nft', ['-f', '-'], { netns: 'ow-node1', input: ruleset })).toMatchObject({
        status: 0,
      });
      const node = await restarted({ tunnelGso: 'on' });
      await expect
        .poll(() => injectionOf(node), settled)
        .toEqual({
          used: false,
          reason: 'injected packets do not come through',
        });
      await intact(node, 0);
    });

    /** A transfer of which at least, or where it is 0 exactly, so many superframes are injected. */
    async function intact(node: { readonly socket: string }, least: number): Promise<void> {
      const [address = ''] = lab.pods[1]?.ips ?? [];
      const before = await injected(node);
      expect(await client.send({ address, port, bytes, hash: true })).toMatchObject({ bytes, intact: true });
      const count = (await injected(node)) - before;
      if (least === 0) expect(count).toBe(0);
      else expect(count).toBeGreaterThan(least);
    }

    /** Node 1, its daemon anew with other switches. */
    async function restarted(offloads: object): Promise<Lab['nodes'][0]> {
      const [node] = lab.nodes as [Lab['nodes'][0]];
      await restart(node, (config) => ({ ...config, offloads }));
      return node;
    }
  });
});
