/**
 * What policy forbids never passes, at no moment: streams run while pods start, daemons die and manifests go wrong, and
 * captures on both ends count every packet.
 *
 *     node-1   pod-1  pod-3  late      node-2   pod-2  pod-4
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { callDaemon, daemonStatus } from '../../../src/daemon/client.ts';
import type { Status } from '../../../src/daemon/status.ts';
import { daemonReady, startDaemon } from '../../../src/lab/daemon.ts';
import { policy } from '../../support/cluster.ts';
import { blast, capture, inject, type Observable, type Seen, type Sent } from '../../support/datagrams.ts';
import { dropsOf, type Lab, labUp } from '../../support/lab.ts';
import { comingPod, placeOf } from '../../support/lab-pod.ts';
import { program } from '../../support/overweft-node.ts';
import { describeWith, root, tun } from '../../support/requires.ts';
import { isRunning, must } from '../../support/run.ts';

const app = (name: string) => ({ matchLabels: { app: name } });
const pods = [1, 2, 3, 4].map((k) => ({ name: `pod-${k}`, ...placeOf(k, k % 2 === 1 ? 1 : 2) }));
const [pod1, pod2, pod3, pod4] = pods;
if (!pod1 || !pod2 || !pod3 || !pod4) throw new Error('four pods');
const late = placeOf(5, 1);

/** Datagrams of one stream. */
const perSecond = 2000;

const targets = (to: readonly { readonly ips: readonly string[] }[], ...ports: number[]) =>
  to.flatMap(({ ips }) => ips.flatMap((address) => ports.map((port) => ({ address, port }))));

const isOf = ({ ips }: { readonly ips: readonly string[] }, address: string) => ips.includes(address);

/** What came in from a pod, on these ports or on any. */
const from = (
  seen: readonly Seen[],
  sender: { readonly ips: readonly string[] },
  ports?: readonly number[],
) =>
  seen.filter(
    ({ direction, source, port }) =>
      direction === 'in' && isOf(sender, source) && (ports?.includes(port) ?? true),
  );

const framesOf = (seen: readonly Seen[]): number => seen.reduce((sum, { frames }) => sum + frames, 0);

/** Waits until a capture has seen more than so many frames of some kind, however slow the machine is. */
const untilSeen = (
  running: Observable<readonly Seen[]>,
  some: (seen: readonly Seen[]) => readonly Seen[],
  count: number,
  message = 'frames',
) => expect.poll(async () => framesOf(some(await running.soFar())), { message }).toBeGreaterThan(count);

const untilSent = (stream: Observable<Sent>, count: number) =>
  expect.poll(async () => (await stream.soFar()).sent).toBeGreaterThan(count);

