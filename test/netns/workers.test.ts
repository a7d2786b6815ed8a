// Several workers: the kernel spreads flows over their queues and sockets, and none is put out of order.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';

const [tcpPort, udpPort] = [5001, 5002];
const bytes = 4 << 20;

describeWith([root, tun], 'two workers', () => {
  let lab: Lab;
  let client: Traffic;
  let server: Traffic;

  beforeAll(async () => {
    lab = await labUp();
    await Promise.all(lab.nodes.map((node) => restart(node, (config) => ({ ...config, workers: 2 }))));
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

  it('carry many flows at once, every byte as it was sent', async () => {
    const addresses = lab.pods[1]?.ips ?? [];
    const transfers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => addresses[i % addresses.length] ?? '').map((address) =>
        client.send({ address, port: tcpPort, bytes, hash: true }),
      ),
    );
    for (const transfer of transfers) expect(transfer).toMatchObject({ bytes, intact: true });
  });

  it('keep the datagrams of a flow in order', async () => {
    for (const address of lab.pods[1]?.ips ?? []) {
      const before = await server.receivedUdp({ port: udpPort });
      await client.sendUdp({ address, port: udpPort, sizes: [16, 700, 1200], count: 600, perSecond: 3000 });
      await expect
        .poll(() => server.receivedUdp({ port: udpPort }))
        .toEqual({ received: before.received + 600, damaged: 0, reordered: 0 });
    }
  });

  it('both work, on both nodes', async () => {
    for (const { socket } of lab.nodes) {
      const { pid, capabilities } = await daemonStatus(socket);
      expect(capabilities.workers).toEqual(['0x0', '0x0']);
      const ticks = readdirSync(`/proc/${pid}/task`)
        .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'))
        .filter((line) => /\(overweft-\d/.test(line))
        .map((line) => line.slice(line.lastIndexOf(')') + 2).split(' '))
        .map((fields) => Number(fields[11]) + Number(fields[12]));
      expect(ticks).toHaveLength(2);
      expect(Math.min(...ticks)).toBeGreaterThan(0);
    }
  });
});
