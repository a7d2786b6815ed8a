// The dashboard asks for nothing that a daemon does not tell.
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callDaemon } from '../../src/daemon/client.ts';
import { type Netns, netns } from '../support/netns.ts';
import { type OverweftNode, overweftNode } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const dashboard = JSON.parse(
  readFileSync(new URL('../../deploy/grafana-dashboard.json', import.meta.url), 'utf8'),
) as { panels: readonly Panel[]; templating: { list: readonly { query: string }[] } };

const targets = dashboard.panels.flatMap(({ targets = [] }) => targets);

describeWith([root, tun], 'the dashboard', () => {
  let nodeNs: Netns;
  let podNs: Netns;
  let node: OverweftNode;
  /** Labels of each metric that has a sample; an empty set of one that has none. */
  const told = new Map<string, Set<string>>();

  beforeAll(async () => {
    nodeNs = await netns('owdash-node');
    podNs = await netns('owdash-pod');
    await nodeNs.exec('ip', 'link', 'add', 'under0', 'type', 'veth', 'peer', 'name', 'under1');
    await nodeNs.exec('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'under0');
    for (const end of ['under0', 'under1']) await nodeNs.exec('ip', 'link', 'set', end, 'up');
    const peers = [
      { name: 'far', addresses: ['192.0.2.2'], podCIDRs: ['10.244.2.0/24'], probe: '10.244.2.1' },
    ];
    node = await overweftNode(
      'owdash-node',
      { underlay: { addresses: ['192.0.2.1'] }, liveness: { interval: 1, timeout: 1 }, peers, dns: {} },
      ['10.244.1.0/24'],
      [{ name: 'pod-1', netns: 'owdash-pod', ips: ['10.244.1.2'] }],
    );
    writeFileSync(
      `${node.manifests}/policy.yaml`,
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'shut', namespace: 'default' },
        spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
      }),
    );
  }, 60_000);
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    for (const ns of [nodeNs, podNs]) await ns?.[Symbol.asyncDispose]();
  }, 60_000);

  const look = async () => {
    const { body } = await callDaemon(node.daemon.socket, 'GET', '/metrics');
    for (const line of body.split('\n')) {
      const [, name, type] = /^# TYPE (\w+) (\w+)/.exec(line) ?? [];
      if (name !== undefined) {
        if (!told.has(name)) told.set(name, new Set(['instance']));
        expect(type, name).toBe(name.endsWith('_total') ? 'counter' : 'gauge');
      }
      const [, sample = '', labels] = /^(\w+)\{(.*)\} /.exec(line) ?? [];
      if (labels !== undefined)
        for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) told.get(sample)?.add(label);
    }
    return told;
  };

  it('asks for metrics that the daemon has, by labels that they have', async () => {
    // A peer that does not answer is dead after a while, and a policy is counted once it is live.
    await expect
      .poll(async () => (await look()).get('overweft_policy_dropped_total')?.has('rule'), { timeout: 30_000 })
      .toBe(true);
    await expect
      .poll(async () => (await look()).get('overweft_peer_up')?.has('peer'), { timeout: 30_000 })
      .toBe(true);
    expect(targets.length).toBeGreaterThan(15);
    for (const { expr, legendFormat } of targets) {
      const metrics = [...expr.matchAll(/overweft_\w+/g)].map(([name]) => name);
      expect(metrics, expr).not.toEqual([]);
      for (const name of metrics) expect([...told.keys()], expr).toContain(name);
      const labels = [
        ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label),
        ...[...expr.matchAll(/\b(?:by|on) \(?([\w, ]+)\)|on\(([\w, ]+)\)/g)].flatMap(([, by, on]) =>
          (by ?? on ?? '').split(/,\s*/),
        ),
      ];
      // Of these nobody has a round trip here, nor has anything been dropped.
      const withSamples = metrics.filter((name) => (told.get(name)?.size ?? 0) > 1);
      for (const label of labels)
        for (const name of withSamples)
          expect([...(told.get(name) ?? [])], `${expr}: ${label}`).toContain(label);
    }
    for (const { query } of dashboard.templating.list) {
      for (const [name] of query.matchAll(/overweft_\w+/g)) expect([...told.keys()]).toContain(name);
    }
  });

  it('rates what only grows, and nothing else', () => {
    for (const { expr } of targets) {
      for (const [, name = ''] of expr.matchAll(/rate\((overweft_\w+)/g))
        expect(name).toMatch(/_total$|_epoch$/);
      for (const [name] of expr.matchAll(/overweft_\w+_total/g)) expect(expr).toContain(`rate(${name}`);
    }
  });

  it('has panels that do not overlap', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos, title } of dashboard.panels)
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
  });
});
