/**
 * NetworkPolicy, statement by statement: what the API documents, the Kubernetes suites and users of other networks say
 * that policy must do. Here ways through tables; packets.test.ts has what is about packets, test/netns/policy what needs
 * a cluster in operation.
 */
import { describe, expect, it } from 'vitest';
import { readManifests } from '../../../src/control/manifests.ts';
import { policy } from '../../support/cluster.ts';
import { explain } from '../../support/explain.ts';
import { app, egress, families, ingress, named, outside, world } from './world.ts';

/** `+` for allowed, then `from to protocol port`; `out` is outside the cluster. */
type Way = `${'+' | '-'} ${string}`;

function expectWays(policies: readonly object[], ways: readonly Way[]): void {
  for (const family of families) {
    const end = (text = '') => (text === 'out' ? outside(family) : text);
    const questions = ways.map((way) => {
      const [, from, to, protocol = '', port] = way.split(' ');
      return { from: end(from), to: end(to), protocol, ...(port !== undefined && { port: Number(port) }) };
    });
    const answers = explain([...world(family), ...policies], questions);
    const actual = answers.map(({ verdict }, i) => `${verdict === 'allow' ? '+' : '-'}${ways[i]?.slice(1)}`);
    expect(actual, `IPv${family}`).toEqual(ways);
  }
}

const toA = (sign: '+' | '-', from: string, what = 'TCP 80'): Way => `${sign} ${from} x/a ${what}`;

