// Cases of the Kubernetes suite about what changes while it is in force.
import { policy } from '../../../support/cluster.ts';
import { ingress, pod, type TruthCase } from './case.ts';

const fromUpdatedNamespace = ingress(
  'allow-updated',
  [{ from: [{ namespaceSelector: { matchLabels: { ns2: 'updated' } } }] }],
  pod('a'),
);

const fromUpdatedPod = ingress(
  'allow-updated',
  [{ from: [{ podSelector: { matchLabels: { pod: 'b', pod2: 'updated' } } }] }],
  pod('a'),
);

const denyIsolated = ingress('deny-isolated', [], { matchLabels: { target: 'isolated' } });

export const changeCases: readonly TruthCase[] = [
  {
    name: 'should enforce updated policy',
    steps: [
      { policies: [ingress('mutated', [{}])], truth: '' },
      { policies: [ingress('mutated', [])], truth: 'deny * → x/*' },
    ],
  },
  {
    name: 'should allow ingress access from updated namespace',
    steps: [
      { policies: [fromUpdatedNamespace], truth: 'deny * → x/a' },
      {
        policies: [fromUpdatedNamespace],
        namespaceLabels: { y: { ns2: 'updated' } },
        truth: `deny * → x/a
                allow y/* → x/a`,
      },
    ],
  },
  {
    name: 'should allow ingress access from updated pod',
    steps: [
      { policies: [fromUpdatedPod], truth: 'deny * → x/a' },
      {
        policies: [fromUpdatedPod],
        podLabels: { 'x/b': { pod: 'b', pod2: 'updated' } },
        truth: `deny * → x/a
                allow x/b → x/a`,
      },
    ],
  },
  {
    name: 'should deny ingress access to updated pod',
    steps: [
      { policies: [denyIsolated], truth: '' },
      {
        policies: [denyIsolated],
        podLabels: { 'x/a': { pod: 'a', target: 'isolated' } },
        truth: 'deny * → x/a',
      },
    ],
  },
  {
    name: 'should stop enforcing policies after they are deleted',
    steps: [
      {
        policies: [policy('deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'x')],
        truth: `deny * → x/*
                deny x/* → *`,
      },
      { truth: '' },
    ],
  },
];
