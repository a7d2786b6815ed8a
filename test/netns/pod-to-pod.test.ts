// Pods of two nodes under every encapsulation and underlay.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encapsulations, underlays } from '../../src/lab/plan.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { carriedUdp } from '../support/carried.ts';
import { type Lab, labLogs, labUp } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must } from '../support/run.ts';

const tcpPort = 5001;
const transferBytes = 48 << 20;
/** Those that the pod cuts into fragments may have another queue than whole ones; 1400 is one or the other. */
const datagramSizes = [[4, 16, 17, 600, 1382], [1400], [5000, 61000]];
const pods = ['ow-pod1', 'ow-pod2'] as const;

for (const encapsulation of encapsulations) {
  for (const underlay of underlays) {
    describeWith([root, tun, command('ethtool')], `${encapsulation} over ${underlay}`, () => {
      let lab: Lab;
      let traffic: readonly [Traffic, Traffic];

      beforeAll(async () => {
        lab = await labUp('--encap', encapsulation, '--underlay', underlay);
        traffic = [trafficIn(pods[0]), trafficIn(pods[1])];
        for (const side of traffic) await side.listen({ port: tcpPort, mode: 'sink' });
      });
      afterAll(async () => {
        for (const side of traffic ?? []) await side[Symbol.asyncDispose]();
        await lab?.[Symbol.asyncDispose]();
      });

      const ways = [0, 1].flatMap((sender) => [4, 6].map((family) => ({ sender, family })));
      const target = (sender: number, family: number) =>
        lab.pods[1 - sender]?.ips[family === 4 ? 0 : 1] ?? '';

      it.each(ways)('ping from pod $sender in IPv$family', async ({ sender, family }) => {
        expect(await answersPing(pods[sender] ?? '', target(sender, family)), labLogs(lab)).toBe(true);
      });

      describe.each([
        { offloads: 'on', links: [] },
        { offloads: 'off in the pods', links: pods.map((netns) => [netns, 'eth0']) },
        {
          offloads: 'off in the pods and on the underlay',
          links: [1, 2].map((i) => [`ow-node${i}`, 'under0']),
        },
      ])('offloads $offloads', ({ links }) => {
        beforeAll(async () => {
          for (const [netns = '', link = ''] of links) {
            await must('ethtool', ['-K', link, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'], {
              netns,
            });
          }
        });

        it.each(ways)('TCP from pod $sender in IPv$family', async ({ sender, family }) => {
          const transfer = await traffic[sender as 0 | 1].send({
            address: target(sender, family),
            port: tcpPort,
            bytes: transferBytes,
            hash: true,
          });
          expect(transfer).toMatchObject({ bytes: transferBytes, intact: true });
        });

        it.each(ways)('UDP from pod $sender in IPv$family', async ({ sender, family }) => {
          const way = [traffic[sender as 0 | 1], traffic[(1 - sender) as 0 | 1]] as const;
          const address = target(sender, family);
          for (const sizes of datagramSizes) {
            const carried = await carriedUdp(...way, { address, sizes, count: 300 });
            expect(carried).toEqual({ received: 300, damaged: 0, reordered: 0 });
          }
        });
      });
    });
  }
}
