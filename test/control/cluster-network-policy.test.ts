import { describe, expect, it } from 'vitest';
import { clusterOf } from '../../src/control/cluster.ts';
import { readManifests } from '../../src/control/manifests.ts';
import { faultText } from '../../src/store/store.ts';
import { clusterPolicy } from '../support/cluster.ts';

const read = (...objects: object[]) =>
  readManifests([{ file: 'a.json', text: JSON.stringify({ kind: 'List', items: objects }) }]);
const faults = (spec: object) => read(clusterPolicy('p', spec)).faults.map(faultText);
const warnings = (spec: object) => clusterOf(read(clusterPolicy('p', spec)).objects).warnings;

const good = { tier: 'Admin', priority: 10, subject: { namespaces: {} } };
const to = [{ namespaces: {} }];
const egress = (rule: object) => ({ ...good, egress: [{ action: 'Accept', to, ...rule }] });
const many = (n: number) => Array.from({ length: n }, (_, i) => i);
const { tier, priority, subject } = good;

describe('ClusterNetworkPolicy', () => {
  it.each(['v1alpha2', 'v1beta1'])('is read in version %s, with every field', (version) => {
    const { faults, objects } = read({
      ...clusterPolicy('all', {
        tier: 'Baseline',
        priority: 1000,
        subject: { pods: { podSelector: { matchLabels: { app: 'a' } } } },
        ingress: [
          {
            name: 'x'.repeat(100),
            action: 'Pass',
            from: [{ namespaces: {} }, { pods: { namespaceSelector: {}, podSelector: {} } }],
            protocols: [
              { tcp: { destinationPort: { number: 80 } } },
              { udp: { destinationPort: { range: { start: 1, end: 65535 } } } },
              { sctp: { destinationPort: { number: 1 } } },
              { destinationNamedPort: 'web' },
            ],
          },
        ],
        egress: [
          {
            action: 'Deny',
            to: [
              { nodes: {} },
              { networks: ['10.0.0.0/8', 'fd00::/8'] },
              { domainNames: ['*.kubernetes.io'] },
            ],
          },
        ],
      }),
      apiVersion: `policy.networking.k8s.io/${version}`,
      status: { conditions: [] },
    });
    expect(faults.map(faultText)).toEqual([]);
    expect(objects.clusterPolicies.map(({ metadata }) => metadata.name)).toEqual(['all']);
  });

  it.each<[string, object, string]>([
    ['no tier', { priority, subject }, 'spec.tier: must be "Admin" or "Baseline"'],
    ['another tier', { tier: 'admin', priority, subject }, 'spec.tier: must be "Admin" or "Baseline"'],
    ['no priority', { tier, subject }, 'spec.priority: must be an integer from 0 to 1000'],
    ['a priority too high', { ...good, priority: 1001 }, 'spec.priority: must be an integer from 0 to 1000'],
    ['no subject', { tier, priority }, 'spec.subject: is missing: must be an object'],
    ['an empty subject', { ...good, subject: {} }, 'spec.subject: must have one of namespaces and pods'],
    [
      'two subjects',
      { ...good, subject: { namespaces: {}, pods: { podSelector: {} } } },
      'spec.subject: must have one of namespaces and pods',
    ],
    [
      'pods without a podSelector',
      { ...good, subject: { pods: { namespaceSelector: {} } } },
      'spec.subject.pods.podSelector: is missing: must be an object',
    ],
    ['an unknown field', { ...good, podSelector: {} }, 'spec.podSelector: is not a known field'],
    [
      'too many rules',
      { ...good, egress: many(26).map(() => ({ action: 'Deny', to })) },
      'spec.egress: must have at most 25 rules',
    ],
    ['a long name', egress({ name: 'x'.repeat(101) }), 'egress[0].name: must have at most 100 characters'],
    ['another action', egress({ action: 'Allow' }), 'action: must be "Accept" or "Deny" or "Pass"'],
    ['no peers', egress({ to: undefined }), 'egress[0].to: is missing: must be a list of one peer or more'],
    ['an empty list of peers', egress({ to: [] }), 'egress[0].to: must be a list of one peer or more'],
    ['too many peers', egress({ to: many(26).map(() => to[0]) }), 'egress[0].to: must have at most 25 items'],
    [
      'two kinds in one peer',
      egress({ to: [{ namespaces: {}, networks: ['10.0.0.0/8'] }] }),
      'egress[0].to[0]: must have one field: several peers are several entries',
    ],
    [
      'the ports of NetworkPolicy',
      egress({ ports: [{ port: 80 }] }),
      'spec.egress[0].ports: is not a known field',
    ],
    [
      'an empty list of protocols',
      egress({ protocols: [] }),
      'protocols: must be absent, or a list of one item or more',
    ],
    [
      'an empty protocol',
      egress({ protocols: [{}] }),
      'protocols[0]: must have one of tcp, udp, sctp and destinationNamedPort',
    ],
    [
      'two protocols in one',
      egress({ protocols: [{ tcp: { destinationPort: { number: 1 } }, destinationNamedPort: 'web' }] }),
      'protocols[0]: must have one of tcp, udp, sctp and destinationNamedPort',
    ],
    [
      'a protocol without a port',
      egress({ protocols: [{ tcp: {} }] }),
      'protocols[0].tcp.destinationPort: is missing: must be an object',
    ],
    [
      'a port without a number',
      egress({ protocols: [{ tcp: { destinationPort: {} } }] }),
      'destinationPort: must have one of number and range',
    ],
    [
      'port 0',
      egress({ protocols: [{ udp: { destinationPort: { number: 0 } } }] }),
      'number: must be an integer from 1 to 65535',
    ],
    [
      'a range of one port',
      egress({ protocols: [{ sctp: { destinationPort: { range: { start: 9, end: 9 } } } }] }),
      'range: must have a start that is less than its end',
    ],
    [
      'a bad block',
      egress({ to: [{ networks: ['10.0.0.0'] }] }),
      'to[0].networks[0]: must be a CIDR block such as',
    ],
    [
      'no block',
      egress({ to: [{ networks: [] }] }),
      'to[0].networks: must be a list of one CIDR block or more',
    ],
    [
      'a block twice',
      egress({ to: [{ networks: ['10.0.0.0/8', '10.0.0.0/8'] }] }),
      'to[0].networks[1]: repeats 10.0.0.0/8',
    ],
    [
      'too many blocks',
      egress({ to: [{ networks: many(26).map((i) => `10.${i}.0.0/16`) }] }),
      'to[0].networks: must have at most 25 items',
    ],
    [
      'a bad domain name',
      egress({ to: [{ domainNames: ['www.*.io'] }] }),
      'to[0].domainNames[0]: must be a domain name such as',
    ],
    [
      'a named port of a network',
      egress({ to: [{ networks: ['::/0'] }], protocols: [{ destinationNamedPort: 'web' }] }),
      'protocols[0].destinationNamedPort: cannot be used with nodes, networks or domainNames',
    ],
  ])('is refused with %s, and the field is named', (_, spec, message) => {
    const [first = ''] = faults(spec);
    expect(first).toMatch(/^a\.json: ClusterNetworkPolicy p: items\[0\]\.spec/);
    expect(first).toContain(message);
  });

  it('is refused in a version that is not known, for it is meant to forbid something', () => {
    const { faults } = read({ ...clusterPolicy('p', good), apiVersion: 'policy.networking.k8s.io/v2' });
    expect(faults.map(faultText)).toEqual([expect.stringContaining('apiVersion: must be "policy')]);
  });

  it('is cluster-wide: one of a name', () => {
    const { faults } = read(clusterPolicy('p', good), clusterPolicy('p', good));
    expect(faults.map(faultText)).toEqual([
      'a.json: ClusterNetworkPolicy p: metadata.name: is taken: a.json has the same object',
    ]);
  });

  it('is accepted with peers that are not supported, and says which rules fail closed', () => {
    const spec = {
      ...good,
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }, {}] }],
      egress: [
        { action: 'Accept', to: [{ domainNames: ['kubernetes.io'] }] },
        { action: 'Pass', to: [{ services: {} }] },
      ],
    };
    expect(faults(spec)).toEqual([]);
    expect(warnings(spec)).toEqual([
      'ClusterNetworkPolicy p: spec.ingress[0].from[1]: a peer without a field is not supported, so the rule denies everything',
      'ClusterNetworkPolicy p: spec.egress[0].to[0]: domainNames is not supported, so the rule matches nothing',
      'ClusterNetworkPolicy p: spec.egress[1].to[0]: services is not supported, so the rule denies everything',
    ]);
    expect(warnings({ ...good, ingress: [{ action: 'Deny', from: [{ networks: ['::/0'] }] }] })).toHaveLength(
      1,
    );
  });
});
