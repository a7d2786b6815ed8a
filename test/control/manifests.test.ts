import { describe, expect, it } from 'vitest';
import { readManifests } from '../../src/control/manifests.ts';
import { faultText } from '../../src/store/store.ts';

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
    ...[
      [
        'networking.k8s.io/v1',
        'Networkpolicy',
        /kind: of networking\.k8s\.io only NetworkPolicy is supported/,
      ],
      ['networking.k8s.io/v1', 'NetworkPolicies', /kind: of networking\.k8s\.io only NetworkPolicy/],
      ['policy.networking.k8s.io/v1alpha1', 'AdminNetworkPolicy', /kind: .* only ClusterNetworkPolicy is/],
      ['v1', 'NetworkPolicy', /x\/p: apiVersion: of NetworkPolicy must be of networking\.k8s\.io$/],
      ['extensions/v1beta1', 'NetworkPolicy', /apiVersion: of NetworkPolicy must be of networking/],
      ['netwrking.k8s.io/v1', 'NetworkPolicy', /apiVersion: of NetworkPolicy must be of networking/],
      ['v1', 'pod', /pod p: kind: must be Pod$/],
      ['apps/v1', 'Pod', /apiVersion: of Pod must be of the core group, v1$/],
      ['v2', 'Pod', /Pod x\/p: apiVersion: must be "v1"$/],
      ['""', 'Deployment', /apiVersion: must be a version such as v1/],
    ].map(([apiVersion, kind, message]): [string, RegExp] => [
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: p, namespace: x}\nspec: {}`,
      message as RegExp,
    ]),
    ['kind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}', /apiVersion: must be a version/],
    [policy('{}').replace('spec', 'sepc'), /NetworkPolicy x\/p: sepc: is not a known field/],
    [policy('{}').replace('namespace', 'namepsace'), /metadata\.namepsace: is not a known field/],
    [
      policy('{podSelector: {matchLabels: {app: web server}}}'),
      /spec\.podSelector\.matchLabels\.app: must be a label value/,
    ],
    [policy('{podSelector: {matchLabels: {a/b/c: x}}}'), /matchLabels\.a\/b\/c: must be a label name/],
    [
      policy('{podSelector: {matchExpressions: [{key: "", operator: In, values: [b]}]}}'),
      /matchExpressions\[0\]\.key: must be a label name/,
    ],
    [
      policy('{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: ["b,c"]}]}}'),
      /matchExpressions\[0\]\.values\[0\]: must be a label value/,
    ],
    [
      'kind: Pod\napiVersion: v1\nmetadata: {name: p, labels: {app: web-}}',
      /Pod default\/p: metadata\.labels\.app: must be a label value/,
    ],
    ['kind: Pod\nmetadata: *gone', /^a\.yaml: Unresolved alias/],
    [
      `x: &a [${'1,'.repeat(20)}]\ny: &b [${'*a,'.repeat(20)}]\nz: [${'*b,'.repeat(20)}]`,
      /^a\.yaml: Excessive alias count/,
    ],
    [
      'kind: NetworkPolicy\napiVersion: networking.k8s.io/v2\nmetadata: {name: p}\nspec: {podSelector: {}}',
      /apiVersion: must be "networking.k8s.io\/v1"/,
    ],
  ])('name what is wrong and where: %s', (text, message) => {
    const [first = ''] = faults(text);
    expect(first).toMatch(message);
  });

  it('leave alone what is not for this program, by group and kind', () => {
    const others = [
      'projectcalico.org/v3 NetworkPolicy',
      'crd.antrea.io/v1beta1 ClusterNetworkPolicy',
      'networking.k8s.io/v1 Ingress',
      'networking.k8s.io/v1 ServiceCIDR',
      'v1 ConfigMap',
      'example.com/v1 constructor',
    ];
    const text = others.map((one) => `apiVersion: ${one.replace(' ', '\nkind: ')}`).join('\n---\n');
    expect(read(text).faults).toEqual([]);
    expect(Object.values(read(text).ignored)).toEqual(others.map(() => 1));
  });

  it('are read as the API server lists them: items without kind and version, Lists in Lists', () => {
    const { objects, faults } = read(
      JSON.stringify({
        kind: 'List',
        items: [
          { apiVersion: 'v1', kind: 'PodList', metadata: {}, items: [{ metadata: { name: 'p' } }] },
          {
            apiVersion: 'networking.k8s.io/v1',
            kind: 'NetworkPolicyList',
            items: [{ metadata: { name: 'n' }, spec: { podSelector: {} } }],
          },
        ],
      }),
    );
    expect(faults).toEqual([]);
    expect([objects.pods.length, objects.policies.length]).toEqual([1, 1]);
    const bad = { kind: 'List', items: [{ apiVersion: 'v1', kind: 'PodList', items: [{ metadata: {} }] }] };
    expect(read(JSON.stringify(bad)).faults.map(faultText)).toEqual([
      'a.yaml: Pod default: items[0].items[0].metadata.name: must be a name such as node-1',
    ]);
  });

  it('may use the merge keys of YAML', () => {
    const text = `
kind: Pod
apiVersion: v1
metadata:
  <<: {labels: {app: web}}
  name: p`;
    expect(read(text).objects.pods[0]?.metadata.labels).toEqual({ app: 'web' });
  });

  it('may hold a NetworkPolicy without a spec, which admits nothing', () => {
    const { objects, faults } = read(
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nstatus: {}',
    );
    expect(faults).toEqual([]);
    expect(objects.policies[0]?.spec).toEqual({ podSelector: {} });
  });

  it('have Lists of objects, and nothing else in their place', () => {
    const list = (items: string) => read(`{apiVersion: v1, kind: List, items: ${items}}`);
    expect(list('{kind: Pod}').faults.map(faultText)).toEqual(['a.yaml: items: must be a list of objects']);
    expect(list('7').faults).toHaveLength(1);
    expect(list('null').faults).toEqual([]);
    expect(list('[]').faults).toEqual([]);
  });

  it('name what is no JSON in a file that says so', () => {
    const { faults } = readManifests([{ file: 'a.json', text: 'kind: Pod' }]);
    expect(faults.map(faultText)).toEqual([expect.stringMatching(/^a\.json: Unexpected token/)]);
  });

  it('may be several documents of JSON in a file', () => {
    const namespace = (name: string) =>
      JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations: { a: '}{"' } } });
    const read = (text: string) => readManifests([{ file: 'a.json', text }]);
    const { objects, faults } = read(`${namespace('x')}\n${namespace('y')}${namespace('z')}\n`);
    expect(faults).toEqual([]);
    expect(objects.namespaces.map(({ metadata }) => metadata.name)).toEqual(['x', 'y', 'z']);
    expect(read(`${namespace('x')}\n{"kind":`).faults.map(faultText)).toEqual([
      expect.stringMatching(/^a\.json: .*end of JSON/),
    ]);
  });

  it('may begin with a byte-order mark, YAML and JSON', () => {
    const text = '\ufeff{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}}';
    for (const file of ['a.json', 'a.yaml']) {
      const { objects, faults } = readManifests([{ file, text }]);
      expect(faults).toEqual([]);
      expect(objects.namespaces).toHaveLength(1);
    }
  });

  it.each([
    [
      'a.json',
      '{"apiVersion":"v1","kind":"List","items":[{},{"spec":{"a":"},{\\"","ingress":[],"b":[{"c":1},{"c":2}],"ingress":[{}]}}]}',
      'a.json: items[1].spec.ingress: is there twice',
    ],
    ['a.json', '{"kind":"Pod","k\\u0069nd":"Node"}', 'a.json: kind: is there twice'],
    ['a.yaml', 'spec: {}\nspec: {}', 'a.yaml: Map keys must be unique at line 2, column 1'],
  ])('may not hold a field twice: %s %s', (file, text, fault) => {
    expect(readManifests([{ file, text }]).faults.map(faultText)).toEqual([fault]);
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
