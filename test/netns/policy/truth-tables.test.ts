/**
 * The cases of the Kubernetes policy suite and others, each against every way of a cluster of nine pods: 81 pairs, TCP, UDP and SCTP,
 * ports 80 and 81, IPv4 and IPv6, by real sockets; and `overweft policy why` must say the same of the same manifests.
 *
 * The suite has 42 cases for TCP, 3 for UDP and 3 for SCTP. Every table here is of all three protocols, so two cases that
 * it repeats for UDP and SCTP are one each.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Prober, startProber } from '../../support/prober.ts';
import { describeWith, root, tun } from '../../support/requires.ts';
import { overweft } from '../../support/run.ts';
import type { Step, TruthCase } from './cases/case.ts';
import { changeCases } from './cases/changes.ts';
import { egressCases } from './cases/egress.ts';
import { ingressCases } from './cases/ingress.ts';
import { portCases } from './cases/ports.ts';
import { statementCases } from './cases/statements.ts';
import { tierCases } from './cases/tiers.ts';
import { type NinePods, ninePods, placedPods } from './nine-pods.ts';
import { podNames, probedPorts, truthOf, type Way, ways, wayText } from './truth.ts';

/** SEMANTICS' and our own limit for a change to be in force. */
const convergenceMs = 5000;

describeWith([root, tun], 'truth tables', () => {
  let cluster: NinePods;
  let prober: Prober;
  let scratch: string;

  beforeAll(async () => {
    scratch = mkdtempSync(`${tmpdir()}/overweft-truth-`);
    cluster = await ninePods();
    prober = startProber();
    for (const name of podNames) await prober.serve(placedPods[name].netns, probedPorts);
  });
  afterAll(async () => {
    await prober?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true });
  });

  const addressOf = ({ to, family }: Way) => placedPods[to].ips[family === 4 ? 0 : 1];

  const bySockets = async (): Promise<string[]> => {
    const outcomes = await prober.probe(
      ways.map((way) => ({
        netns: placedPods[way.from].netns,
        address: addressOf(way),
        protocol: way.protocol,
        port: way.port,
      })),
    );
    return ways.flatMap((way, i) => {
      if (outcomes[i] === 'silent') return [];
      return outcomes[i] === 'answered' ? wayText(way) : `${wayText(way)}: ${outcomes[i]}`;
    });
  };

  const byWhy = async (): Promise<string[]> => {
    const file = `${scratch}/probes.jsonl`;
    const probes = ways.map((way) => {
      const from = placedPods[way.from].ips[way.family === 4 ? 0 : 1];
      return JSON.stringify({ from, to: addressOf(way), protocol: way.protocol, port: way.port });
    });
    writeFileSync(file, probes.join('\n'));
    const { status, stdout, stderr } = await overweft([
      ...['policy', 'why', '--manifests', cluster.lab.manifests, '--probes', file],
    ]);
    if (status !== 0) throw new Error(stderr);
    const answers = stdout.trimEnd().split('\n');
    return ways.filter((_, i) => JSON.parse(answers[i] ?? '').verdict === 'allow').map(wayText);
  };

  /** Ways that are open though they must not be, and the other way round. */
  const difference = (open: readonly string[], isAllowed: (way: Way) => boolean) => {
    const wanted = new Set(ways.filter(isAllowed).map(wayText));
    return {
      wronglyOpen: open.filter((way) => !wanted.has(way)),
      wronglyShut: [...wanted].filter((way) => !open.includes(way)),
    };
  };
  const none = { wronglyOpen: [], wronglyShut: [] };

  const holds = async ({ truth, ...situation }: Step) => {
    const isAllowed = truthOf(truth);
    await cluster.become(situation);
    const deadline = performance.now() + convergenceMs;
    const why = byWhy();
    let found = difference(await bySockets(), isAllowed);
    while (found.wronglyOpen.length + found.wronglyShut.length > 0 && performance.now() < deadline)
      found = difference(await bySockets(), isAllowed);
    expect(found, 'by sockets').toEqual(none);
    expect(difference(await why, isAllowed), 'by policy why').toEqual(none);
  };

  const suites: Record<string, readonly TruthCase[]> = {
    ingress: ingressCases,
    egress: egressCases,
    ports: portCases,
    changes: changeCases,
    statements: statementCases,
    ClusterNetworkPolicy: tierCases,
  };
  for (const [name, cases] of Object.entries(suites)) {
    describe(name, () => {
      it.each(cases)('$name', async ({ steps }) => {
        for (const step of steps) await holds(step);
      });
    });
  }
});
