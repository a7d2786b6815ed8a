/**
 * Policies that flip while packets flow: no packet may be judged by some of the old and some of the new. All verdicts
 * here are those of one node, for nodes learn of a change each in its own time.
 *
 *     node-1   pod-1 (receiver)  pod-3 (near)      node-2   pod-2 (far)
 */
import { renameSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../../src/daemon/client.ts';
import { policy } from '../../support/cluster.ts';
import { type Arrival, blast, sink } from '../../support/datagrams.ts';
import { type Lab, labUp } from '../../support/lab.ts';
import { placeOf } from '../../support/lab-pod.ts';
import { describeWith, root, tun } from '../../support/requires.ts';

const receiver = placeOf(1, 1);
const near = placeOf(3, 1);
const far = placeOf(2, 2);

const app = (name: string) => ({ matchLabels: { app: name } });
const udp = (...ports: number[]) => ports.map((port) => ({ protocol: 'UDP', port }));
const letIn = (from: string, ...ports: number[]) =>
  policy(`in-${from}-${ports.join('-')}`, {
    podSelector: app('pod-1'),
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: app(from) }], ports: udp(...ports) }],
  });
const letOut = (from: string, ...ports: number[]) =>
  policy(`out-${from}-${ports.join('-')}`, {
    podSelector: app(from),
    policyTypes: ['Egress'],
    egress: [{ to: [{ podSelector: app('pod-1') }], ports: udp(...ports) }],
  });

const flips = 30;
const perSecond = 4000;

describeWith([root, tun], 'policies that flip under load', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await labUp('--nodes', '2', '--pods-per-node', '2');
  });
  afterAll(async () => void (await lab?.[Symbol.asyncDispose]()));
  afterEach(() => become([]));

  const epoch = async () => (await daemonStatus(lab.nodes[0]?.socket ?? '')).epoch;
  /** All policies of a state in one file, replaced at once; returns when the receiver's node goes by it. */
  const become = async (policies: readonly object[]) => {
    const before = await epoch();
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: policies });
    writeFileSync(`${lab.manifests}/.policies`, text);
    renameSync(`${lab.manifests}/.policies`, `${lab.manifests}/policies.json`);
    await expect.poll(epoch, { timeout: 20_000, interval: 5 }).not.toBe(before);
  };
  const flip = async (first: readonly object[], second: readonly object[]) => {
    for (let i = 0; i < flips; i++) await become(i % 2 === 0 ? second : first);
  };
  const to = (family: 0 | 1, ...ports: number[]) =>
    ports.map((port) => ({ address: receiver.ips[family], port }));

  it.each([0, 1] as const)(
    'switch at one instant: what was sent before it goes by the old ones (family %i)',
    async (family) => {
      const [first, second] = [[letIn('pod-3', 80)], [letIn('pod-3', 81)]];
      await become(first);
      await using arrivals = await sink(receiver.netns, [80, 81]);
      await using stream = await blast(near.netns, { targets: to(family, 80, 81), perSecond });
      await flip(first, second);
      expect((await stream.stop()).sent).toBeGreaterThan(1000);
      // Numbers alternate between the ports, so one state lets even ones through and the other odd ones.
      const runs = runsOf(await arrivals.stop());
      expect(runs.length, runs.map(runText).join(' ')).toBe(flips + 1);
      const gaps = runs.slice(1).map((run, i) => run.first - (runs[i]?.last ?? 0));
      // None was refused by both: next to each other, or with the two between them that either state refuses. Some may
      // be lost on a busy machine.
      expect(gaps.filter((gap) => gap === 1 || gap === 3).length, `${gaps}`).toBeGreaterThan(flips / 2);
    },
  );

  it('never combine peers of one state with ports of the other', async () => {
    const [first, second] = [[letIn('pod-3', 80)], [letIn('pod-2', 81)]];
    await become(first);
    await using arrivals = await sink(receiver.netns, [80, 81]);
    await using fromNear = await blast(near.netns, { targets: to(0, 80, 81), perSecond });
    await using fromFar = await blast(far.netns, { targets: to(0, 80, 81), perSecond });
    await flip(first, second);
    for (const stream of [fromNear, fromFar]) expect((await stream.stop()).sent).toBeGreaterThan(1000);
    const arrived = await arrivals.stop();
    const of = (sender: string, port: number) =>
      arrived.filter((one) => one.sender === sender && one.port === port).length;
    expect([of(near.ips[0], 81), of(far.ips[0], 80)]).toEqual([0, 0]);
    expect(of(near.ips[0], 80)).toBeGreaterThan(200);
    expect(of(far.ips[0], 81)).toBeGreaterThan(200);
  });

  it('never combine egress of one state with ingress of the other', async () => {
    // Each state on its own lets neither 80 nor 81 through.
    const first = [letOut('pod-3', 80, 82), letIn('pod-3', 81, 82)];
    const second = [letOut('pod-3', 81, 82), letIn('pod-3', 80, 82)];
    await become(first);
    await using arrivals = await sink(receiver.netns, [80, 81, 82]);
    await using stream = await blast(near.netns, { targets: to(0, 80, 81, 82), perSecond });
    await flip(first, second);
    expect((await stream.stop()).sent).toBeGreaterThan(1000);
    const arrived = await arrivals.stop();
    expect(arrived.filter(({ port }) => port !== 82)).toEqual([]);
    expect(arrived.length, 'what both allow').toBeGreaterThan(300);
  });
});

interface Run {
  readonly port: number;
  readonly first: number;
  last: number;
}

/** Stretches of arrivals at one port, in the order in which the datagrams were sent. */
function runsOf(arrivals: readonly Arrival[]): Run[] {
  const runs: Run[] = [];
  for (const { number, port } of arrivals.toSorted((a, b) => a.number - b.number)) {
    const current = runs.at(-1);
    if (current?.port === port) current.last = number;
    else runs.push({ port, first: number, last: number });
  }
  return runs;
}

const runText = ({ port, first, last }: Run): string => `${port}:${first}…${last}`;
