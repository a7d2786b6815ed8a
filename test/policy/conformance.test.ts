/**
 * The cases of the conformance suite of sigs.k8s.io/network-policy-api v0.2.0, by its names, told again for tables: who
 * reaches whom in its world of four houses. The hairpin case is not among them: it is an optional feature, and
 * Overweft lets a pod always reach itself.
 * https://github.com/kubernetes-sigs/network-policy-api/tree/main/conformance
 */
import { describe, expect, it } from 'vitest';
import { clusterPolicy, namespace, node, pod, policy } from '../support/cluster.ts';
import { explain } from '../support/explain.ts';

const houses = ['gryffindor', 'slytherin', 'hufflepuff', 'ravenclaw'] as const;
type House = (typeof houses)[number];
type Tier = 'Admin' | 'Baseline';
type Direction = 'Egress' | 'Ingress';
interface Rule {
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly protocols?: readonly object[];
  readonly [peers: string]: unknown;
}

/** Pods `HOUSE/0` and `HOUSE/1`, on different nodes, and a pod on the host network of each node. */
function world(family: 4 | 6): object[] {
  const ports = [
    { name: 'web', containerPort: 80, protocol: 'TCP' },
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
  ];
  return [
    ...[1, 2].map((i) => node(i, { 'kubernetes.io/os': 'linux' })),
    ...houses.map((house) => namespace(house, { 'conformance-house': house })),
    ...houses.flatMap((house, h) =>
      [0, 1].map((i) =>
        pod({
          namespace: house,
          name: `${i}`,
          node: `node-${i + 1}`,
          ips: [family === 4 ? `10.244.${i + 1}.${h + 2}` : `fd00:244:${i + 1}::${h + 2}`],
          labels: { 'conformance-house': house, 'statefulset.kubernetes.io/pod-name': `${house}-${i}` },
          ports,
        }),
      ),
    ),
    ...[1, 2].map((i) =>
      pod({
        namespace: 'forest',
        name: `centaur-${i}`,
        node: `node-${i}`,
        ips: [family === 4 ? `192.0.2.${i}` : `2001:db8::${i}`],
        spec: { hostNetwork: true },
      }),
    ),
  ];
}

/** `+` for reaches, then `from to protocol port`. */
type Poke = `${'+' | '-'} ${string} ${string} ${'tcp' | 'udp' | 'sctp'} ${number}`;

function expectPokes(policies: readonly object[], pokes: readonly Poke[]): void {
  for (const family of [4, 6] as const) {
    const questions = pokes.map((poke) => {
      const [, from = '', to = '', protocol = '', port] = poke.split(' ');
      return { from, to, protocol: protocol.toUpperCase(), port: Number(port) };
    });
    const actual = explain([...world(family), ...policies], questions).map(
      ({ verdict }, i) => `${verdict === 'allow' ? '+' : '-'}${pokes[i]?.slice(1)}`,
    );
    expect(actual, `IPv${family}`).toEqual(pokes);
  }
}

const ofHouse = (house: House) => ({ matchLabels: { 'conformance-house': house } });
const namespaces = (house: House) => ({ namespaces: ofHouse(house) });
const podsOf = (house: House, podSelector: object = ofHouse(house)) => ({
  pods: { namespaceSelector: ofHouse(house), podSelector },
});
const port = (protocol: string, number: number) => ({ [protocol]: { destinationPort: { number } } });
const range = (protocol: string, start: number, end: number) => ({
  [protocol]: { destinationPort: { range: { start, end } } },
});
const rule = (
  direction: Direction,
  action: Rule['action'],
  peers: readonly object[],
  ...protocols: readonly object[]
): Rule => ({
  action,
  [direction === 'Egress' ? 'to' : 'from']: peers,
  ...(protocols.length > 0 && { protocols }),
});
const swapped = <T>(list: readonly T[], i: number, j: number): T[] =>
  list.map((item, at) => (at === i ? list[j] : at === j ? list[i] : item) as T);
const cnp = (name: string, tier: Tier, priority: number, subject: object, rules: object) =>
  clusterPolicy(name, { tier, priority, subject, ...rules });
const rulesOf = (direction: Direction, rules: readonly Rule[]) => ({ [direction.toLowerCase()]: rules });

const tiers = ['Admin', 'Baseline'] as const;
const directions = ['Egress', 'Ingress'] as const;
/** From gryffindor, or to it. */
const poke = (
  sign: '+' | '-',
  direction: Direction,
  i: number,
  other: string,
  protocol: 'tcp' | 'udp' | 'sctp',
  number: number,
): Poke =>
  direction === 'Egress'
    ? `${sign} gryffindor/${i} ${other} ${protocol} ${number}`
    : `${sign} ${other} gryffindor/${i} ${protocol} ${number}`;

