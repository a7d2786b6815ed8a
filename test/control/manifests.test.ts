import { describe, expect, it } from 'vitest';
import { readManifests } from '../../src/control/manifests.ts';
import { faultText } from '../../src/control/store.ts';

const read = (text: string) => readManifests([{ file: 'a.yaml', text }]);
const faults = (text: string) => read(text).faults.map(faultText);

const policy = (spec: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: x}
spec: ${spec}
`;

describe('manifests', () => {
  it('are read from several documents, Lists and JSON, and unknown kinds counted', () => {
    const { objects, faults, ignored } = readManifests([
      {
        file: 'a.yaml',
        text: `
apiVersion: v1
kind: Node
metadata: {name: node-1, annotations: {overweft.io/router-mac: "02:00:00:00:00:09", other/annotation: x}}
spec: {podCIDR: 10.0.0.0/24, unknownField: [1]}
---
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
  - {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}
`,
      },
      {
        file: 'b.json',
        text: JSON.stringify({
          apiVersion: 'v1',
          kind: 'PodList',
          items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } }],
        }),
      },
    ]);
    expect(faults).toEqual([]);
    expect(objects.nodes.map(({ metadata }) => metadata.name)).toEqual(['node-1']);
    expect(objects.namespaces).toHaveLength(1);
    expect(objects.pods).toHaveLength(1);
    expect(ignored).toEqual({ Deployment: 1 });
  });

  it.each([
    ['kind: [', /^a\.yaml: /],
    ['just text', /^a\.yaml: kind: must name a kind/],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: Bad_Name}',
      /^a\.yaml: Pod default\/Bad_Name: metadata\.name: must be a name of lower-case/,
    ],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: p}\nstatus: {podIPs: [{ip: 10.0.0}]}',
      /status\.podIPs\[0\]\.ip: must be an IPv4 or IPv6/,
    ],
    [
      'kind: Node\napiVersion: v1\nmetadata: {name: n}\nspec: {podCIDRs: [10.0.0.0/40]}',
      /spec\.podCIDRs\[0\]: must be a CIDR block/,
    ],
    [policy('{podSelectr: {}}'), /NetworkPolicy x\/p: spec\.podSelectr: is not a known field/],
    [policy('{podSelector: {}, ingress: [{form: []}]}'), /spec\.ingress\[0\]\.form: is not a known field/],
    [
      policy('{podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}'),
      /operator.*must have operator "In"/,
    ],
    [
      policy('{podSelector: {matchExpressions: [{key: a, operator: In, values: []}]}}'),
      /values: must not be empty/,
    ],
    [
      policy('{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}'),
      /values: must be absent/,
    ],
    [policy('{podSelector: {}, ingress: [{from: [{}]}]}'), /from\[0\]: must have podSelector/],
    [
      policy('{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}'),
      /ipBlock alone/,
    ],
    [
      policy('{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}'),
      /except\[0\]: must be a smaller block inside 10\.0\.0\.0\/8/,
    ],
    [
      policy('{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 79}]}]}'),
      /endPort: needs a port given as a number that is not greater/,
    ],
    [
      policy('{podSelector: {}, ingress: [{ports: [{port: web, endPort: 80}]}]}'),
      /endPort: needs a port given as a number/,
    ],
    [
      policy('{podSelector: {}, ingress: [{ports: [{port: 0}]}]}'),
      /port: must be a port number or a port name|must be an integer from 1/,
    ],
    [
      policy('{podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]}'),
      /protocol: must be "TCP" or "UDP" or "SCTP"/,
    ],
    [policy('{podSelector: {}, policyTypes: [ingress]}'), /policyTypes\[0\]: must be "Ingress" or "Egress"/],
    [
      'kind: NetworkPolicy\napiVersion: networking.k8s.io/v2\nmetadata: {name: p}\nspec: {podSelector: {}}',
      /apiVersion: must be "networking.k8s.io\/v1"/,
    ],
  ])('name what is wrong and where: %s', (text, message) => {
    const [first = ''] = faults(text);
    expect(first).toMatch(message);
  });

  it('name what is no JSON in a file that says so', () => {
    const { faults } = readManifests([{ file: 'a.json', text: 'kind: Pod' }]);
    expect(faults.map(faultText)).toEqual([expect.stringMatching(/^a\.json: Unexpected token/)]);
  });

  it('may not hold the same object twice', () => {
    const pod = 'kind: Pod\napiVersion: v1\nmetadata: {name: p}\n';
    const { faults } = readManifests([
      { file: 'a.yaml', text: pod },
      { file: 'b.yaml', text: pod },
    ]);
    expect(faults.map(faultText)).toEqual([
      'b.yaml: Pod default/p: metadata.name: is taken: a.yaml has the same object',
    ]);
  });
});
