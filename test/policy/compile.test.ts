// Compiled policy: what a decision says, and how few classes and sets there are. reference.test.ts compares verdicts.
import { describe, expect, it } from 'vitest';
import { clusterFrom, desiredFrom, node, pod, policy } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { TestTables } from '../support/tables.ts';

const tables = new TestTables(loadConfigText());

describe('compiled policy', () => {
  it('names the policy and rule that allow, and every policy that isolates', () => {
    const objects = [
      node(1),
      pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
      pod({ name: 'client', ips: ['10.244.1.3'], labels: { app: 'client' } }),
      policy('deny', { podSelector: {} }),
      policy('web', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [
          { ports: [{ port: 443 }] },
          { from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: 80 }] },
        ],
      }),
    ];
    const desired = desiredFrom(objects);
    tables.fill(desired);
    const decision = (port: number) =>
      desired.policy.decisions.get(tables.decision('default/web', 'ingress', '10.244.1.3', 6, port));
    expect(decision(80)).toEqual({
      verdict: 'allow',
      direction: 'ingress',
      tier: 'NetworkPolicy',
      policies: ['NetworkPolicy:default/web'],
      name: null,
      rule: 1,
    });
    expect(decision(443)).toEqual({
      verdict: 'allow',
      direction: 'ingress',
      tier: 'NetworkPolicy',
      policies: ['NetworkPolicy:default/web'],
      name: null,
      rule: 0,
    });
    expect(decision(22)).toEqual({
      verdict: 'deny',
      direction: 'ingress',
      tier: 'NetworkPolicy',
      policies: ['NetworkPolicy:default/deny', 'NetworkPolicy:default/web'],
      name: null,
      rule: null,
    });
  });

  it('keeps as many classes as rules can tell apart, however many pods there are', () => {
    const workers = Array.from({ length: 500 }, (_, i) =>
      pod({
        name: `job-${i}`,
        ips: [`10.244.${2 + (i >> 8)}.${i & 255}`],
        node: 'node-2',
        labels: { app: 'job', index: `${i}` },
      }),
    );
    const { policy: compiled } = desiredFrom([
      node(1),
      node(2),
      pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
      ...workers,
      policy('web', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'job' } } }] }],
      }),
    ]);
    expect(compiled.classes).toBe(2);
    expect(compiled.sets).toHaveLength(1);
    expect(compiled.sets[0]?.rows).toHaveLength(2);
  });

  it('gives each of many peers its own of many ports, and shares what no rule has written', () => {
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const ip = (i: number) => `10.244.2.${i + 2}`;
    const desired = desiredFrom([
      node(1),
      node(2),
      pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
      ...numbers.map((i) => pod({ name: `p-${i}`, ips: [ip(i)], node: 'node-2', labels: { id: `${i}` } })),
      policy('web', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: numbers.map((i) => ({
          from: [{ podSelector: { matchLabels: { id: `${i}` } } }],
          ports: [{ port: 1000 + 3 * i, endPort: 1001 + 3 * i }],
        })),
      }),
    ]);
    tables.fill(desired);
    for (const i of numbers) {
      for (const port of [999, 1000 + 3 * i, 1001 + 3 * i, 1002 + 3 * i, 1000 + 3 * ((i + 32) % 200), 1600]) {
        const isOwn = port === 1000 + 3 * i || port === 1001 + 3 * i;
        expect(tables.allows('default/web', 'ingress', ip(i), 6, port), `${ip(i)} ${port}`).toBe(isOwn);
        expect(tables.allows('default/web', 'ingress', ip(i), 17, port)).toBe(false);
      }
    }
    const pages = new Set(desired.policy.sets[0]?.rows.flat());
    // One with no rule, and the last, which is not full.
    expect(pages.size).toBeLessThanOrEqual(2 + numbers.length);
  });

  it('shares one set between pods under the same policies', () => {
    const replicas = Array.from({ length: 20 }, (_, i) =>
      pod({
        name: `web-${i}`,
        ips: [`10.244.1.${i + 2}`],
        labels: { app: 'web' },
        ports: [{ name: 'http', containerPort: 80 }],
      }),
    );
    const { policy: compiled } = desiredFrom([
      node(1),
      ...replicas,
      policy('web', { podSelector: {}, ingress: [{ ports: [{ port: 'http' }] }] }),
    ]);
    expect(compiled.sets).toHaveLength(1);
  });

  it('applies no policy to host-network or finished pods, and lets none of them be selected', () => {
    const cluster = clusterFrom([
      pod({ name: 'host', ips: ['192.0.2.1'], spec: { hostNetwork: true } }),
      pod({ name: 'done', ips: ['10.244.1.9'], status: { phase: 'Succeeded' } }),
      pod({ name: 'failed', ips: ['10.244.1.9'], status: { phase: 'Failed' } }),
      pod({ name: 'live', ips: ['10.244.1.9'] }),
    ]);
    expect([...cluster.pods.keys()]).toEqual(['default/live']);
    expect(cluster.warnings).toEqual([]);
  });
});
