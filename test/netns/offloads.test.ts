// Each offload has a switch that turns it off; traffic is the same without it.
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';

const switches = ['tso', 'uso', 'udpSegment', 'udpGro', 'coalesce', 'tunnelGso'] as const;

describeWith([root, tun], 'offload switches', () => {
  let lab: Lab;
  let client: Traffic;
  let server: Traffic;
  const [tcpPort, udpPort] = [5001, 5002];
  const bytes = 24 << 20;

  beforeAll(async () => {
    lab = await labUp();
    client = trafficIn('ow-pod1');
    server = trafficIn('ow-pod2');
    await server.listen({ port: tcpPort, mode: 'sink' });
    await server.listenUdp({ port: udpPort });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  describe.each([
    ...switches.map((name) => ({ title: name, off: [name] })),
    { title: 'all', off: [...switches] },
  ])('$title off', ({ off }) => {
    it('shows in the status, and TCP and UDP arrive intact', async () => {
      await restart(Object.fromEntries(off.map((name) => [name, 'off'])));
      for (const { socket } of lab.nodes) {
        const { offloads } = await daemonStatus(socket);
        const used = switches.filter((name) => offloads[name].used);
        expect(used.some((name) => off.includes(name))).toBe(false);
      }
      for (const address of lab.pods[1]?.ips ?? []) {
        const transfer = await client.send({ address, port: tcpPort, bytes, hash: true });
        expect(transfer, address).toMatchObject({ bytes, intact: true });
        const before = await server.receivedUdp({ port: udpPort });
        const sizes = [16, 16, 16, 16, 1200, 1200, 700, 4000];
        await client.sendUdp({ address, port: udpPort, sizes, count: 400, perSecond: 2000 });
        await expect
          .poll(() => server.receivedUdp({ port: udpPort }))
          .toEqual({ received: before.received + 400, damaged: 0, reordered: 0 });
      }
    });
  });

  /** Both daemons anew, on their own state, with other switches. */
  const restart = (offloads: object): Promise<unknown> =>
    Promise.all(
      lab.nodes.map(async (node) => {
        writeFileSync(node.config, stringify({ ...parse(readFileSync(node.config, 'utf8')), offloads }));
        const { pid } = await daemonStatus(node.socket);
        process.kill(pid, 'SIGKILL');
        await daemonReady(startDaemon(node, program));
      }),
    );
});