describe('ways through tables', () => {
  it.each<[string, readonly [policies: readonly object[], ways: readonly Way[]][]]>([
    [
      'NetworkPolicy 1: without a policy that selects all is allowed, each direction by itself',
      [
        [[], ['+ x/b x/a TCP 80', '+ x/a out UDP 1', '+ out x/a SCTP 9', '+ y/b x/a ICMP']],
        [[ingress([])], ['- x/b x/a TCP 80', '+ x/a x/b TCP 80', '+ y/b y/a TCP 80', '+ x/a out ICMP']],
        [[egress([])], ['+ x/b x/a TCP 80', '- x/a x/b TCP 80']],
      ],
    ],
    [
      'NetworkPolicy 2: policyTypes absent means ingress, and egress where there are egress rules',
      [
        [[policy('p', { podSelector: app('a') }, 'x')], ['- x/b x/a TCP 80', '+ x/a x/b TCP 80']],
        [[policy('p', { podSelector: app('a'), egress: [] }, 'x')], ['- x/b x/a TCP 80', '+ x/a x/b TCP 80']],
        [
          [policy('p', { podSelector: app('a'), egress: [{ ports: [{ port: 80 }] }] }, 'x')],
          ['- x/b x/a TCP 80', '+ x/a x/b TCP 80', '- x/a x/b TCP 81'],
        ],
        [
          [policy('p', { podSelector: app('a'), policyTypes: ['Egress'] }, 'x')],
          ['+ x/b x/a TCP 80', '- x/a x/b TCP 80'],
        ],
      ],
    ],
    [
      'NetworkPolicy 3: an empty list of rules denies like an absent one, an empty rule allows all',
      [
        [[ingress([])], [toA('-', 'x/b'), toA('-', 'out')]],
        [[ingress(undefined)], [toA('-', 'x/b'), toA('-', 'out')]],
        [[ingress(null)], [toA('-', 'x/b')]],
        [
          [ingress([{}])],
          [toA('+', 'x/b'), toA('+', 'out'), toA('+', 'y/a', 'ICMP'), toA('+', 'y/a', 'SCTP 5')],
        ],
      ],
    ],
    [
      'NetworkPolicy 4: policies add up in any order, and one that allows all outdoes every other',
      [
        [
          [
            ingress([{ from: [{ podSelector: app('b') }] }], 'p1'),
            ingress([{ ports: [{ port: 81 }] }], 'p2'),
          ],
          [toA('+', 'x/b'), toA('+', 'y/b', 'TCP 81'), toA('-', 'y/b')],
        ],
        [
          [
            ingress([{ ports: [{ port: 81 }] }], 'p1'),
            ingress([{ from: [{ podSelector: app('b') }] }], 'p2'),
          ],
          [toA('+', 'x/b'), toA('+', 'y/b', 'TCP 81'), toA('-', 'y/b')],
        ],
        [
          [ingress([], 'p1'), ingress([{}], 'p2'), ingress([], 'p3')],
          [toA('+', 'y/b'), toA('+', 'out', 'ICMP')],
        ],
      ],
    ],
    [
      'NetworkPolicy 5: the sender must be let out and the receiver must be let in',
      [
        [[egress([], 'out', app('b')), ingress([{}])], ['- x/b x/a TCP 80']],
        [[egress([{}], 'out', app('b')), ingress([])], ['- x/b x/a TCP 80']],
        [[egress([{}], 'out', app('b')), ingress([{}])], ['+ x/b x/a TCP 80']],
      ],
    ],
    [
      'NetworkPolicy 6: a rule wants one of the peers and one of the ports; an empty list is any',
      [
        [
          [
            ingress([
              {
                from: [{ podSelector: app('b') }, { namespaceSelector: named('y') }],
                ports: [{ port: 80 }, { protocol: 'UDP', port: 53 }],
              },
            ]),
          ],
          [
            toA('+', 'x/b'),
            toA('+', 'y/a', 'UDP 53'),
            toA('-', 'x/b', 'TCP 53'),
            toA('-', 'out'),
            toA('-', 'y/a', 'ICMP'),
          ],
        ],
        [[ingress([{ from: [], ports: [{ port: 80 }] }])], [toA('+', 'out'), toA('-', 'x/b', 'TCP 81')]],
        [
          [ingress([{ from: [{ podSelector: app('b') }], ports: [] }])],
          [toA('+', 'x/b', 'UDP 9'), toA('-', 'out')],
        ],
      ],
    ],
    [
      'NetworkPolicy 7: selectors of one peer must both hold, one of two peers; a podSelector alone is for the policy’s namespace; {} is all',
      [
        [
          [ingress([{ from: [{ namespaceSelector: named('y'), podSelector: app('b') }] }])],
          [toA('+', 'y/b'), toA('-', 'y/a'), toA('-', 'x/b')],
        ],
        [
          [ingress([{ from: [{ namespaceSelector: named('y') }, { podSelector: app('b') }] }])],
          [toA('+', 'y/b'), toA('+', 'y/a'), toA('+', 'x/b')],
        ],
        [[ingress([{ from: [{ podSelector: app('b') }] }])], [toA('+', 'x/b'), toA('-', 'y/b')]],
        [[ingress([{ from: [{ podSelector: {} }] }])], [toA('+', 'x/b'), toA('-', 'y/b')]],
        [
          [ingress([{ from: [{ namespaceSelector: {} }] }])],
          [toA('+', 'x/b'), toA('+', 'y/b'), toA('-', 'out')],
        ],
        [
          [ingress([{ from: [{ namespaceSelector: {}, podSelector: app('b') }] }])],
          [toA('+', 'y/b'), toA('-', 'y/a')],
        ],
        [[ingress([], 'all', {})], ['- y/b x/a TCP 80', '- y/b x/b TCP 80', '+ x/b y/b TCP 80']],
      ],
    ],
    [
      'NetworkPolicy 8: the protocol is TCP unless given; without a port it is all of its ports',
      [
        [
          [ingress([{ ports: [{ port: 80 }] }])],
          [toA('+', 'x/b'), toA('-', 'x/b', 'UDP 80'), toA('-', 'x/b', 'SCTP 80')],
        ],
        [
          [ingress([{ ports: [{ protocol: 'UDP' }] }])],
          [toA('+', 'x/b', 'UDP 1'), toA('+', 'x/b', 'UDP 65535'), toA('-', 'x/b')],
        ],
        [[ingress([{ ports: [{}] }])], [toA('+', 'x/b', 'TCP 1'), toA('-', 'x/b', 'UDP 1')]],
      ],
    ],
    [
      'NetworkPolicy 9: rules for SCTP or UDP alone allow no TCP, and isolate all the same',
      [
        [
          [ingress([{ ports: [{ protocol: 'SCTP', port: 80 }] }])],
          [toA('+', 'x/b', 'SCTP 80'), toA('-', 'x/b'), toA('-', 'x/b', 'UDP 80')],
        ],
        [
          [ingress([{ ports: [{ protocol: 'UDP', port: 80 }] }])],
          [toA('+', 'x/b', 'UDP 80'), toA('-', 'x/b'), toA('-', 'x/b', 'SCTP 80')],
        ],
      ],
    ],
    [
      'NetworkPolicy 10: endPort is part of the range',
      [
        [
          [ingress([{ ports: [{ port: 100, endPort: 300 }] }])],
          [
            toA('-', 'x/b', 'TCP 99'),
            toA('+', 'x/b', 'TCP 100'),
            toA('+', 'x/b', 'TCP 256'),
            toA('+', 'x/b', 'TCP 300'),
            toA('-', 'x/b', 'TCP 301'),
          ],
        ],
        [[ingress([{ ports: [{ port: 80, endPort: 80 }] }])], [toA('+', 'x/b'), toA('-', 'x/b', 'TCP 81')]],
        [
          [ingress([{ ports: [{ port: 65535, endPort: 65535 }] }])],
          [toA('+', 'x/b', 'TCP 65535'), toA('-', 'x/b', 'TCP 65534')],
        ],
      ],
    ],
    [
      'NetworkPolicy 11: a port’s name stands for what the pod that receives calls so, by protocol; elsewhere for nothing',
      [
        [
          [ingress([{ ports: [{ port: 'web' }] }], 'tested', {})],
          [
            '+ y/b x/a TCP 80',
            '- y/b x/a TCP 8080',
            '+ y/b x/b TCP 8080',
            '- y/b x/b TCP 80',
            '- y/b x/a UDP 80',
          ],
        ],
        [
          [egress([{ ports: [{ port: 'web' }] }])],
          [
            '+ x/a x/b TCP 8080',
            '- x/a x/b TCP 80',
            '- x/a y/a TCP 80',
            '- x/a y/a UDP 80',
            '- x/a y/b TCP 80',
            '- x/a out TCP 80',
          ],
        ],
        [
          [egress([{ ports: [{ protocol: 'UDP', port: 'web' }] }])],
          ['+ x/a y/a UDP 80', '- x/a x/b UDP 8080'],
        ],
        [[ingress([{ ports: [{ port: 'dns' }] }])], [toA('-', 'x/b'), toA('-', 'x/b', 'UDP 53')]],
      ],
    ],
    [
      'NetworkPolicy 12: an exception narrows its own block and denies nothing that another rule allows',
      [
        [
          [
            ingress([
              {
                from: [
                  { ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.1.3/32'] } },
                  { ipBlock: { cidr: 'fd00:244::/32', except: ['fd00:244:1::3/128'] } },
                ],
              },
            ]),
          ],
          [toA('-', 'x/b'), toA('+', 'y/a'), toA('-', 'out')],
        ],
        [
          [
            ingress([
              {
                from: [
                  { ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.1.3/32'] } },
                  { ipBlock: { cidr: '::/0', except: ['fd00:244:1::3/128'] } },
                ],
              },
              { from: [{ podSelector: app('b') }], ports: [{ port: 81 }] },
            ]),
          ],
          [toA('-', 'x/b'), toA('+', 'x/b', 'TCP 81'), toA('+', 'out')],
        ],
      ],
    ],
    [
      'NetworkPolicy 13: a block of one address holds for the pod that has it',
      [
        [
          [
            ingress([
              { from: [{ ipBlock: { cidr: '10.244.1.3/32' } }, { ipBlock: { cidr: 'fd00:244:1::3/128' } }] },
            ]),
          ],
          [toA('+', 'x/b'), toA('-', 'y/b')],
        ],
        [
          [
            egress([
              { to: [{ ipBlock: { cidr: '10.244.1.5/32' } }, { ipBlock: { cidr: 'fd00:244:1::5/128' } }] },
            ]),
          ],
          ['+ x/a y/b TCP 80', '- x/a x/b TCP 80'],
        ],
      ],
    ],
    [
      'NetworkPolicy 14: a port is that of the pod, whatever port a Service has for it',
      [
        [
          [ingress([{ ports: [{ port: 8080 }] }], 'tested', app('b'))],
          ['+ y/a x/b TCP 8080', '- y/a x/b TCP 80'],
        ],
      ],
    ],
    [
      'NetworkPolicy 18: selectors see no pods on the host network, blocks do',
      [
        [
          [ingress([{ from: [{ podSelector: app('a') }] }], 'tested', app('b'))],
          ['+ x/a x/b TCP 80', '- x/host x/b TCP 80'],
        ],
        [
          [
            ingress(
              [{ from: [{ ipBlock: { cidr: '192.0.2.2/32' } }, { ipBlock: { cidr: '2001:db8::2/128' } }] }],
              'tested',
              app('b'),
            ),
          ],
          ['- x/a x/b TCP 80', '+ x/host x/b TCP 80'],
        ],
        [
          [policy('all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'x')],
          ['+ y/a x/host TCP 80', '+ x/host y/a TCP 80'],
        ],
      ],
    ],
    [
      'NetworkPolicy 19: ICMP follows pods and blocks where no ports are asked for',
      [
        [
          [ingress([{ from: [{ podSelector: app('b') }] }])],
          [toA('+', 'x/b', 'ICMP'), toA('-', 'y/b', 'ICMP')],
        ],
        [
          [ingress([{ from: [{ podSelector: app('b') }], ports: [{ port: 80 }] }])],
          [toA('-', 'x/b', 'ICMP')],
        ],
        [[ingress([{ ports: [{}, { protocol: 'UDP' }, { protocol: 'SCTP' }] }])], [toA('-', 'x/b', 'ICMP')]],
      ],
    ],
    [
      'NetworkPolicy 23: namespaces by their name, and every operator',
      [
        [[ingress([{ from: [{ namespaceSelector: named('y') }] }])], [toA('+', 'y/a'), toA('-', 'x/b')]],
        ...(
          [
            ['In', ['front', 'back'], '+ y/b', '- x/b'],
            ['NotIn', ['back'], '+ x/b', '- y/b'],
            ['Exists', undefined, '+ y/b', '- x/b'],
            ['DoesNotExist', undefined, '+ x/b', '- y/b'],
          ] as const
        ).map(([operator, values, ...ways]): [object[], Way[]] => [
          [
            ingress([
              {
                from: [
                  {
                    namespaceSelector: {},
                    podSelector: { matchExpressions: [{ key: 'tier', operator, ...(values && { values }) }] },
                  },
                ],
              },
            ]),
          ],
          ways.map((way): Way => `${way} x/a TCP 80`),
        ]),
      ],
    ],
  ])('%s', (_, steps) => {
    for (const [policies, ways] of steps) expectWays(policies, ways);
  });

  it('NetworkPolicy 10: endPort is refused beside a name, without a port, and below it', () => {
    for (const port of [{ port: 'web', endPort: 90 }, { endPort: 90 }, { port: 91, endPort: 90 }]) {
      const text = JSON.stringify(ingress([{ ports: [port] }]));
      const { faults } = readManifests([{ file: 'p.json', text }]);
      expect(faults.map(({ field }) => field)).toEqual(['spec.ingress[0].ports[0].endPort']);
    }
  });
});