const transports = [
  ['tcp', 80, 8080],
  ['udp', 53, 5353],
  ['sctp', 9003, 9005],
] as const;

for (const tier of tiers) {
  for (const direction of directions) {
    for (const [protocol, p, q] of transports) {
      describe(`CNP${tier}Tier${direction}${protocol.toUpperCase()}`, () => {
        const of = (action: Rule['action'], house: House, ...ports: number[]) =>
          rule(direction, action, [namespaces(house)], ...ports.map((number) => port(protocol, number)));
        const isAdmin = tier === 'Admin';
        const all = [
          of('Accept', 'ravenclaw'),
          of('Deny', 'ravenclaw'),
          ...(isAdmin ? [of('Pass', 'ravenclaw')] : []),
          of('Deny', 'slytherin', p),
          ...(isAdmin ? [of('Pass', 'slytherin', p)] : []),
          of('Accept', 'hufflepuff', q),
          of('Deny', 'hufflepuff'),
        ];
        const under = (rules: readonly Rule[], ...pokes: ['+' | '-', string, number][]) =>
          expectPokes(
            [cnp('tested', tier, 6, namespaces('gryffindor'), rulesOf(direction, rules))],
            pokes.map(([sign, other, number], i) => poke(sign, direction, i % 2, other, protocol, number)),
          );
        const gress = direction.toLowerCase();

        it(`supports an 'allow-${gress}' policy; rule ordering is respected`, () =>
          under(all, ['+', 'ravenclaw/0', p], ['+', 'ravenclaw/0', q]));
        it(`supports an 'allow-${gress}' policy at the specified port`, () =>
          under(all, ['+', 'hufflepuff/1', q], ['-', 'hufflepuff/1', p]));
        it(`supports a 'deny-${gress}' policy; rule ordering is respected`, () =>
          under(swapped(all, 0, 1), ['-', 'ravenclaw/1', p], ['-', 'ravenclaw/1', q]));
        it(`supports a 'deny-${gress}' policy at the specified port`, () =>
          under(all, ['-', 'slytherin/0', p], ['+', 'slytherin/0', q]));
        if (!isAdmin) return;
        it(`supports a 'pass-${gress}' policy; rule ordering is respected`, () =>
          under(swapped(swapped(all, 0, 1), 0, 2), ['+', 'ravenclaw/0', p], ['+', 'ravenclaw/0', q]));
        it(`supports a 'pass-${gress}' policy at the specified port`, () =>
          under(swapped(all, 3, 4), ['+', 'slytherin/0', p], ['+', 'slytherin/0', q]));
      });
    }
  }

  describe(`CNP${tier}TierGress`, () => {
    const ports = (numbers: readonly number[]) =>
      transports.map(([protocol], i) => port(protocol, numbers[i] ?? 0));
    const rules = (direction: Direction) => [
      rule(direction, 'Accept', [namespaces('ravenclaw')]),
      rule(direction, 'Deny', [namespaces('ravenclaw')]),
      rule(direction, 'Deny', [namespaces('slytherin')], ...ports([80, 53, 9003])),
      rule(direction, 'Accept', [namespaces('hufflepuff')], ...ports([8080, 5353, 9003])),
      rule(direction, 'Deny', [namespaces('hufflepuff')]),
    ];
    const under = (change: (rules: Rule[]) => Rule[], signs: Record<string, '+' | '-'>) => {
      const both = Object.assign({}, ...directions.map((one) => rulesOf(one, change(rules(one))))) as object;
      const pokes = Object.entries(signs).flatMap(([what, sign]) => {
        const [other = '', protocol = '', number = ''] = what.split(' ');
        return directions.map((direction) =>
          poke(sign, direction, 0, other, protocol as 'tcp', Number(number)),
        );
      });
      expectPokes([cnp('gress', tier, 15, namespaces('gryffindor'), both)], pokes);
    };
    const asWritten = (list: Rule[]) => list;

    it("supports an 'allow-gress' policy across different protocols", () =>
      under(asWritten, {
        'ravenclaw/0 tcp 80': '+',
        'ravenclaw/0 udp 53': '+',
        'ravenclaw/0 sctp 9003': '+',
      }));
    it("supports an 'allow-gress' policy across different protocols at the specified ports", () =>
      under(asWritten, {
        'hufflepuff/1 tcp 8080': '+',
        'hufflepuff/1 tcp 80': '-',
        'hufflepuff/1 udp 5353': '+',
        'hufflepuff/1 udp 53': '-',
        'hufflepuff/1 sctp 9003': '+',
        'hufflepuff/1 sctp 9005': '-',
      }));
    it("supports a 'deny-gress' policy across different protocols", () =>
      under((list) => swapped(list, 0, 1), {
        'ravenclaw/1 tcp 80': '-',
        'ravenclaw/1 udp 53': '-',
        'ravenclaw/1 sctp 9003': '-',
      }));
    it("supports a 'deny-gress' policy across different protocols at the specified ports", () =>
      under(asWritten, {
        'slytherin/0 tcp 80': '-',
        'slytherin/0 tcp 8080': '+',
        'slytherin/0 udp 53': '-',
        'slytherin/0 udp 5353': '+',
        'slytherin/0 sctp 9003': '-',
        'slytherin/0 sctp 9005': '+',
      }));
  });

  describe(`CNP${tier}TierSamePriority`, () => {
    const pair = (subject: House, peer: House, number: number) =>
      cnp(`${subject}-${peer}`, tier, 15, namespaces(subject), {
        ingress: [rule('Ingress', 'Deny', [namespaces(peer)], port('tcp', number))],
        egress: [rule('Egress', 'Deny', [namespaces(peer)], port('tcp', number))],
      });
    const policies = [
      pair('gryffindor', 'slytherin', 80),
      pair('gryffindor', 'hufflepuff', 80),
      pair('hufflepuff', 'slytherin', 8080),
    ];
    it('denies traffic in both directions for each same-priority policy', () =>
      expectPokes(policies, [
        '- slytherin/0 gryffindor/0 tcp 80',
        '- gryffindor/0 slytherin/0 tcp 80',
        '- hufflepuff/0 gryffindor/0 tcp 80',
        '- gryffindor/1 hufflepuff/0 tcp 80',
        '- slytherin/1 hufflepuff/0 tcp 8080',
        '- hufflepuff/1 slytherin/0 tcp 8080',
      ]));
    it("does not apply one same-priority policy's rules to another policy's subject", () =>
      expectPokes(policies, [
        '+ slytherin/0 gryffindor/0 tcp 8080',
        '+ gryffindor/0 slytherin/0 tcp 8080',
        '+ slytherin/1 hufflepuff/0 tcp 80',
        '+ hufflepuff/0 slytherin/0 tcp 80',
      ]));
    it('does not affect traffic matching no same-priority policy', () =>
      expectPokes(policies, ['+ ravenclaw/0 gryffindor/0 tcp 80', '+ gryffindor/1 ravenclaw/0 tcp 80']));
  });

  it(`CNP${tier}TierIngressRulesEgressUnaffected`, () =>
    expectPokes(
      [
        cnp('ingress-only', tier, 20, namespaces('gryffindor'), {
          ingress: [rule('Ingress', 'Deny', [namespaces('slytherin')])],
        }),
      ],
      [
        '- slytherin/0 gryffindor/0 tcp 80',
        '+ gryffindor/0 slytherin/0 tcp 80',
        '+ gryffindor/0 ravenclaw/0 tcp 80',
        '+ gryffindor/0 hufflepuff/0 tcp 80',
      ],
    ));

  it(`CNP${tier}TierEgressRulesIngressUnaffected`, () =>
    expectPokes(
      [
        cnp('egress-only', tier, 20, namespaces('gryffindor'), {
          egress: [rule('Egress', 'Deny', [namespaces('slytherin')])],
        }),
      ],
      [
        '- gryffindor/0 slytherin/0 tcp 80',
        '+ slytherin/0 gryffindor/0 tcp 80',
        '+ ravenclaw/0 gryffindor/0 tcp 80',
        '+ hufflepuff/0 gryffindor/0 tcp 80',
      ],
    ));

  it(`CNP${tier}TierPodSelector`, () => {
    const named = (name: string) => ({ matchLabels: { 'statefulset.kubernetes.io/pod-name': name } });
    const everywhere = (house: House) => ({ pods: { podSelector: ofHouse(house) } });
    const one = podsOf('hufflepuff', named('hufflepuff-0'));
    expectPokes(
      [
        cnp('pod-selector', tier, 20, everywhere('gryffindor'), {
          egress: [rule('Egress', 'Deny', [everywhere('ravenclaw')]), rule('Egress', 'Deny', [one])],
          ingress: [rule('Ingress', 'Deny', [everywhere('slytherin')]), rule('Ingress', 'Deny', [one])],
        }),
        cnp('pod-name', tier, 21, podsOf('ravenclaw', named('ravenclaw-0')), {
          egress: [rule('Egress', 'Deny', [namespaces('slytherin')])],
        }),
      ],
      [
        '- gryffindor/0 ravenclaw/0 tcp 80',
        '- gryffindor/0 hufflepuff/0 tcp 80',
        '+ gryffindor/0 hufflepuff/1 tcp 80',
        '- slytherin/0 gryffindor/0 tcp 80',
        '- hufflepuff/0 gryffindor/0 tcp 80',
        '+ hufflepuff/1 gryffindor/0 tcp 80',
        '+ slytherin/0 hufflepuff/0 tcp 80',
        '- ravenclaw/0 slytherin/0 tcp 80',
        '+ ravenclaw/1 slytherin/0 tcp 80',
      ],
    );
  });

  it.each(directions)(`CNP${tier}TierPortRange: %s`, (direction) => {
    const rules = [
      rule(direction, 'Accept', [namespaces('ravenclaw')], range('tcp', 80, 8080)),
      rule(direction, 'Accept', [namespaces('hufflepuff')], range('udp', 53, 5353)),
      rule(direction, 'Accept', [namespaces('slytherin')], range('sctp', 9003, 9005)),
      rule(direction, 'Deny', [
        { namespaces: { matchExpressions: [{ key: 'conformance-house', operator: 'Exists' }] } },
      ]),
    ];
    expectPokes(
      [cnp('ranges', tier, 9, namespaces('gryffindor'), rulesOf(direction, rules))],
      [
        poke('+', direction, 0, 'ravenclaw/0', 'tcp', 80),
        poke('+', direction, 0, 'ravenclaw/0', 'tcp', 8080),
        poke('-', direction, 1, 'ravenclaw/0', 'udp', 53),
        poke('+', direction, 0, 'hufflepuff/0', 'udp', 53),
        poke('+', direction, 0, 'hufflepuff/0', 'udp', 5353),
        poke('-', direction, 1, 'hufflepuff/0', 'tcp', 80),
        poke('+', direction, 0, 'slytherin/0', 'sctp', 9003),
        poke('+', direction, 0, 'slytherin/0', 'sctp', 9005),
        poke('-', direction, 1, 'slytherin/0', 'tcp', 80),
      ],
    );
  });

  describe(`CNP${tier}TierEgressInlineCIDRPeers`, () => {
    const policies = (...first: readonly Rule[]) => [
      cnp('cidrs', tier, 85, podsOf('gryffindor'), {
        egress: [
          ...first,
          rule('Egress', 'Accept', [podsOf('slytherin')]),
          rule('Egress', 'Deny', [{ networks: ['0.0.0.0/0', '::/0'] }]),
        ],
      }),
    ];
    const pokes = (sign: '+' | '-', to: string) =>
      transports.map(([protocol, number]): Poke => `${sign} gryffindor/1 ${to} ${protocol} ${number}`);
    it("supports a 'deny-egress' rule policy for egress-cidr-peer", () =>
      expectPokes(policies(), [
        ...pokes('-', 'ravenclaw/0'),
        ...pokes('-', 'hufflepuff/0'),
        ...pokes('+', 'slytherin/0'),
      ]));
    it("supports an 'allow-egress' rule policy for egress-cidr-peer", () => {
      const addresses = ['10.244.1.5/32', '10.244.1.4/32', 'fd00:244:1::5/128', 'fd00:244:1::4/128'];
      expectPokes(policies(rule('Egress', 'Accept', [{ networks: addresses }])), [
        ...pokes('+', 'ravenclaw/0'),
        ...pokes('+', 'hufflepuff/0'),
        ...pokes('-', 'ravenclaw/1'),
        ...pokes('-', 'hufflepuff/1'),
      ]);
    });
  });

  it.each([
    ['Egress', 'tcp', 'web', 80, 8080],
    ['Ingress', 'udp', 'dns', 53, 5353],
  ] as const)(`CNP${tier}Tier%sNamedPort`, (direction, protocol, destinationNamedPort, right, wrong) => {
    const [subject, peer] =
      direction === 'Egress'
        ? (['gryffindor', 'hufflepuff'] as const)
        : (['hufflepuff', 'gryffindor'] as const);
    const rules = [
      rule(direction, 'Accept', [namespaces(peer)], { destinationNamedPort }),
      rule(direction, 'Deny', [namespaces(peer)]),
    ];
    expectPokes(
      [cnp('named', tier, 6, namespaces(subject), rulesOf(direction, rules))],
      [
        `+ gryffindor/0 hufflepuff/1 ${protocol} ${right}`,
        `- gryffindor/1 hufflepuff/1 ${protocol} ${wrong}`,
      ],
    );
  });

  describe.each(['centaur-1', 'centaur-2'])(`CNP${tier}TierEgressNodePeers, %s`, (centaur) => {
    // One of them is on the node of the pod that asks.
    const linux = { nodes: { matchLabels: { 'kubernetes.io/os': 'linux' } } };
    const policies = [
      cnp('nodes', tier, 75, podsOf('gryffindor'), {
        egress: [
          rule('Egress', 'Accept', [linux], port('tcp', 36363)),
          rule('Egress', 'Pass', [linux], port('udp', 34346)),
          rule('Egress', 'Deny', [podsOf('slytherin'), linux, { networks: ['0.0.0.0/0', '::/0'] }]),
        ],
      }),
    ];
    it("supports an 'allow-egress' rule policy for egress-node-peer", () =>
      expectPokes(policies, [`+ gryffindor/1 forest/${centaur} tcp 36363`]));
    it("supports a 'pass-egress' rule policy for egress-node-peer", () =>
      expectPokes(policies, [`+ gryffindor/1 forest/${centaur} udp 34346`]));
    it("supports a 'deny-egress' rule policy for egress-node-peer", () =>
      expectPokes(policies, [
        `- gryffindor/1 forest/${centaur} tcp 36364`,
        `- gryffindor/1 forest/${centaur} udp 34347`,
        `- gryffindor/1 forest/${centaur} sctp 36363`,
      ]));
  });
}