describeWith([root, tun], 'policy fails closed', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await labUp('--nodes', '2', '--pods-per-node', '2');
  });
  afterAll(async () => void (await lab?.[Symbol.asyncDispose]()));
  afterEach(async () => {
    put();
    await until(async () => (await status(1)).decisions.length + (await status(2)).decisions.length === 0);
  });

  const put = (...objects: object[]) =>
    writeFileSync(
      `${lab.manifests}/policies.json`,
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
  const nodeOf = (i: number): Lab['nodes'][number] => {
    const node = lab.nodes[i - 1];
    if (!node) throw new Error(`the lab has no node ${i}`);
    return node;
  };
  const status = (i: number): Promise<Status> => daemonStatus(nodeOf(i).socket);
  const until = (holds: () => Promise<boolean>) =>
    expect.poll(holds, { timeout: 20_000, interval: 30 }).toBe(true);
  /** MAC of the router that pods of node 1 know. */
  const routerMac = async (): Promise<string> => {
    await must('ping', ['-c', '1', pod2.ips[0]], { netns: pod1.netns });
    const [mac] = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(
      await must('ip', ['-n', pod1.netns, 'neighbour', 'show', 'dev', 'eth0']),
    ) ?? [''];
    return mac;
  };

  it('NetworkPolicy 20: a pod that starts under a deny policy neither receives nor sends one packet', async () => {
    put(policy('shut', { podSelector: app('late'), policyTypes: ['Ingress', 'Egress'] }));
    const mac = await routerMac();
    await using pod = await comingPod(lab, 'late', late);
    await using inside = await capture(late.netns);
    await using near = await capture(pod3.netns);
    await using far = await capture(pod2.netns);
    await using fromNear = await blast(pod3.netns, { targets: targets([late], 7000), perSecond });
    await using fromFar = await blast(pod2.netns, { targets: targets([late], 7000), perSecond });
    await using fromNode = await blast('ow-node1', { targets: targets([late], 7000), perSecond: 500 });
    await using out = await blast(late.netns, { targets: targets([pod2, pod3], 7001), perSecond });
    await using raw = await inject(late.netns, {
      perSecond,
      source: late.ips[0],
      routerMac: mac,
      port: 7002,
      targets: [pod2.ips[0], pod3.ips[0]],
    });
    for (const stream of [fromNear, fromFar]) await untilSent(stream, 200);
    pod.declare({ app: 'late' });
    await pod.attach();
    for (const stream of [fromNear, fromFar, fromNode, out, raw]) await untilSent(stream, 200);
    const tried = (seen: readonly Seen[]) =>
      seen.filter(({ direction, port }) => direction === 'out' && (port === 7001 || port === 7002));
    await untilSeen(inside, tried, 200, 'tried to send');
    // The zeros are policy's doing: the pod's own node reaches it.
    const byNode = (seen: readonly Seen[]) =>
      seen.filter(({ direction, port }) => direction === 'in' && port === 7000);
    await untilSeen(inside, byNode, 50, 'from its own node');
    const drops = async () =>
      (await status(1)).decisions
        .filter(({ policies }) => policies.includes('NetworkPolicy:default/shut'))
        .map(({ direction, dropped }) => [direction, dropped > 200])
        .sort();
    await expect.poll(drops).toEqual([
      ['egress', true],
      ['ingress', true],
    ]);

    const [atPod, atNear, atFar] = [await inside.stop(), await near.stop(), await far.stop()];
    expect([...from(atPod, pod3), ...from(atPod, pod2)], 'received').toEqual([]);
    expect([...from(atNear, late), ...from(atFar, late)], 'sent').toEqual([]);
  });

  it('a pod whose object is gone is cut off, from its own node too, until it is known again', async () => {
    await using pod = await comingPod(lab, 'late', late);
    pod.declare({ app: 'late' });
    await pod.attach();
    await using _fromNear = await blast(pod3.netns, { targets: targets([late], 7000), perSecond });
    await using _fromFar = await blast(pod2.netns, { targets: targets([late], 7000), perSecond });
    await using _fromNode = await blast('ow-node1', { targets: targets([late], 7000), perSecond });
    await using _out = await blast(late.netns, { targets: targets([pod2, pod3], 7001), perSecond });
    const known = async () =>
      (await status(1)).ports.some(({ name, isolated }) => name === 'default/late' && isolated !== null);
    const received = (seen: readonly Seen[]) => seen.filter(({ direction }) => direction === 'in');
    const byLate = (seen: readonly Seen[]) => from(seen, late);
    {
      await using inside = await capture(late.netns);
      await using near = await capture(pod3.netns);
      await using far = await capture(pod2.netns);
      await untilSeen(inside, received, 50);
      for (const receiver of [near, far]) await untilSeen(receiver, byLate, 25);
    }

    pod.undeclare();
    await until(async () => !(await known()));
    {
      await using inside = await capture(late.netns);
      await using near = await capture(pod3.netns);
      await using far = await capture(pod2.netns);
      await sleep(500);
      expect(received(await inside.stop()), 'received').toEqual([]);
      expect([...byLate(await near.stop()), ...byLate(await far.stop())], 'sent').toEqual([]);
    }

    put(policy('shut', { podSelector: app('late'), policyTypes: ['Ingress', 'Egress'] }));
    await using inside = await capture(late.netns);
    await using near = await capture(pod3.netns);
    await using far = await capture(pod2.netns);
    pod.declare({ app: 'late' });
    await until(known);
    // Its own node reaches it again.
    await untilSeen(inside, received, 50);
    const atPod = await inside.stop();
    expect([...from(atPod, pod3), ...from(atPod, pod2)], 'received').toEqual([]);
    expect([...byLate(await near.stop()), ...byLate(await far.stop())], 'sent').toEqual([]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'a daemon that is restarted after %s lets nothing slip',
    async (signal) => {
      put(
        policy('only-80', {
          podSelector: app('pod-3'),
          policyTypes: ['Ingress', 'Egress'],
          ingress: [{ from: [{ podSelector: app('pod-2') }], ports: [{ protocol: 'UDP', port: 80 }] }],
          egress: [{ to: [{ podSelector: app('pod-2') }], ports: [{ protocol: 'UDP', port: 80 }] }],
        }),
      );
      await until(async () => (await isolated('default/pod-3')).length === 2);
      await using receiver = await capture(pod3.netns);
      await using near = await capture(pod1.netns);
      await using far = await capture(pod2.netns);
      await using _near = await blast(pod1.netns, { targets: targets([pod3], 80, 81), perSecond });
      await using _far = await blast(pod2.netns, { targets: targets([pod3], 80, 81), perSecond });
      await using _out = await blast(pod3.netns, { targets: targets([pod1, pod2], 80, 81), perSecond });
      await untilSeen(receiver, (seen) => from(seen, pod2, [80]), 100);
      await stop(1, signal);
      await start(1);
      const [before, beforeFar] = [await receiver.soFar(), await far.soFar()];
      const allowedIn = framesOf(from(before, pod2, [80])) + 200;
      await untilSeen(receiver, (seen) => from(seen, pod2, [80]), allowedIn, 'allowed in');
      const allowedOut = framesOf(from(beforeFar, pod3, [80])) + 200;
      await untilSeen(far, (seen) => from(seen, pod3, [80]), allowedOut, 'allowed out');
      const atReceiver = await receiver.stop();
      const atFar = await far.stop();
      expect([...from(atReceiver, pod1), ...from(atReceiver, pod2, [81])], 'let in').toEqual([]);
      expect([...from(await near.stop(), pod3), ...from(atFar, pod3, [81])], 'let out').toEqual([]);
    },
  );

  it('what was forbidden while a daemon was down is forbidden when it comes back, open connections too', async () => {
    const onlyFrom = (name: string) =>
      policy('one', {
        podSelector: app('pod-3'),
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: app(name) }] }],
      });
    put(onlyFrom('pod-2'));
    await until(async () => (await isolated('default/pod-3')).length === 1);
    await using _far = await blast(pod2.netns, { targets: targets([pod3], 80), perSecond });
    await using _near = await blast(pod1.netns, { targets: targets([pod3], 80), perSecond });
    await using before = await capture(pod3.netns);
    await untilSeen(before, (seen) => from(seen, pod2), 100);
    await stop(1, 'SIGKILL');
    put(onlyFrom('pod-1'));
    await using after = await capture(pod3.netns);
    await start(1);
    await untilSeen(after, (seen) => from(seen, pod1), 100);
    expect(from(await after.stop(), pod2)).toEqual([]);
    expect((await status(1)).flows.kept).toBe(true);
  });

  const isolated = async (pod: string) =>
    (await status(1)).ports.find(({ name }) => name === pod)?.isolated ?? [];

  const stop = async (i: number, signal: NodeJS.Signals) => {
    const pid = daemonPid(nodeOf(i));
    process.kill(pid, signal);
    await expect.poll(() => isRunning(pid), { timeout: 20_000, interval: 10 }).toBe(false);
  };
  const start = (i: number) => daemonReady(startDaemon(nodeOf(i), program));
  const health = async (i: number) =>
    (await callDaemon(nodeOf(i).socket, 'GET', '/healthz').catch(() => undefined))?.status;

  it('bad manifests open nothing, and a daemon that begins with them passes nothing', async () => {
    const only80 = policy('only-80', {
      podSelector: app('pod-3'),
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ protocol: 'UDP', port: 80 }] }],
    });
    put(only80);
    await until(async () => (await isolated('default/pod-3')).length === 1);
    await using forbidden = await capture(pod3.netns);
    await using _near = await blast(pod1.netns, { targets: targets([pod3], 80, 81), perSecond });
    await using _far = await blast(pod2.netns, { targets: targets([pod3], 80, 81), perSecond });
    const faults = async () => (await status(1)).store.faults.map(({ field }) => field);

    // The policy goes and a mistake comes: neither half is applied.
    put({ ...only80, spec: { ...only80.spec, ingres: [{}] } });
    await expect.poll(faults).toEqual(['items[0].spec.ingres']);
    await sleep(200);
    writeFileSync(`${lab.manifests}/policies.json`, '{ "kind": "List", "items": [');
    await until(
      async () => !(await faults()).includes('items[0].spec.ingres') && (await faults()).length > 0,
    );
    await sleep(200);

    await stop(1, 'SIGKILL');
    startDaemon(nodeOf(1), program);
    await expect.poll(() => health(1)).toBe(503);
    await using dark = await capture(pod3.netns);
    await using _node = await blast('ow-node1', { targets: targets([pod3], 82), perSecond });
    await sleep(500);
    expect((await dark.stop()).filter(({ direction }) => direction === 'in')).toEqual([]);

    put(only80);
    await until(async () => (await health(1)) === 200);
    await using allowed = await capture(pod3.netns);
    await untilSeen(allowed, (seen) => from(seen, pod1, [80]), 200, 'near');
    await untilSeen(allowed, (seen) => from(seen, pod2, [80]), 200, 'far');
    const seen = await forbidden.stop();
    expect([...from(seen, pod1, [81]), ...from(seen, pod2, [81])]).toEqual([]);
  });

  it.each([1, 2])(
    'NetworkPolicy 21: a pod with the address of an old one inherits nothing, the target on node %i',
    async (targetNode) => {
      const target = targetNode === 1 ? pod3 : pod4;
      put(
        policy('from-trusted', {
          podSelector: app(target.name),
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: app('trusted') }] }],
        }),
      );
      const opened = { targets: targets([target], 80), perSecond };
      {
        await using trusted = await comingPod(lab, 'trusted', late);
        trusted.declare({ app: 'trusted' });
        await trusted.attach();
        await using receiver = await capture(target.netns);
        await using _stream = await blast(late.netns, opened);
        await untilSeen(receiver, (seen) => from(seen, late), 100, 'trusted');
      }
      await using other = await comingPod(lab, 'other', late);
      await using receiver = await capture(target.netns);
      // The very same connections: source port and all.
      await using stream = await blast(late.netns, opened);
      const before = await dropsOf(nodeOf(targetNode), 'policy-ingress');
      other.declare({ app: 'other' });
      await other.attach();
      await untilSent(stream, 100);
      await expect
        .poll(async () => (await dropsOf(nodeOf(targetNode), 'policy-ingress')) - before)
        .toBeGreaterThan(100);
      expect(from(await receiver.stop(), late)).toEqual([]);
    },
  );
});

const daemonPid = ({ socket }: { readonly socket: string }): number =>
  Number(readFileSync(socket.replace(/[^/]*$/, 'pid'), 'utf8'));
