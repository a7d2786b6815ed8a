// What policy drops is counted under the policy, rule and direction that did it, and the count outlives table changes.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { callDaemon, daemonStatus } from '../../src/daemon/client.ts';
import { clusterPolicy, policy } from '../support/cluster.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { overweft, run } from '../support/run.ts';

describeWith([root, tun], 'drops by policy', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
  });
  afterAll(async () => void (await lab?.[Symbol.asyncDispose]()));
  const file = () => `${lab.manifests}/policies.json`;
  afterEach(() => rmSync(file(), { force: true }));

  const [far4, far6] = ['10.244.2.3', 'fd00:244:2::3'] as const;
  const socket = (i: number) => lab.nodes[i]?.socket ?? expect.fail(`no node ${i}`);

  /** Puts policies in, and waits until they are live on both nodes. */
  async function put(...items: object[]): Promise<void> {
    const epochs = () => Promise.all([0, 1].map(async (i) => (await daemonStatus(socket(i))).epoch));
    const before = await epochs();
    writeFileSync(file(), JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
    await expect.poll(async () => (await epochs()).every((epoch, i) => epoch > (before[i] ?? 0))).toBe(true);
  }

  /** Echo requests from pod-1 that nobody may answer. */
  async function knock(address: string, count: number): Promise<void> {
    const argv = ['-n', '-i', '0.05', '-W', '0.3', '-c', `${count}`, address];
    const { status, stdout } = await run('ping', argv, { netns: 'ow-pod1' });
    expect(status, stdout).not.toBe(0);
    expect(stdout).toContain(`${count} packets transmitted, 0 received`);
  }

  /** Of the decisions that have dropped something: `direction policies rule: count`. */
  async function drops(i: number): Promise<string[]> {
    const { decisions } = await daemonStatus(socket(i));
    return decisions
      .filter(({ dropped }) => dropped > 0)
      .map(({ direction, policies, rule, dropped }) => `${direction} ${policies} ${rule}: ${dropped}`);
  }

  it('by rules of a ClusterNetworkPolicy', async () => {
    const shut = clusterPolicy('shut', {
      tier: 'Admin',
      priority: 1,
      subject: { pods: { podSelector: { matchLabels: { app: 'pod-1' } } } },
      egress: [
        { name: 'far, over IPv4', action: 'Deny', to: [{ networks: ['10.244.2.0/24'] }] },
        { action: 'Deny', to: [{ networks: ['fd00:244:2::/64'] }] },
      ],
    });
    await put(shut);
    await knock(far4, 3);
    await knock(far6, 2);
    const by = 'egress ClusterNetworkPolicy:shut';
    expect(await drops(0)).toEqual([`${by} 0: 3`, `${by} 1: 2`]);
    expect(await drops(1)).toEqual([]);

    // Another policy makes new tables; these rules go on where they were.
    await put(shut, policy('other', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] }));
    await knock(far4, 1);
    expect(await drops(0)).toEqual([`${by} 0: 4`, `${by} 1: 2`]);

    const { stdout } = await overweft(['status', '--socket', socket(0)]);
    expect(stdout).toMatch(
      /Denied by policy\n {2}egress {2}ClusterNetworkPolicy:shut {2}rule 0 "far, over IPv4" {2}4\n {2}egress {2}ClusterNetworkPolicy:shut {2}rule 1 +2\n/,
    );
    const { body } = await callDaemon(socket(0), 'GET', '/metrics');
    const labels = 'tier="Admin",direction="egress",policies="ClusterNetworkPolicy:shut"';
    expect(body).toContain(
      `overweft_policy_dropped_total{${labels},rule="0",name="far, over IPv4"} 4\noverweft_policy_dropped_total{${labels},rule="1",name=""} 2\n`,
    );
  });

  it('by default deny, under every policy that isolates the receiver', async () => {
    const isolated = { podSelector: { matchLabels: { app: 'pod-2' } } };
    await put(
      policy('one', isolated),
      policy('two', { ...isolated, ingress: [] }),
      policy('not', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] }),
    );
    await knock(far4, 3);
    await knock(far6, 2);
    expect(await drops(0)).toEqual([]);
    const by = 'NetworkPolicy:default/one,NetworkPolicy:default/two';
    expect(await drops(1)).toEqual([`ingress ${by} null: 5`]);
    const { body } = await callDaemon(socket(1), 'GET', '/metrics');
    expect(body).toContain(
      `overweft_policy_dropped_total{tier="NetworkPolicy",direction="ingress",policies="${by}",rule="default-deny",name=""} 5\n`,
    );
  });
});