/** A subject of gryffindor's that answers slytherin in both directions alike. */
const both = (name: string, tier: Tier, priority: number, ingress: Rule['action'], egress = ingress) =>
  cnp(name, tier, priority, podsOf('gryffindor'), {
    ingress: [rule('Ingress', ingress, [podsOf('slytherin')])],
    egress: [rule('Egress', egress, [podsOf('slytherin')])],
  });
const fromSlytherin = (sign: '+' | '-'): Poke[] => [
  `${sign} slytherin/0 gryffindor/0 tcp 80`,
  `${sign} slytherin/1 gryffindor/0 tcp 8080`,
];
const toSlytherin = (sign: '+' | '-'): Poke[] => [
  `${sign} gryffindor/0 slytherin/0 tcp 80`,
  `${sign} gryffindor/1 slytherin/0 tcp 8080`,
];

describe('CNPAdminTierPriorityField', () => {
  const at = (priority: number) => [
    both('priority-50', 'Admin', 50, 'Deny'),
    both('other', 'Admin', priority, 'Pass'),
    both('default', 'Baseline', 10, 'Accept'),
  ];
  it('denies traffic from slytherin to gryffindor', () => expectPokes(at(60), fromSlytherin('-')));
  it('denies traffic to slytherin from gryffindor', () => expectPokes(at(60), toSlytherin('-')));
  it('respects the priority field, and passes both directions over to the Baseline tier', () =>
    expectPokes(at(40), [...fromSlytherin('+'), ...toSlytherin('+')]));
});

