// `overweft policy why`: published cases through the function behind it, each reason, and the command line.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/policy/why.ts';
import { namespace, node, pod, policy } from '../support/cluster.ts';
import { explain, type Question } from '../support/explain.ts';
import { corpus, corpusFolder, describeWith } from '../support/requires.ts';
import { overweft } from '../support/run.ts';

const list = (items: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

const split = (key: string) => {
  const [space = '', name = ''] = key.split('/');
  return { namespace: space, name };
};
const read = <T>(name: string): T => JSON.parse(readFileSync(`${corpusFolder}/netpol/${name}`, 'utf8')) as T;

describeWith([corpus], 'published policy cases, explained', () => {
  describe('cyclonus', () => {
    interface Step {
      pods: Record<string, { ip: string; labels: Record<string, string> }>;
      namespaces: Record<string, Record<string, string>>;
      policies: object[];
      order: string[];
      truth: Record<string, Record<string, string>>;
    }
    interface Cases {
      containerPorts: { port: number; protocol: string; name: string }[];
      cases: { id: number; description: string; steps: Step[] }[];
    }
    const { containerPorts, cases } = corpus.met()
      ? read<Cases>('cyclonus-cases.json')
      : { containerPorts: [], cases: [] };
    const ports = containerPorts.map(({ port, protocol, name }) => ({ name, protocol, containerPort: port }));

    it.each(cases.map((one) => [`${one.id} ${one.description}`, one] as const))('%s', (_, { steps }) => {
      for (const [stepNumber, { pods, namespaces, policies, order, truth }] of steps.entries()) {
        const items = [
          ...Object.entries(namespaces).map(([name, labels]) => namespace(name, labels)),
          ...Object.entries(pods).map(([key, { ip, labels }]) =>
            pod({ ...split(key), ips: [ip], labels, ports }),
          ),
          ...policies,
        ];
        const wanted = Object.entries(truth).flatMap(([portText, rows]) => {
          const [port = '', protocol = ''] = portText.split('/');
          return Object.entries(rows).flatMap(([from, row]) =>
            order.map((to, i) => ({ from, to, protocol, port: Number(port), allow: row[i] !== 'X' })),
          );
        });
        const actual = explain(items, wanted).map(({ verdict }, i) => ({
          ...wanted[i],
          allow: verdict === 'allow',
        }));
        expect(actual, `step ${stepNumber + 1}`).toEqual(wanted);
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
    interface Case {
      name: string;
      pods: Record<string, { ip: string; ports: string[] }>;
      steps: Step[];
    }
    const { cases } = corpus.met() ? read<{ cases: Case[] }>('k8s-e2e-netpol.json') : { cases: [] };

    it.each(cases.map((one) => [one.name, one] as const))('%s', (_, { pods, steps }) => {
      for (const [stepNumber, { podLabels, nsLabels, policies, verify }] of steps.entries()) {
        const items = [
          ...Object.entries(nsLabels).map(([name, labels]) => namespace(name, labels)),
          ...Object.entries(pods).map(([key, { ip, ports }]) => {
            const named = ports.map((name) => {
              const [, port = '', protocol = ''] = /^serve-(\d+)-(\w+)$/.exec(name) ?? [];
              return { name, containerPort: Number(port), protocol: protocol.toUpperCase() };
            });
            return pod({ ...split(key), ips: [ip], labels: podLabels[key] ?? {}, ports: named });
          }),
          ...policies,
        ];
        // Half of the ends by address: an address that is a pod's counts as that pod.
        const wanted = verify.flatMap(({ port, protocol, reachable }) =>
          Object.entries(reachable).flatMap(([from, row]) =>
            Object.entries(row).map(([to, allow], i) => ({
              from: i % 2 === 0 ? from : (pods[from]?.ip ?? ''),
              to: i % 3 === 0 ? to : (pods[to]?.ip ?? ''),
              protocol,
              port,
              allow,
            })),
          ),
        );
        const actual = explain(items, wanted).map(({ verdict }, i) => ({
          ...wanted[i],
          allow: verdict === 'allow',
        }));
        expect(actual, `step ${stepNumber + 1}`).toEqual(wanted);
      }
    });
  });
});

const cluster = [
  node(1),
  node(2),
  namespace('x'),
  pod({ namespace: 'x', name: 'open', ips: ['10.244.1.2', 'fd00:244:1::2'], labels: { app: 'open' } }),
  pod({ namespace: 'x', name: 'shut', ips: ['10.244.1.3', 'fd00:244:1::3'], labels: { app: 'shut' } }),
  pod({ namespace: 'x', name: 'six', node: 'node-2', ips: ['fd00:244:2::4', '10.244.2.4'] }),
  pod({ namespace: 'x', name: 'host', ips: ['192.0.2.1'], spec: { hostNetwork: true } }),
  pod({ namespace: 'x', name: 'host-2', node: 'node-2', ips: ['192.0.2.2'], spec: { hostNetwork: true } }),
  pod({ namespace: 'x', name: 'done', ips: ['10.244.1.9'], status: { phase: 'Succeeded' } }),
  pod({ namespace: 'x', name: 'starting', ips: [] }),
  policy('shut', { podSelector: { matchLabels: { app: 'shut' } }, policyTypes: ['Ingress', 'Egress'] }, 'x'),
  policy(
    'web',
    {
      podSelector: { matchLabels: { app: 'shut' } },
      ingress: [
        { from: [{ ipBlock: { cidr: '198.51.100.0/24' } }] },
        { from: [{ podSelector: { matchLabels: { app: 'open' } } }], ports: [{ port: 80 }] },
        { from: [{ ipBlock: { cidr: 'fd00:244:2::/64' } }] },
      ],
    },
    'x',
  ),
];

describe('overweft policy why', () => {
  const free = (reason: string) => ({ verdict: 'allow', policies: [], rule: null, reason });
  const shut = (...names: string[]) => ({
    verdict: 'deny',
    policies: names.map((name) => `NetworkPolicy:x/${name}`),
    rule: null,
    reason: 'default-deny',
  });
  const byRule = (rule: number) => ({
    verdict: 'allow',
    policies: ['NetworkPolicy:x/web'],
    rule,
    reason: 'rule',
  });
  const stranger = '203.0.113.1';
  const cases: [string, Question, object, object][] = [
    [
      'no policy',
      { from: 'x/open', to: stranger, protocol: 'TCP', port: 80 },
      free('not-isolated'),
      free('not-a-pod'),
    ],
    [
      'allowed by the second rule',
      { from: 'x/open', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('not-isolated'),
      byRule(1),
    ],
    [
      'another port',
      { from: 'x/open', to: 'x/shut', protocol: 'TCP', port: 81 },
      free('not-isolated'),
      shut('shut', 'web'),
    ],
    [
      'ICMP, where rules name ports',
      { from: 'x/open', to: 'x/shut', protocol: 'ICMP' },
      free('not-isolated'),
      shut('shut', 'web'),
    ],
    [
      'ICMP, where a rule names none',
      { from: '198.51.100.1', to: 'x/shut', protocol: 'ICMP' },
      free('not-a-pod'),
      byRule(0),
    ],
    [
      'denied egress, ingress judged all the same',
      { from: 'x/shut', to: 'x/open', protocol: 'UDP', port: 53 },
      shut('shut'),
      free('not-isolated'),
    ],
    [
      'no pods at all',
      { from: stranger, to: '2001:db8::99', protocol: 'SCTP', port: 1 },
      free('not-a-pod'),
      free('not-a-pod'),
    ],
    ['itself', { from: 'x/shut', to: 'x/shut', protocol: 'TCP', port: 80 }, free('hairpin'), free('hairpin')],
    [
      'itself by its other address',
      { from: 'x/shut', to: 'fd00:244:1:0::3', protocol: 'TCP', port: 80 },
      free('hairpin'),
      free('hairpin'),
    ],
    [
      'from its own node',
      { from: '192.0.2.1', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('not-a-pod'),
      free('own-node'),
    ],
    [
      'from its own node in the pod network',
      { from: '10.244.1.1', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('not-a-pod'),
      free('own-node'),
    ],
    [
      'from another node',
      { from: '192.0.2.2', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('not-a-pod'),
      shut('shut', 'web'),
    ],
    [
      'to its own node',
      { from: 'x/shut', to: '2001:db8::1', protocol: 'TCP', port: 80 },
      free('own-node'),
      free('not-a-pod'),
    ],
    [
      'from a host-network pod of its node',
      { from: 'x/host', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('host-network'),
      free('own-node'),
    ],
    [
      'from one of another node',
      { from: 'x/host-2', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('host-network'),
      shut('shut', 'web'),
    ],
    [
      'from a pod under its first address',
      { from: 'x/six', to: 'x/shut', protocol: 'TCP', port: 9 },
      free('not-isolated'),
      byRule(2),
    ],
    [
      'from that pod under its other address',
      { from: '10.244.2.4', to: 'x/shut', protocol: 'TCP', port: 9 },
      free('not-isolated'),
      shut('shut', 'web'),
    ],
    [
      'from the address of a pod that has ended',
      { from: '10.244.1.9', to: 'x/shut', protocol: 'TCP', port: 80 },
      free('not-a-pod'),
      shut('shut', 'web'),
    ],
  ];

  it.each(cases)('%s', (_, question, egress, ingress) => {
    const allow = [egress, ingress].every((one) => (one as { verdict: string }).verdict === 'allow');
    expect(explain(cluster, [question])).toEqual([{ verdict: allow ? 'allow' : 'deny', egress, ingress }]);
  });

  it('judges more pods than one matcher takes', () => {
    const pods = Array.from({ length: 600 }, (_, i) =>
      pod({
        namespace: 'y',
        name: `pod-${i}`,
        ips: [`10.9.${i >> 8}.${i & 255}`],
        labels: { parity: `${i % 2}` },
      }),
    );
    const even = policy('even', { podSelector: { matchLabels: { parity: '0' } } }, 'y');
    const questions = pods.map((_, i) => ({ from: stranger, to: `y/pod-${i}`, protocol: 'TCP', port: 80 }));
    const verdicts = explain([...pods, even], questions).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(pods.map((_, i) => (i % 2 === 0 ? 'deny' : 'allow')));
  });

  describe('command line', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'overweft-why-'));
      writeFileSync(join(folder, 'cluster.json'), list(cluster));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    const why = (...args: string[]) => overweft(['policy', 'why', '--manifests', folder, ...args]);
    const file = (name: string, ...lines: string[]) => {
      writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
      return join(folder, name);
    };
    const one = ['--from', 'x/shut', '--to', 'x/open', '--protocol', 'TCP', '--port', '80'];

    it('prints one JSON object, keys in their order', async () => {
      expect(await why(...one, '--json')).toMatchObject({
        status: 0,
        stderr: '',
        stdout:
          '{"verdict":"deny","egress":{"verdict":"deny","policies":["NetworkPolicy:x/shut"],"rule":null,"reason":"default-deny"},"ingress":{"verdict":"allow","policies":[],"rule":null,"reason":"not-isolated"}}\n',
      });
    });

    it('prints readable lines otherwise', async () => {
      expect(await why(...one)).toMatchObject({
        status: 0,
        stderr: '',
        stdout: [
          'deny  x/shut → x/open, TCP 80',
          '  egress   deny   x/shut is isolated, and no rule allows this: NetworkPolicy:x/shut (default-deny)',
          '  ingress  allow  no policy isolates x/open (not-isolated)',
          '',
        ].join('\n'),
      });
    });

    it('answers a file of probes line by line', async () => {
      const probes = file(
        'probes',
        '{"from":"x/open","to":"x/shut","protocol":"TCP","port":80}',
        '{"from":"x/open","to":"x/shut","protocol":"ICMP"}',
      );
      const { status, stdout } = await why('--probes', probes);
      expect(status).toBe(0);
      expect(
        stdout
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as Explanation).verdict),
      ).toEqual(['allow', 'deny']);
    });

    it('names every bad line of a file of probes, and answers none', async () => {
      const probes = file(
        'bad',
        '{"from":"x/open","to":"x/shut","protocol":"TCP","port":80}',
        '',
        '{"from":"x/nobody","to":"x/shut","protocol":"TCP","port":80}',
        '{"from":"x/open","to":"10.1.2","protocol":"TCP","port":80}',
        '{"from":"x/open","to":"x/shut","protocol":"TCP"}',
        '{"from":"x/open","to":"x/shut","protocol":"ICMP","port":1}',
        '{"from":"x/open"',
        '{"from":"x/done","to":"x/starting","protocol":"UDP","port":1}',
        '7',
      );
      const { status, stdout, stderr } = await why('--probes', probes);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr.trimEnd().split('\n')).toEqual([
        `overweft: ${probes}: line 3: from: there is no pod x/nobody in the manifests`,
        `${probes}: line 4: to: "10.1.2" is neither an IP address nor NAMESPACE/POD`,
        `${probes}: line 5: port: is missing: TCP needs one`,
        `${probes}: line 6: port: must not be given: ICMP has no ports`,
        expect.stringContaining(`${probes}: line 7: is no JSON: `),
        `${probes}: line 8: from: pod x/done has ended (Succeeded) and has no connections`,
        `${probes}: line 9: must be an object`,
      ]);
    });

    it.each([
      [['--from', 'x/nobody', ...one.slice(2)], '--from: there is no pod x/nobody in the manifests'],
      [[...one.slice(0, 2), '--to', 'x/starting', ...one.slice(4)], '--to: pod x/starting has no address'],
      [one.slice(0, 6), '--port: is missing: TCP needs one'],
      [[...one.slice(0, 6), '--port', 'http'], '--port: must be an integer from 1 to 65535'],
      [[...one.slice(0, 6), '--port', '65536'], '--port: must be an integer from 1 to 65535'],
      [
        [...one.slice(0, 4), '--protocol', 'GRE', '--port', '1'],
        '--protocol: must be "TCP" or "UDP" or "SCTP" or "ICMP"',
      ],
      [one.slice(2), '--from is missing'],
      [['--probes', '/nowhere', ...one], '--probes and --from'],
      [['--probes', '/nowhere'], '/nowhere: cannot be read'],
      [[...one, '--manifests', '/nowhere'], '/nowhere: cannot be read'],
    ])('refuses %j', async (args, message) => {
      const { status, stdout, stderr } = await why(...args);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain(`overweft: ${message}`);
    });
  });
});
