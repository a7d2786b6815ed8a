// Overweft beside foreign tunnel ends, end to end: real sockets in pods on both sides.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelVxlan } from '../../../src/bench/kernel-vxlan.ts';
import { ping, type Traffic, trafficIn } from '../../../src/lab/traffic.ts';
import { command, describeWith, root, tun } from '../../support/requires.ts';
import { must } from '../../support/run.ts';
import { openVswitch } from './open-vswitch.ts';
import { type Family, names, twoEnds } from './setup.ts';
import { far, near, podMTU, vni } from './topology.ts';

const tcpPort = 5001;
const transferBytes = 24 << 20;
/** Every length class that matters: empty of payload, odd, small, just under and exactly the MTU, and fragmented. */
const datagramSizes = [4, 17, 16, 500, 1399, 1382, 4000];

const foreignEnds = [
  {
    name: 'kernel VXLAN',
    needs: [],
    make: async (family: Family) => {
      await kernelVxlan(names.peer, names.far, far, near, { vni, port: 4789, family, mtu: podMTU });
      return undefined;
    },
    encapsulation: 'vxlan',
    kernelUnderlay: true,
  },
  ...(['geneve', 'vxlan'] as const).map((tunnel) => ({
    name: `Open vSwitch ${tunnel.toUpperCase()}`,
    needs: [command('ovs-vswitchd'), command('ethtool')],
    make: (family: Family) => openVswitch(names.peer, names.far, tunnel, family),
    encapsulation: tunnel,
    kernelUnderlay: false,
  })),
] as const;

for (const { name, needs, make, encapsulation, kernelUnderlay } of foreignEnds) {
  for (const family of [4, 6] as const) {
    describeWith([root, tun, ...needs], `${name} over IPv${family}`, () => {
      let ends: Awaited<ReturnType<typeof twoEnds>>;
      let here: Traffic;
      let there: Traffic;

      beforeAll(async () => {
        ends = await twoEnds(encapsulation, family, kernelUnderlay, () => make(family));
        here = trafficIn(names.pod);
        there = trafficIn(names.far);
        await Promise.all([here, there].map((side) => side.listen({ port: tcpPort, mode: 'sink' })));
      });
      afterAll(async () => {
        await here?.[Symbol.asyncDispose]();
        await there?.[Symbol.asyncDispose]();
        await ends?.[Symbol.asyncDispose]();
      });

      describe.each(['on', 'off'])('sender checksum offload %s', (offload) => {
        const ways = [
          {
            way: 'to the foreign pod',
            from: names.pod,
            sender: () => here,
            receiver: () => there,
            to: far.pod,
          },
          {
            way: 'from the foreign pod',
            from: names.far,
            sender: () => there,
            receiver: () => here,
            to: near.pod,
          },
        ];
        const cases = ways.flatMap((way) => way.to.map((address) => ({ ...way, address })));

        beforeAll(async () => {
          for (const netns of [names.pod, names.far]) {
            await must('ethtool', ['-K', 'eth0', 'tx', offload], { netns });
          }
          // Open vSwitch reads its ports through packet sockets that cut superframes short.
          if (!kernelUnderlay) await must('ethtool', ['-K', 'eth0', 'tso', 'off'], { netns: names.far });
        });

        it.each(cases)('ping $way at $address', async ({ from, address }) => {
          expect(await ping(from, address), ends.node.log()).not.toBeNull();
        });

        it.each(cases)('TCP $way at $address', async ({ sender, address }) => {
          const transfer = await sender().send({ address, port: tcpPort, bytes: transferBytes, hash: true });
          expect(transfer).toMatchObject({ bytes: transferBytes, intact: true });
        });

        it.each(cases)('UDP $way at $address', async ({ sender, receiver, address }) => {
          const port = nextPort++;
          const count = 700;
          await receiver().listenUdp({ port });
          await sender().sendUdp({ address, port, sizes: datagramSizes, count, perSecond: 5000 });
          await expect
            .poll(() => receiver().receivedUdp({ port }))
            .toEqual({ received: count, damaged: 0, reordered: 0 });
        });
      });
    });
  }
}

let nextPort = 6001;
