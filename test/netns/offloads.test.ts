// Each offload has a switch that turns it off; traffic is the same with every combination of them.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';

const switches = ['tso', 'uso', 'udpSegment', 'udpGro', 'coalesce', 'tunnelGso'] as const;
type Switch = (typeof switches)[number];
const off = (on: readonly Switch[]) => switches.filter((name) => !on.includes(name));

const modes = (['geneve', 'vxlan', 'ipip'] as const).flatMap((encapsulation) =>
  (['ipv4', 'ipv6'] as const).map((family) => ({ encapsulation, family })),
);

/** Every combination of switches, the encapsulations and families of the underlay in turn. */
const combinations = Array.from({ length: 2 ** switches.length }, (_, bits) => ({
  on: switches.filter((_name, i) => bits & (1 << i)),
  bits,
}))
  // Without TSO there are no superframes that the kernel could split.
  .filter(({ on }) => on.includes('tso') || !on.includes('tunnelGso'))
  .map(({ on, bits }) => {
    const { encapsulation, family } = modes[bits % modes.length] as (typeof modes)[number];
    return {
      title: `${on.join(', ') || 'nothing'}; ${encapsulation} over ${family}`,
      on,
      mode: { encapsulation, family },
    };
  });

describeWith([root, tun], 'offload switches', () => {
  let lab: Lab;
  let client: Traffic;
  let server: Traffic;
  const tcpPort = 5001;
  const bytes = 8 << 20;
  /** Trains of small ones and unequal ones; and fragments, which may have another queue. */
  const datagrams = [
    { port: 5002, sizes: [16, 16, 16, 16, 1200, 1200, 700] },
    { port: 5003, sizes: [4000] },
  ];
  const count = 200;

  beforeAll(async () => {
    lab = await labUp();
    client = trafficIn('ow-pod1');
    server = trafficIn('ow-pod2');
    await server.listen({ port: tcpPort, mode: 'sink' });
    for (const { port } of datagrams) await server.listenUdp({ port });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  it.each(combinations)('on: $title', async ({ on, mode }) => {
    const offloads = Object.fromEntries(off(on).map((name) => [name, 'off']));
    await Promise.all(
      lab.nodes.map((node) => restart(node, (config) => changed(config, { ...mode, offloads }))),
    );
    for (const { socket } of lab.nodes) {
      const status = await daemonStatus(socket);
      const used = switches.filter((name) => status.offloads[name].used);
      expect(used.filter((name) => !on.includes(name))).toEqual([]);
    }
    for (const address of lab.pods[1]?.ips ?? []) {
      const transfer = await client.send({ address, port: tcpPort, bytes, hash: true });
      expect(transfer, address).toMatchObject({ bytes, intact: true });
      for (const { port, sizes } of datagrams) {
        const before = await server.receivedUdp({ port });
        await client.sendUdp({ address, port, sizes, count, perSecond: 2000 });
        await expect
          .poll(() => server.receivedUdp({ port }))
          .toEqual({ received: before.received + count, damaged: 0, reordered: 0 });
      }
    }
  });
});

interface Changes {
  readonly encapsulation: string;
  /** Of the underlay. */
  readonly family: string;
  readonly offloads: object;
}

const changed = (config: { underlay: object }, { family, ...changes }: Changes): object => ({
  ...config,
  ...changes,
  underlay: { ...config.underlay, family },
});
