// Cases of the Kubernetes suite that ask who may go out, or both ways at once.
import { policy } from '../../../support/cluster.ts';
import type { PlacedPod } from '../../../support/lab-pod.ts';
import { placedPods } from '../nine-pods.ts';
import { egress, ingress, namespaceNamed, namespaceNotIn, pod, type TruthCase } from './case.ts';

const denyBoth = policy('deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'x');

/** An ipBlock for each family: pods have an address in both. */
const hosts = ({ ips }: PlacedPod) => [
  { ipBlock: { cidr: `${ips[0]}/32` } },
  { ipBlock: { cidr: `${ips[1]}/128` } },
];

/** Large blocks round a pod, and the pod as their exception. */
const roundabout = ({ ips }: PlacedPod) => [
  { ipBlock: { cidr: '0.0.0.0/4', except: [`${ips[0]}/32`] } },
  { ipBlock: { cidr: 'f000::/4', except: [`${ips[1]}/128`] } },
];

export const egressCases: readonly TruthCase[] = [
  {
    name: "should support a 'default-deny-all' policy",
    steps: [
      {
        policies: [denyBoth],
        truth: `deny * → x/*
                deny x/* → *`,
      },
    ],
  },
  {
    name: 'should deny egress from pods based on PodSelector',
    steps: [{ policies: [egress('deny-a', [], pod('a'))], truth: 'deny x/a → *' }],
  },
  {
    name: 'should deny egress from all pods in a namespace',
    steps: [{ policies: [egress('deny-x', [])], truth: 'deny x/* → *' }],
  },
  {
    name: 'should work with Ingress, Egress specified together',
    steps: [
      {
        policies: [
          policy(
            'from-b-to-80',
            {
              podSelector: pod('a'),
              policyTypes: ['Egress', 'Ingress'],
              ingress: [{ from: [{ podSelector: pod('b') }] }],
              egress: [{ ports: [{ port: 80 }] }],
            },
            'x',
          ),
        ],
        truth: `deny * → x/a
                allow x/b → x/a
                deny x/a → *
                allow x/a → * TCP 80`,
      },
    ],
  },
  {
    name: 'should support denying of egress traffic on the client side (even if the server explicitly allows this traffic)',
    steps: [
      {
        policies: [
          egress(
            'allow-to-y-a',
            [{ to: [{ namespaceSelector: namespaceNamed('y'), podSelector: pod('a') }] }],
            pod('a'),
          ),
          ...['a', 'b'].map((name) =>
            policy(
              `allow-x-a-to-${name}`,
              {
                podSelector: pod(name),
                policyTypes: ['Ingress'],
                ingress: [{ from: [{ namespaceSelector: namespaceNamed('x'), podSelector: pod('a') }] }],
              },
              'y',
            ),
          ),
        ],
        truth: `deny x/a → *
                deny * → y/a
                deny * → y/b
                allow x/a → y/a`,
      },
    ],
  },
  {
    name: 'should enforce egress policy allowing traffic to a server in a different namespace based on PodSelector and NamespaceSelector',
    steps: [
      {
        policies: [
          egress(
            'allow-to-y-a',
            [{ to: [{ namespaceSelector: namespaceNamed('y'), podSelector: pod('a') }] }],
            pod('a'),
          ),
        ],
        truth: `deny x/a → *
                allow x/a → y/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on NamespaceSelector with MatchExpressions using default ns label',
    steps: [
      {
        policies: [egress('allow-not-y', [{ to: [{ namespaceSelector: namespaceNotIn('y') }] }], pod('a'))],
        truth: 'deny x/a → y/*',
      },
    ],
  },
  {
    name: 'should allow egress access to server in CIDR block',
    steps: [
      {
        policies: [egress('allow-y-b', [{ to: hosts(placedPods['y/b']) }], pod('a'))],
        truth: `deny x/a → *
                allow x/a → y/b`,
      },
    ],
  },
  {
    name: 'should enforce except clause while egress access to server in CIDR block',
    steps: [
      {
        policies: [egress('allow-cidr', [{ to: roundabout(placedPods['x/b']) }], pod('a'))],
        truth: 'deny x/a → x/b',
      },
    ],
  },
  {
    name: 'should ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed',
    steps: [
      {
        policies: [egress('allow-cidr', [{ to: roundabout(placedPods['x/b']) }], pod('a'))],
        truth: 'deny x/a → x/b',
      },
      {
        policies: [egress('allow-cidr', [{ to: hosts(placedPods['x/b']) }], pod('a'))],
        truth: `deny x/a → *
                allow x/a → x/b`,
      },
    ],
  },
  {
    name: 'should enforce policies to check ingress and egress policies can be controlled independently based on PodSelector',
    steps: [
      { policies: [egress('allow-egress', [{}], pod('a'))], truth: '' },
      {
        policies: [egress('allow-egress', [{}], pod('a')), ingress('deny-ingress', [], pod('a'))],
        truth: 'deny * → x/a',
      },
    ],
  },
];