describe('CNPAdminTierIntegration', () => {
  const baseline = both('default', 'Baseline', 10, 'Deny');
  const allow = policy(
    'allow-slytherin',
    {
      podSelector: null,
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ namespaceSelector: ofHouse('slytherin') }] }],
      egress: [{ to: [{ namespaceSelector: ofHouse('slytherin') }] }],
    },
    'gryffindor',
  );
  const admin = (ingress: Rule['action'], egress: Rule['action']) =>
    both('pass-example', 'Admin', 10, ingress, egress);
  it('denies traffic from slytherin to gryffindor', () =>
    expectPokes([admin('Deny', 'Deny'), allow, baseline], fromSlytherin('-')));
  it('denies traffic to slytherin from gryffindor', () =>
    expectPokes([admin('Deny', 'Deny'), allow, baseline], toSlytherin('-')));
  it("supports a 'pass-ingress' policy and respects the match for network policy", () =>
    expectPokes([admin('Pass', 'Deny'), allow, baseline], [...fromSlytherin('+'), ...toSlytherin('-')]));
  it("supports a 'pass-egress' policy and respects the match for network policy", () =>
    expectPokes([admin('Pass', 'Pass'), allow, baseline], toSlytherin('+')));
  it("supports a 'pass-ingress' policy and respects the match for the Baseline tier", () =>
    expectPokes([admin('Pass', 'Pass'), baseline], fromSlytherin('-')));
  it("supports a 'pass-egress' policy and respects the match for the Baseline tier", () =>
    expectPokes([admin('Pass', 'Pass'), baseline], toSlytherin('-')));
});
