// ClusterNetworkPolicy: the Admin tier before NetworkPolicy, the Baseline tier behind it.
import { clusterPolicy, policy } from '../../../support/cluster.ts';
import { placedPods } from '../nine-pods.ts';
import { ingress, namespaceNamed, pod, type TruthCase } from './case.ts';

const all = { namespaces: {} };
const inX = { namespaces: namespaceNamed('x') };
const inY = { namespaces: namespaceNamed('y') };
const port = (number: number) => ({ destinationPort: { number } });

const admin = (name: string, priority: number, rules: object, subject: object = inX) =>
  clusterPolicy(name, { tier: 'Admin', priority, subject, ...rules });
const baseline = (name: string, rules: object, subject: object = inX) =>
  clusterPolicy(name, { tier: 'Baseline', priority: 0, subject, ...rules });

const denyFromY = { ingress: [{ name: 'none of y', action: 'Deny', from: [inY] }] };
const allowAll = ingress('allow-all', [{}]);
const denyAll = ingress('deny-all', []);

export const tierCases: readonly TruthCase[] = [
  {
    name: 'Admin Deny stands before what a NetworkPolicy allows',
    steps: [{ policies: [allowAll, admin('deny-y', 10, denyFromY)], truth: 'deny y/* → x/*' }],
  },
  {
    name: 'Admin Accept stands before the isolation of a NetworkPolicy, and isolates nobody itself',
    steps: [
      {
        policies: [admin('accept-y', 10, { ingress: [{ action: 'Accept', from: [inY] }] })],
        truth: '',
      },
      {
        policies: [denyAll, admin('accept-y', 10, { ingress: [{ action: 'Accept', from: [inY] }] })],
        truth: `deny * → x/*
                allow y/* → x/*`,
      },
    ],
  },
  {
    name: 'Admin Pass leaves it to NetworkPolicy, past the Admin rules behind it',
    steps: [
      {
        policies: [
          admin('pass-y', 1, { ingress: [{ action: 'Pass', from: [inY] }] }),
          admin('deny-all', 2, { ingress: [{ action: 'Deny', from: [all] }] }),
        ],
        truth: `deny * → x/*
                allow y/* → x/*`,
      },
      {
        policies: [
          admin('pass-y', 1, { ingress: [{ action: 'Pass', from: [inY] }] }),
          admin('deny-all', 2, { ingress: [{ action: 'Deny', from: [all] }] }),
          ingress('only-y-b', [{ from: [{ namespaceSelector: {}, podSelector: pod('b') }] }]),
        ],
        truth: `deny * → x/*
                allow y/b → x/*`,
      },
    ],
  },
  {
    name: 'the lower priority number is asked first, whatever the order in the store',
    steps: [
      {
        policies: [
          admin('deny-y', 20, denyFromY),
          admin('accept-y-80', 10, {
            ingress: [{ action: 'Accept', from: [inY], protocols: [{ tcp: port(80) }] }],
          }),
        ],
        truth: `deny y/* → x/*
                allow y/* → x/* TCP 80`,
      },
      {
        policies: [
          admin('deny-y', 5, denyFromY),
          admin('accept-y-80', 10, {
            ingress: [{ action: 'Accept', from: [inY], protocols: [{ tcp: port(80) }] }],
          }),
        ],
        truth: 'deny y/* → x/*',
      },
    ],
  },
  {
    name: 'Baseline Deny holds where no NetworkPolicy isolates',
    steps: [
      { policies: [baseline('deny-y', denyFromY)], truth: 'deny y/* → x/*' },
      {
        policies: [
          baseline('deny-y', denyFromY),
          ingress('to-a', [{ from: [{ namespaceSelector: namespaceNamed('y') }] }], pod('a')),
        ],
        truth: `deny y/* → x/*
                deny * → x/a
                allow y/* → x/a`,
      },
    ],
  },
  {
    name: 'protocols: numbers, ranges and named ports, over TCP, UDP and SCTP',
    steps: [
      {
        policies: [
          admin('deny-ports', 10, {
            ingress: [
              { action: 'Deny', from: [inY], protocols: [{ tcp: port(80) }, { sctp: port(81) }] },
              {
                action: 'Deny',
                from: [{ namespaces: namespaceNamed('z') }],
                protocols: [
                  { udp: { destinationPort: { range: { start: 81, end: 90 } } } },
                  { destinationNamedPort: 'serve-80-sctp' },
                ],
              },
            ],
          }),
        ],
        truth: `deny y/* → x/* TCP 80
                deny y/* → x/* SCTP 81
                deny z/* → x/* UDP 81
                deny z/* → x/* SCTP 80`,
      },
    ],
  },
  {
    name: 'egress by networks and by pods, for the pods of a subject',
    steps: [
      {
        policies: [
          admin(
            'narrow',
            10,
            {
              egress: [
                { action: 'Accept', to: [{ networks: placedPods['y/c'].ips.map(host) }] },
                { action: 'Accept', to: [{ pods: { podSelector: pod('b') } }] },
                { action: 'Deny', to: [{ networks: ['10.244.0.0/16', 'fd00:244::/32'] }] },
              ],
            },
            { pods: { namespaceSelector: namespaceNamed('x'), podSelector: pod('a') } },
          ),
        ],
        truth: `deny x/a → *
                allow x/a → */b
                allow x/a → y/c`,
      },
    ],
  },
  {
    name: 'a peer of an unknown kind: Accept matches nothing, Deny denies everything',
    steps: [
      {
        policies: [
          denyAll,
          admin('unknown', 1, { ingress: [{ action: 'Accept', from: [{ spiffe: { id: 'any' } }] }] }),
        ],
        truth: 'deny * → x/*',
      },
      {
        policies: [
          allowAll,
          admin('unknown', 1, { ingress: [{ action: 'Deny', from: [{ spiffe: { id: 'any' } }] }] }),
        ],
        truth: 'deny * → x/*',
      },
    ],
  },
  {
    name: 'Admin Deny of egress holds though the receiver would let it in',
    steps: [
      {
        policies: [
          admin('deny-egress', 0, { egress: [{ action: 'Deny', to: [inY] }] }),
          policy('allow', { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] }, 'y'),
        ],
        truth: 'deny x/* → y/*',
      },
    ],
  },
];

function host(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}
