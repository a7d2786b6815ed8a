// What the Kubernetes suite leaves out, by the numbers of the statements on NetworkPolicy.
import { policy } from '../../../support/cluster.ts';
import { placedPods } from '../nine-pods.ts';
import { egress, ingress, namespaceNamed, pod, type TruthCase } from './case.ts';

/** A block for each family round all pods, with exceptions. */
const allBut = (...except: ('x/b' | 'y/b')[]) => [
  { ipBlock: { cidr: '10.244.0.0/16', except: except.map((name) => `${placedPods[name].ips[0]}/32`) } },
  { ipBlock: { cidr: 'fd00:244::/32', except: except.map((name) => `${placedPods[name].ips[1]}/128`) } },
];

/** x/a serves "web" on 80, x/b on 81, x/c over UDP. */
const webs = {
  'x/a': [{ name: 'web', containerPort: 80 }],
  'x/b': [{ name: 'web', containerPort: 81 }],
  'x/c': [{ name: 'web', containerPort: 80, protocol: 'UDP' }],
};

export const statementCases: readonly TruthCase[] = [
  {
    name: 'NetworkPolicy 2: without policyTypes a policy is for ingress, and for egress where it has such rules',
    steps: [
      { policies: [policy('no-types', { podSelector: pod('a') }, 'x')], truth: 'deny * → x/a' },
      {
        policies: [
          policy('no-types', { podSelector: pod('a'), egress: [{ to: [{ podSelector: pod('b') }] }] }, 'x'),
        ],
        truth: `deny * → x/a
                deny x/a → *
                allow x/a → x/b`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 3: absent rules deny as an empty list does',
    steps: [
      {
        policies: [policy('absent', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'z')],
        truth: `deny * → z/*
                deny z/* → *`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 5: the sender must be let out and the receiver must be let in',
    steps: [
      {
        policies: [
          egress('to-y', [{ to: [{ namespaceSelector: namespaceNamed('y') }] }]),
          policy(
            'from-a',
            {
              podSelector: {},
              policyTypes: ['Ingress'],
              ingress: [{ from: [{ namespaceSelector: {}, podSelector: pod('a') }] }],
            },
            'y',
          ),
        ],
        truth: `deny x/* → *
                deny * → y/*
                allow x/a → y/*
                allow y/a → y/*
                allow z/a → y/*`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 6: one of the peers and one of the ports',
    steps: [
      {
        policies: [
          ingress(
            'lists',
            [
              {
                from: [{ podSelector: pod('b') }, { namespaceSelector: namespaceNamed('y') }],
                ports: [{ port: 80 }, { protocol: 'UDP', port: 81 }],
              },
            ],
            pod('a'),
          ),
        ],
        truth: `deny * → x/a
                allow x/b → x/a TCP 80
                allow x/b → x/a UDP 81
                allow y/* → x/a TCP 80
                allow y/* → x/a UDP 81`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 10: endPort is the last port of the range',
    steps: [
      {
        policies: [
          ingress(
            'ranges',
            [
              { ports: [{ port: 79, endPort: 80 }] },
              { ports: [{ protocol: 'UDP', port: 81, endPort: 65535 }] },
              { ports: [{ protocol: 'SCTP', port: 80, endPort: 81 }] },
            ],
            pod('a'),
          ),
        ],
        truth: `deny * → x/a
                allow * → x/a TCP 80
                allow * → x/a UDP 81
                allow * → x/a SCTP`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 11: a named port is the number that each target gives it, by protocol',
    steps: [
      {
        policies: [ingress('web', [{ ports: [{ port: 'web' }] }])],
        podPorts: webs,
        truth: `deny * → x/*
                allow * → x/a TCP 80
                allow * → x/b TCP 81`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 11: a named port is the number that each destination gives it, by protocol',
    steps: [
      {
        policies: [
          policy(
            'web',
            { podSelector: pod('c'), policyTypes: ['Egress'], egress: [{ ports: [{ port: 'web' }] }] },
            'z',
          ),
        ],
        podPorts: webs,
        truth: `deny z/c → *
                allow z/c → x/a TCP 80
                allow z/c → x/b TCP 81`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 12: an exception does not deny what another peer or rule allows',
    steps: [
      {
        policies: [ingress('blocks', [{ from: allBut('x/b', 'y/b') }], pod('a'))],
        truth: `deny x/b → x/a
                deny y/b → x/a`,
      },
      {
        policies: [
          ingress(
            'blocks',
            [
              { from: [...allBut('x/b', 'y/b'), { podSelector: pod('b') }] },
              { from: [{ namespaceSelector: namespaceNamed('y') }], ports: [{ port: 81 }] },
            ],
            pod('a'),
          ),
        ],
        truth: `deny y/b → x/a
                allow y/b → x/a TCP 81`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 13: a block holds for pods by their address, in its own family',
    steps: [
      {
        policies: [
          ingress('block', [{ from: [{ ipBlock: { cidr: `${placedPods['y/c'].ips[1]}/128` } }] }], pod('a')),
        ],
        truth: `deny * → x/a
                allow y/c → x/a IPv6`,
      },
    ],
  },
  {
    name: 'NetworkPolicy 16: a pod reaches itself whatever isolates it',
    steps: [
      {
        policies: ['x', 'y', 'z'].map((namespace) =>
          policy('deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, namespace),
        ),
        truth: 'deny * → *',
      },
    ],
  },
  {
    name: 'NetworkPolicy 23: operators over the labels of pods and namespaces',
    steps: [
      {
        policies: [
          ingress(
            'operators',
            [
              {
                from: [
                  {
                    namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] },
                    podSelector: { matchExpressions: [{ key: 'legacy', operator: 'DoesNotExist' }] },
                  },
                ],
              },
            ],
            { matchExpressions: [{ key: 'pod', operator: 'NotIn', values: ['b', 'c'] }] },
          ),
        ],
        namespaceLabels: { y: { team: '' }, z: { team: 'blue' } },
        podLabels: { 'y/b': { pod: 'b', legacy: 'true' }, 'z/a': { legacy: '' } },
        truth: `deny x/* → x/a
                deny y/b → x/a
                deny z/a → x/a`,
      },
    ],
  },
];
