// Overweft beside foreign tunnel ends, end to end: real sockets in pods on both sides.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelVxlan } from '../../../src/bench/peers/kernel-vxlan.ts';
import { type Traffic, trafficIn } from '../../../src/lab/traffic.ts';
import { answersPing } from '../../support/answers-ping.ts';
import { carriedUdp } from '../../support/carried.ts';
import { command, describeWith, root, tun } from '../../support/requires.ts';
import { must } from '../../support/run.ts';
import { openVswitchEnd } from './open-vswitch.ts';
import { type Family, names, twoEnds } from './setup.ts';
import { far, near, podMTU, vni } from './topology.ts';

const tcpPort = 5001;
const transferBytes = 24 << 20;
/** Every length class that matters: next to nothing, odd, equal ones in a row, up to the MTU over IPv6. */
const wholeSizes = [4, 17, 16, 16, 16, 500, 1381, 1382];
const fragmentedSizes = [4000, 1500, 9001];

const foreignEnds = [
  {
    name: 'kernel VXLAN',
    needs: [],
    make: async (family: Family) => {
      await kernelVxlan(names.peer, names.far, far, near, { vni, port: 4789, family, mtu: podMTU[family] });
      return undefined;
    },
    encapsulation: 'vxlan',
    kernelUnderlay: true,
  },
  ...(['geneve', 'vxlan'] as const).map((tunnel) => ({
    name: `Open vSwitch ${tunnel.toUpperCase()}`,
    needs: [command('ovs-vswitchd'), command('ethtool')],
    make: (family: Family) => openVswitchEnd(tunnel, family),
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
          expect(await answersPing(from, address), ends.node.log()).toBe(true);
        });

        it.each(cases)('TCP $way at $address', async ({ sender, address }) => {
          const transfer = await sender().send({ address, port: tcpPort, bytes: transferBytes, hash: true });
          expect(transfer).toMatchObject({ bytes: transferBytes, intact: true });
        });

        it.each(cases)('UDP $way at $address', async ({ sender, receiver, address }) => {
          expect(await carriedUdp(sender(), receiver(), { address, sizes: wholeSizes, count: 400 })).toEqual({
            received: 400,
            damaged: 0,
            reordered: 0,
          });
        });

        it.each(cases)('UDP in fragments $way at $address', async ({ sender, receiver, address }) => {
          // Open vSwitch sorts a batch by flows, and fragments are others than whole packets.
          expect(
            await carriedUdp(sender(), receiver(), { address, sizes: fragmentedSizes, count: 60 }),
          ).toMatchObject({ received: 60, damaged: 0 });
        });
      });
    });
  }
}
