// Published NetworkPolicy cases with truth tables (Kubernetes' own e2e tests, cyclonus), step by step.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { desiredFrom, namespace, node, pod } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { corpus, corpusFolder, describeWith } from '../support/requires.ts';
import { TestTables } from '../support/tables.ts';

interface CorpusPort {
  port: number;
  protocol: string;
  name: string;
}

const numbers: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132 };
const read = <T>(name: string): T => JSON.parse(readFileSync(`${corpusFolder}/netpol/${name}`, 'utf8')) as T;
const containerPorts = (ports: readonly CorpusPort[]) =>
  ports.map(({ port, protocol, name }) => ({ name, protocol, containerPort: port }));

/** Both directions, all pods on one node: what the sender's and the receiver's node decide together. */
function reachable(
  tables: TestTables,
  ips: ReadonlyMap<string, string>,
  from: string,
  to: string,
  protocol: number,
  port: number,
) {
  return (
    tables.allows(from, 'egress', ips.get(to) ?? '', protocol, port) &&
    tables.allows(to, 'ingress', ips.get(from) ?? '', protocol, port)
  );
}

describeWith([corpus], 'published policy cases', () => {
  const tables = new TestTables(loadConfigText());

  describe('cyclonus', () => {
    interface Step {
      pods: Record<string, { ip: string; labels: Record<string, string> }>;
      namespaces: Record<string, Record<string, string>>;
      policies: object[];
      order: string[];
      truth: Record<string, Record<string, string>>;
    }
    const { containerPorts: ports, cases } = corpus.met()
      ? read<{ containerPorts: CorpusPort[]; cases: { id: number; description: string; steps: Step[] }[] }>(
          'cyclonus-cases.json',
        )
      : { containerPorts: [], cases: [] };

    it.each(cases.map((one) => [`${one.id} ${one.description}`, one] as const))('%s', (_, { steps }) => {
      for (const [stepNumber, step] of steps.entries()) {
        const ips = new Map(Object.entries(step.pods).map(([key, { ip }]) => [key, ip]));
        const pods = Object.entries(step.pods).map(([key, { ip, labels }]) => {
          const [space = '', name = ''] = key.split('/');
          return pod({ namespace: space, name, ips: [ip], labels, ports: containerPorts(ports) });
        });
        const spaces = Object.entries(step.namespaces).map(([name, labels]) => namespace(name, labels));
        tables.fill(desiredFrom([node(1), ...spaces, ...pods, ...step.policies]));
        for (const [portText, rows] of Object.entries(step.truth)) {
          const [port = '', protocol = ''] = portText.split('/');
          const actual: Record<string, string> = {};
          for (const [from, row] of Object.entries(rows)) {
            actual[from] = step.order
              .map((to, i) => {
                if (row[i] === 'o') return 'o';
                const number = numbers[protocol] ?? 0;
                return reachable(tables, ips, from, to, number, Number(port)) ? '.' : 'X';
              })
              .join('');
          }
          expect(actual, `step ${stepNumber + 1}, ${portText}`).toEqual(rows);
        }
      }
    });
  });

  describe('kubernetes e2e', () => {
    interface Step {
      podLabels: Record<string, Record<string, string>>;
      nsLabels: Record<string, Record<string, string>>;
      policies: object[];
      verify: { port: number; protocol: string; reachable: Record<string, Record<string, boolean>> }[];
    }
    const { cases } = corpus.met()
      ? read<{
          cases: { name: string; pods: Record<string, { ip: string; ports: string[] }>; steps: Step[] }[];
        }>('k8s-e2e-netpol.json')
      : { cases: [] };

    it.each(cases.map((one) => [one.name, one] as const))('%s', (_, { pods, steps }) => {
      const ips = new Map(Object.entries(pods).map(([key, { ip }]) => [key, ip]));
      for (const [stepNumber, step] of steps.entries()) {
        const objects = Object.entries(pods).map(([key, { ip, ports }]) => {
          const [space = '', name = ''] = key.split('/');
          const named = ports.map((text) => {
            const [, port = '', protocol = ''] = /^serve-(\d+)-(\w+)$/.exec(text) ?? [];
            return { name: text, containerPort: Number(port), protocol: protocol.toUpperCase() };
          });
          return pod({ namespace: space, name, ips: [ip], labels: step.podLabels[key] ?? {}, ports: named });
        });
        const spaces = Object.entries(step.nsLabels).map(([name, labels]) => namespace(name, labels));
        tables.fill(desiredFrom([node(1), ...spaces, ...objects, ...step.policies]));
        for (const { port, protocol, reachable: truth } of step.verify) {
          const actual = Object.fromEntries(
            Object.entries(truth).map(([from, row]) => [
              from,
              Object.fromEntries(
                Object.keys(row).map((to) => [
                  to,
                  reachable(tables, ips, from, to, numbers[protocol] ?? 0, port),
                ]),
              ),
            ]),
          );
          expect(actual, `step ${stepNumber + 1}, ${port}/${protocol}`).toEqual(truth);
        }
      }
    });
  });
});
