// The capability `bandwidth`: a pod sends and receives at its rate, and nobody else is held to it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { callPlugin, container } from '../support/cni.ts';
import { dropsOf, type Lab, labUp, restart } from '../support/lab.ts';
import { type Netns, netns } from '../support/netns.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { must } from '../support/run.ts';

const RATE = 20e6;
const BURST = 1e6;
const bandwidth = { ingressRate: RATE, ingressBurst: BURST, egressRate: RATE, egressBurst: BURST };
const PORT = 5001;
const BYTES = 8 << 20;
/** What the credit of the burst, and what waits on the way when a sender thinks that it has sent it, may hide. */
const leastSeconds = (8 * BYTES - BURST - 8 * (1 << 20)) / RATE;

describeWith([root, tun], 'bandwidth', () => {
  let lab: Lab;
  let space: Netns;
  let added: { ips: { address: string }[] };
  const ends = new Map<string, Traffic>();
  const name = 'owcni-slow';
  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const end = (netnsName: string) => ends.get(netnsName) ?? expect.fail(`no end in ${netnsName}`);
  const config = (more: object = {}) => ({
    cniVersion: '1.1.0',
    name: 'net',
    type: 'overweft-cni',
    socket: node1().socket,
    runtimeConfig: { bandwidth },
    ...more,
  });
  const portOf = async () =>
    (await daemonStatus(node1().socket)).ports.find((port) => port.name === `default/${name}`);
  const ips = () => added.ips.map(({ address }) => address.split('/')[0] ?? '');
  const seconds = async (from: string, address: string) => {
    const began = performance.now();
    const transfer = await end(from).send({ address, port: PORT, bytes: BYTES, hash: true });
    expect(transfer).toMatchObject({ bytes: BYTES, intact: true });
    return (performance.now() - began) / 1000;
  };

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
    space = await netns(name);
    const { json, status } = await callPlugin('ADD', config(), container(name));
    expect(status, JSON.stringify(json)).toBe(0);
    added = json;
    for (const one of [name, 'ow-pod1', 'ow-pod2', 'ow-pod3']) {
      const traffic = trafficIn(one);
      ends.set(one, traffic);
      await traffic.listen({ port: PORT, mode: 'sink' });
    }
  });
  afterAll(async () => {
    for (const one of ends.values()) await one[Symbol.asyncDispose]();
    await callPlugin('DEL', config(), container(name));
    await space?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  describe.each([
    ['another node', 'ow-pod2', ['10.244.2.3', 'fd00:244:2::3']],
    ['its own node', 'ow-pod3', ['10.244.1.4', 'fd00:244:1::4']],
  ] as const)('with a pod of %s', (_, partner, addresses) => {
    it.each([0, 1] as const)(
      'holds what the pod sends to the rate (%i)',
      { timeout: 120_000 },
      async (index) => {
        expect(await seconds(name, addresses[index])).toBeGreaterThan(leastSeconds);
      },
    );

    it.each([0, 1] as const)(
      'holds what it receives to the rate (%i)',
      { timeout: 120_000 },
      async (index) => {
        expect(await seconds(partner, ips()[index] ?? '')).toBeGreaterThan(leastSeconds);
      },
    );
  });

  it('leaves other pods of the node alone meanwhile', { timeout: 120_000 }, async () => {
    const slow = end('ow-pod3').send({ address: ips()[0] ?? '', port: PORT, bytes: BYTES });
    // Many times of what the rate would allow in the time that the slow one takes.
    await end('ow-pod2').send({ address: '10.244.1.2', port: PORT, bytes: 8 * BYTES });
    expect(await answersPing('ow-pod1', '10.244.2.3')).toBe(true);
    await slow;
  });

  it('drops by name what would wait too long', async () => {
    const flood = ['-n', '-q', '-f', '-c', '2000', '-s', '1400', '-W', '1', ips()[0] ?? ''];
    await must('ping', ['-n', '-c', '1', ips()[0] ?? ''], { netns: 'ow-pod2' });
    await expect
      .poll(
        async () => {
          await must('sh', ['-c', `ping ${flood.join(' ')} -l 1000 || true`], { netns: 'ow-pod2' });
          return dropsOf(node1(), 'rate-exceeded');
        },
        { timeout: 60_000 },
      )
      .toBeGreaterThan(0);
  });

  it('is shown by the status, and compared by CHECK', async () => {
    expect((await portOf())?.bandwidth).toEqual({
      ingress: { rate: RATE, burst: BURST },
      egress: { rate: RATE, burst: BURST },
    });
    const check = (more: object) =>
      callPlugin('CHECK', config({ prevResult: added, ...more }), container(name));
    expect((await check({})).status).toBe(0);
    const other = { bandwidth: { ...bandwidth, egressRate: 1e6 } };
    expect((await check({ runtimeConfig: other })).json).toMatchObject({
      code: 104,
      msg: 'runtimeConfig.bandwidth: eth0 has other rates',
    });
  });

  it('outlives a daemon that is killed', { timeout: 120_000 }, async () => {
    const before = (await portOf())?.bandwidth;
    await restart(node1(), (same) => same);
    await expect.poll(async () => (await portOf())?.bandwidth, { timeout: 20_000 }).toEqual(before);
    expect(await seconds('ow-pod2', ips()[0] ?? '')).toBeGreaterThan(leastSeconds);
  });

  it('is refused where it is no number, by the field', async () => {
    const wrong = { runtimeConfig: { bandwidth: { ingressRate: '1M' } } };
    const { json } = await callPlugin('ADD', config(wrong), container(name));
    expect(json).toMatchObject({
      code: 7,
      msg: expect.stringContaining('runtimeConfig.bandwidth.ingressRate'),
    });
  });
});
