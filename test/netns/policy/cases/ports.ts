// Cases of the Kubernetes suite about ports and protocols, those of its UDP and SCTP parts included.
import { egress, ingress, namespaceNamed, pod, type TruthCase } from './case.ts';

const fromY = [{ namespaceSelector: namespaceNamed('y') }];
const toPort = (port: number | string, protocol?: string) => ({
  ports: [{ port, ...(protocol && { protocol }) }],
});

/** "should enforce policy based on Ports", which the suite has for each protocol. */
const basedOnPorts = (protocol: string) => ({
  policies: [ingress('allow-y-to-81', [{ from: fromY, ...toPort(81, protocol) }], pod('a'))],
  truth: `deny * → x/a
          allow y/* → x/a ${protocol} 81`,
});

export const portCases: readonly TruthCase[] = [
  { name: 'should enforce policy based on Ports', steps: [basedOnPorts('TCP')] },
  { name: 'should enforce policy based on Ports [UDP]', steps: [basedOnPorts('UDP')] },
  { name: 'should enforce policy based on Ports [SCTP]', steps: [basedOnPorts('SCTP')] },
  {
    name: 'should enforce multiple, stacked policies with overlapping podSelectors',
    steps: [
      basedOnPorts('TCP'),
      {
        policies: [
          ...basedOnPorts('TCP').policies,
          ingress('allow-y-to-80', [{ from: fromY, ...toPort(80, 'TCP') }], pod('a')),
        ],
        truth: `deny * → x/a
                allow y/* → x/a TCP`,
      },
    ],
  },
  {
    name: 'should allow ingress access on one named port',
    steps: [
      {
        policies: [ingress('allow-81', [toPort('serve-81-tcp')])],
        truth: `deny * → x/*
                allow * → x/* TCP 81`,
      },
    ],
  },
  {
    name: 'should allow ingress access from namespace on one named port',
    steps: [
      {
        policies: [ingress('allow-y-to-80', [{ from: fromY, ...toPort('serve-80-tcp', 'TCP') }], pod('a'))],
        truth: `deny * → x/a
                allow y/* → x/a TCP 80`,
      },
    ],
  },
  {
    name: 'should allow egress access on one named port',
    steps: [
      {
        policies: [egress('allow-80', [toPort('serve-80-tcp')])],
        truth: `deny x/* → *
                allow x/* → * TCP 80`,
      },
    ],
  },
  {
    name: 'should enforce ingress policy allowing any port traffic to a server on a specific protocol',
    steps: [
      {
        policies: [ingress('allow-tcp', [{ ports: [{ protocol: 'TCP' }] }], pod('a'))],
        truth: `deny * → x/a
                allow * → x/a TCP`,
      },
    ],
  },
  {
    name: 'should enforce multiple ingress policies with ingress allow-all policy taking precedence',
    steps: [
      {
        policies: [ingress('allow-80', [toPort(80)])],
        truth: `deny * → x/*
                allow * → x/* TCP 80`,
      },
      { policies: [ingress('allow-80', [toPort(80)]), ingress('allow-all', [{}])], truth: '' },
    ],
  },
  {
    name: 'should enforce multiple egress policies with egress allow-all policy taking precedence',
    steps: [
      {
        policies: [egress('allow-80', [toPort(80)])],
        truth: `deny x/* → *
                allow x/* → * TCP 80`,
      },
      { policies: [egress('allow-80', [toPort(80)]), egress('allow-all', [{}])], truth: '' },
    ],
  },
  {
    name: "should not mistakenly treat 'protocol: SCTP' as 'protocol: TCP', even if the plugin doesn't support SCTP",
    steps: [
      {
        policies: [ingress('deny-ingress', []), ingress('allow-sctp-81', [toPort(81, 'SCTP')], pod('a'))],
        truth: `deny * → x/*
                allow * → x/a SCTP 81`,
      },
    ],
  },
  {
    name: "should properly isolate pods that are selected by a policy allowing SCTP, even if the plugin doesn't support SCTP",
    steps: [
      {
        policies: [ingress('allow-sctp-80', [toPort(80, 'SCTP')], pod('a'))],
        truth: `deny * → x/a
                allow * → x/a SCTP 80`,
      },
    ],
  },
  {
    name: 'should not allow access by TCP when a policy specifies only UDP',
    steps: [
      {
        policies: [ingress('allow-udp-81', [toPort(81, 'UDP')], pod('a'))],
        truth: `deny * → x/a
                allow * → x/a UDP 81`,
      },
    ],
  },
];
