// Cases of the Kubernetes suite that ask who may come in, and by which selector.
import { ingress, namespaceIn, namespaceNamed, namespaceNotIn, pod, podIn, type TruthCase } from './case.ts';

export const ingressCases: readonly TruthCase[] = [
  {
    name: "should support a 'default-deny-ingress' policy [TCP, UDP, SCTP]",
    steps: [{ policies: [ingress('deny-ingress', [])], truth: 'deny * → x/*' }],
  },
  {
    name: 'should enforce policy to allow traffic from pods within server namespace based on PodSelector',
    steps: [
      {
        policies: [ingress('allow-b', [{ from: [{ podSelector: pod('b') }] }], pod('a'))],
        truth: `deny * → x/a
                allow x/b → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy to allow ingress traffic for a target',
    steps: [
      {
        policies: [
          ingress('deny-all', []),
          ingress('allow-all-to-a', [{ from: [{ podSelector: {}, namespaceSelector: {} }] }], pod('a')),
        ],
        truth: `deny * → x/*
                allow * → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy to allow ingress traffic from pods in all namespaces',
    steps: [
      { policies: [ingress('allow-pods', [{ from: [{ namespaceSelector: {} }] }], pod('a'))], truth: '' },
    ],
  },
  {
    name: 'should enforce policy to allow traffic only from a different namespace, based on NamespaceSelector',
    steps: [
      {
        policies: [ingress('allow-y', [{ from: [{ namespaceSelector: namespaceNamed('y') }] }], pod('a'))],
        truth: `deny * → x/a
                allow y/* → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on PodSelector with MatchExpressions',
    steps: [
      {
        policies: [ingress('allow-b', [{ from: [{ podSelector: podIn('b') }] }], pod('a'))],
        truth: `deny * → x/a
                allow x/b → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on NamespaceSelector with MatchExpressions',
    steps: [
      {
        policies: [ingress('allow-y', [{ from: [{ namespaceSelector: namespaceIn('y') }] }], pod('a'))],
        truth: `deny * → x/a
                allow y/* → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on PodSelector or NamespaceSelector',
    steps: [
      {
        policies: [
          ingress(
            'allow-others-or-b',
            [{ from: [{ namespaceSelector: namespaceNotIn('x') }, { podSelector: pod('b') }] }],
            pod('a'),
          ),
        ],
        truth: 'deny x/c → x/a',
      },
    ],
  },
  {
    name: 'should enforce policy based on PodSelector and NamespaceSelector',
    steps: [
      {
        policies: [
          ingress(
            'allow-b-of-others',
            [{ from: [{ namespaceSelector: namespaceNotIn('x'), podSelector: pod('b') }] }],
            pod('a'),
          ),
        ],
        truth: `deny * → x/a
                allow y/b → x/a
                allow z/b → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on Multiple PodSelectors and NamespaceSelectors',
    steps: [
      {
        policies: [
          ingress(
            'allow-b-c-of-others',
            [{ from: [{ namespaceSelector: namespaceNotIn('x'), podSelector: podIn('b', 'c') }] }],
            pod('a'),
          ),
        ],
        truth: `deny x/* → x/a
                deny */a → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy based on any PodSelectors',
    steps: [
      {
        policies: [
          ingress('allow-b-c', [{ from: [{ podSelector: pod('b') }, { podSelector: pod('c') }] }], pod('a')),
        ],
        truth: `deny * → x/a
                allow x/b → x/a
                allow x/c → x/a`,
      },
    ],
  },
  {
    name: 'should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector [TCP, UDP, SCTP]',
    steps: [
      {
        policies: [
          ingress(
            'allow-y-a',
            [{ from: [{ namespaceSelector: namespaceNamed('y'), podSelector: pod('a') }] }],
            pod('a'),
          ),
        ],
        truth: `deny * → x/a
                allow y/a → x/a`,
      },
    ],
  },
  {
    name: 'should support allow-all policy',
    steps: [{ policies: [ingress('allow-all', [{}])], truth: '' }],
  },
  {
    name: 'should deny ingress from pods on other namespaces',
    steps: [
      {
        policies: [ingress('allow-own', [{ from: [{ podSelector: {} }] }])],
        truth: `deny * → x/*
                allow x/* → x/*`,
      },
    ],
  },
  {
    name: 'should enforce policy to allow traffic based on NamespaceSelector with MatchLabels using default ns label',
    steps: [
      {
        policies: [ingress('allow-y', [{ from: [{ namespaceSelector: namespaceNamed('y') }] }], pod('a'))],
        truth: `deny x/* → x/a
                deny z/* → x/a`,
      },
    ],
  },
];
