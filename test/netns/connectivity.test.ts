// `overweft connectivity`: what reaches what in a lab, and the causes that it names where something is in the way.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Reach } from '../../src/connectivity/probe.ts';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, overweft } from '../support/run.ts';

describeWith([root, tun, command('nft'), command('ping')], 'connectivity', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const probe = async (...args: string[]) => {
    const sockets = lab.nodes.map(({ socket }) => socket);
    const { status, stdout, stderr } = await overweft(
      ['connectivity', '--json', ...args, '--socket', ...sockets],
      { timeoutMs: 100_000 },
    );
    if (stdout === '') throw new Error(stderr);
    const pairs = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Reach);
    return { status, pairs };
  };
  const nft = (...args: string[]) => must('nft', args, { netns: 'ow-node2' });
  /** A rule on what arrives at node 2, as long as the work takes. */
  const filtering = async (rule: string, work: () => Promise<void>) => {
    await nft('add', 'table', 'inet', 'wall');
    await nft('add', 'chain', 'inet', 'wall', 'in', '{ type filter hook input priority 0; }');
    await nft(`add rule inet wall in ${rule}`);
    try {
      await work();
    } finally {
      await nft('delete', 'table', 'inet', 'wall');
    }
  };

  it('finds that every pair of nodes and pods reaches each other, with packets of the MTU, in both families', async () => {
    const { status, pairs } = await probe();
    expect(pairs.filter(({ state }) => state !== 'reached')).toEqual([]);
    expect(status).toBe(0);
    // From each node to the other and 4 pods; from each pod to both nodes and 3 pods.
    expect(pairs).toHaveLength((2 * (1 + 4) + 4 * (2 + 3)) * 2);
    expect(pairs).toContainEqual({
      from: 'default/pod-1',
      to: 'default/pod-2',
      address: '10.244.2.3',
      state: 'reached',
      roundTripMs: expect.any(Number),
      mtu: 1450,
      reason: null,
    });
    expect(pairs).toContainEqual(
      expect.objectContaining({ from: 'node-2', to: 'node-1', address: 'fd00:244:1::1', mtu: 1450 }),
    );
  });

  it('names the policy that denies, and does not count that as a failure', async () => {
    const file = `${lab.manifests}/deny.yaml`;
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'shut', namespace: 'default' },
        spec: { podSelector: { matchLabels: { app: 'pod-2' } }, policyTypes: ['Ingress'] },
      }),
    );
    const isolated = async () =>
      (await daemonStatus(lab.nodes[1]?.socket ?? '')).ports.find(({ name }) => name === 'default/pod-2')
        ?.isolated;
    await expect.poll(isolated).toEqual(['ingress']);
    const { status, pairs } = await probe(
      '--to',
      'default/pod-2',
      '--from',
      'default/pod-1',
      'node-1',
      'node-2',
    );
    rmSync(file);
    await expect.poll(isolated).toEqual([]);
    expect(status).toBe(0);
    const reason = 'ingress: NetworkPolicy:default/shut: no rule allows it';
    for (const from of ['default/pod-1', 'node-1']) {
      const states = pairs.filter((pair) => pair.from === from);
      expect(states, from).toHaveLength(2);
      for (const pair of states) expect(pair).toMatchObject({ state: 'denied', reason });
    }
    // Its own node reaches a pod whatever policies say.
    const own = pairs.filter(({ from }) => from === 'node-2');
    expect(own.map(({ state }) => state)).toEqual(['reached', 'reached']);
  });

  it('tells a tunnel that is blocked from a node that is gone', async () => {
    const from = ['--from', 'node-1', 'default/pod-1', '--to', 'node-2', 'default/pod-2'];
    await filtering('udp dport 6081 drop', async () => {
      const { status, pairs } = await probe(...from);
      expect(status).toBe(1);
      const told = Object.fromEntries(pairs.map(({ from, to, reason }) => [`${from} ${to}`, reason]));
      expect(told['node-1 node-2']).toMatch(
        /^the node's underlay address 192\.0\.2\.2 answers, but no IPv[46] comes back .* GENEVE \(UDP port 6081\)/,
      );
      expect(told['default/pod-1 default/pod-2']).toBe('node node-2 does not answer, either');
    });
    await filtering('iifname under0 drop', async () => {
      const { pairs } = await probe('--from', 'node-1', '--to', 'node-2');
      expect(pairs[0]?.reason).toMatch(/^the node's underlay address 192\.0\.2\.2 does not answer, either$/);
    });
    expect((await probe(...from)).status).toBe(0);
  });

  it('finds the largest packet that passes where large ones are lost without a word', async () => {
    await filtering('udp dport 6081 meta length > 1400 drop', async () => {
      const { status, pairs } = await probe('--from', 'default/pod-1', '--to', 'default/pod-2');
      expect(status).toBe(1);
      expect(pairs).toHaveLength(2);
      for (const pair of pairs) expect(pair).toMatchObject({ state: 'mtu', mtu: 1350 });
      expect(pairs[0]?.reason).toContain('packets of 1450 bytes');
      const text = await overweft([
        ...['connectivity', '--from', 'default/pod-1', '--to', 'default/pod-2'],
        ...['--socket', lab.nodes[0]?.socket ?? ''],
      ]);
      expect(text.stdout).toMatch(
        /^Lose large packets\n {2}default\/pod-1 {2}→ {2}default\/pod-2 {2}10\.244\.2\.3 +packets/,
      );
      expect(text.stdout).toContain('From node-1: 0 of 2 pairs reach each other, 2 lose large packets.\n');
    });
  });

  it('says what it cannot do', async () => {
    const nobody = await overweft(['connectivity', '--to', 'nobody', '--socket', lab.nodes[0]?.socket ?? '']);
    expect(nobody).toMatchObject({ status: 1, stdout: '' });
    expect(nobody.stderr).toContain('in no pair that can be probed from here: nobody');
    const absent = await overweft(['connectivity', '--socket', '/nowhere']);
    expect(absent.stderr).toContain('/nowhere: no daemon listens there');
  });
});
