// NetworkPolicy over real sockets: three pods on two nodes, both families, every direction.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';

const ports = [8080, 9090] as const;
type Port = (typeof ports)[number];

describeWith([root, tun], 'NetworkPolicy', () => {
  let lab: Lab;
  let traffic: readonly Traffic[];

  beforeAll(async () => {
    lab = await labUp('--nodes', '2', '--pods-per-node', '2');
    traffic = lab.pods.map((pod) => trafficIn(pod.netns));
    for (const pod of traffic) for (const port of ports) await pod.listen({ port, mode: 'echo' });
  });
  afterAll(async () => {
    for (const pod of traffic ?? []) await pod[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });
  afterEach(() => rmSync(policyFile(), { force: true }));

  const policyFile = () => `${lab.manifests}/policy.yaml`;
  const put = (spec: object) =>
    writeFileSync(
      policyFile(),
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'tested', namespace: 'default' },
        spec,
      }),
    );

  /** Who reaches whom, as `from→to:port` with the pods' numbers, by every address of the target. */
  const truth = async (): Promise<Set<string>> => {
    const reached = new Set<string>();
    await Promise.all(
      lab.pods.flatMap((_, from) =>
        lab.pods.flatMap((target, to) =>
          ports.map(async (port) => {
            if (from === to) return;
            const attempts = target.ips.map((address) =>
              traffic[from]?.connect({ address, port, timeoutMs: 400 }),
            );
            const outcomes = (await Promise.all(attempts)).map((outcome) => outcome?.connected);
            const name = arrow(from + 1, to + 1, port);
            if (outcomes.every((connected) => connected)) reached.add(name);
            else if (outcomes.some((connected) => connected)) reached.add(`${name} in one family only`);
          }),
        ),
      ),
    );
    return reached;
  };
  const arrow = (from: number, to: number, port: Port) => `${from}→${to}:${port}`;
  const all = () => {
    const numbers = lab.pods.map((_, index) => index + 1);
    return numbers.flatMap((from) =>
      numbers.filter((to) => to !== from).flatMap((to) => ports.map((port) => ({ from, to, port }))),
    );
  };
  const expectTruth = async (allowed: (way: { from: number; to: number; port: Port }) => boolean) => {
    const expected = all()
      .filter(allowed)
      .map(({ from, to, port }) => arrow(from, to, port))
      .sort();
    await expect.poll(async () => [...(await truth())].sort(), { timeout: 8000 }).toEqual(expected);
  };
  const app = (...names: string[]) => ({ matchExpressions: [{ key: 'app', operator: 'In', values: names }] });

  it('lets everything pass where no policy selects', () => expectTruth(() => true));

  it('takes only what an ingress rule of pods and ports names, from near and far', async () => {
    put({
      podSelector: app('pod-2'),
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: app('pod-1', 'pod-4') }], ports: [{ protocol: 'TCP', port: 8080 }] }],
    });
    await expectTruth(({ from, to, port }) => to !== 2 || (from !== 3 && port === 8080));
  });

  it('sends only what an egress rule names', async () => {
    put({
      podSelector: app('pod-1'),
      policyTypes: ['Egress'],
      egress: [{ to: [{ podSelector: app('pod-3') }] }, { ports: [{ protocol: 'TCP', port: 9090 }] }],
    });
    await expectTruth(({ from, to, port }) => from !== 1 || to === 3 || port === 9090);
  });

  it('takes blocks of addresses less their exceptions', async () => {
    put({
      podSelector: app('pod-1'),
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            { ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/29'] } },
            { ipBlock: { cidr: 'fd00:244::/32', except: ['fd00:244:2::3/128', 'fd00:244:2::5/128'] } },
          ],
        },
      ],
    });
    await expectTruth(({ from, to }) => to !== 1 || from === 3);
  });

  it('closes a pod in both directions, and opens it when the policy goes', async () => {
    put({ podSelector: app('pod-4'), policyTypes: ['Ingress', 'Egress'] });
    await expectTruth(({ from, to }) => from !== 4 && to !== 4);
    rmSync(policyFile());
    await expectTruth(() => true);
  });

  it('always lets a node reach its own pods', async () => {
    put({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    await expectTruth(() => false);
    await using node = trafficIn('ow-node1');
    for (const address of lab.pods[0]?.ips ?? []) {
      const attempt = await node.connect({ address, port: 8080, timeoutMs: 1000 });
      expect(attempt.connected, address).toBe(true);
    }
  });

  it('decides an open connection anew when policies change', async () => {
    const [client] = traffic;
    const address = lab.pods[1]?.ips[0] ?? '';
    const open = await Promise.all(ports.map((port) => client?.open({ address, port })));
    const beats = () =>
      Promise.all(open.map((one) => client?.beat({ connection: one?.connection ?? -1, timeoutMs: 300 })));
    const answered = async () => (await beats()).map((beat) => beat?.answered);
    expect(await answered()).toEqual([true, true]);
    put({
      podSelector: app('pod-2'),
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
    });
    await expect.poll(answered, { timeout: 8000 }).toEqual([true, false]);
  });
});
