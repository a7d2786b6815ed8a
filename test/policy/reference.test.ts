// Compiled policy against the slow evaluator, over random clusters: verdict, policies and rule.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { desiredFrom } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { referenceAnswer } from '../support/policy-reference.ts';
import { probes, randomCluster } from '../support/random-cluster.ts';
import { TestTables } from '../support/tables.ts';

it('compiled policy agrees with the text of the APIs, rule by rule, on random clusters', {
  timeout: 120_000,
}, () => {
  const tables = new TestTables(loadConfigText());
  const deciders = new Set<string>();
  fc.assert(
    fc.property(randomCluster, ({ objects, policies, pods, others }) => {
      const desired = desiredFrom(objects);
      tables.fill(desired);
      for (const [key, addresses] of pods) {
        const peers = [...[...pods].flatMap(([other, parties]) => (other === key ? [] : parties)), ...others];
        for (const peer of peers) {
          const self = addresses.find(({ ip }) => ip.includes(':') === peer.ip.includes(':'));
          if (!self) throw new Error(`${key} has no address of the family of ${peer.ip}`);
          for (const [protocol, number, port] of probes) {
            for (const direction of ['ingress', 'egress'] as const) {
              const [source, destination] = direction === 'ingress' ? [peer, self] : [self, peer];
              const right = referenceAnswer(policies, { direction, source, destination, protocol, port });
              const decision = desired.policy.decisions.get(
                tables.decision(key, direction, peer.ip, number, port),
              );
              const compiled = {
                allowed: tables.allows(key, direction, peer.ip, number, port),
                policies: decision?.policies ?? [],
                rule: decision?.rule ?? null,
              };
              deciders.add(`${decision?.tier} ${decision?.verdict}`);
              if (JSON.stringify(compiled) === JSON.stringify(right)) continue;
              const what = `${key} ${direction} ${peer.ip} ${protocol}/${port}`;
              throw new Error(`${what}: compiled ${JSON.stringify(compiled)}, is ${JSON.stringify(right)}`);
            }
          }
        }
      }
    }),
    { numRuns: 400 },
  );
  // Every kind of answer has come up, or the clusters were too tame.
  expect([...deciders].sort()).toEqual([
    'Admin allow',
    'Admin deny',
    'Baseline allow',
    'Baseline deny',
    'NetworkPolicy allow',
    'NetworkPolicy deny',
    'null allow',
    'undefined undefined',
  ]);
});
