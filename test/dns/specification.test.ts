/**
 * Kubernetes DNS-Based Service Discovery, schema version 1.1.0, section by section.
 * https://github.com/kubernetes/dns/blob/master/docs/specification.md
 */
import { describe, expect, it } from 'vitest';
import { ask, type QueryFields, type Server, serverOf } from '../support/dns.ts';

const service = (name: string, spec: object, namespace = 'default') => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec,
});
interface Endpoint {
  readonly addresses: readonly string[];
  readonly hostname?: string;
  readonly conditions?: object;
}
const slice = (
  name: string,
  of: string,
  addressType: string,
  endpoints: readonly Endpoint[],
  ports: object[] = [],
) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
  addressType,
  endpoints,
  ports,
});
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

const kubernetes = service('kubernetes', {
  clusterIPs: ['10.96.0.1', 'fd00:96::1'],
  ports: [
    { name: 'https', port: 443 },
    { name: 'udp', port: 53, protocol: 'UDP' },
  ],
});
const https = [{ name: 'https', port: 443 }];
const headless = [
  service('headless', { clusterIP: 'None', ports: https }),
  slice(
    'headless-4',
    'headless',
    'IPv4',
    [
      { addresses: ['10.244.1.1'], hostname: 'my-pet' },
      { addresses: ['10.244.1.2'], hostname: 'My-Pet-2' },
      { addresses: ['10.244.1.3'] },
      { addresses: ['10.244.1.4'], hostname: 'not-yet', conditions: { ready: false } },
    ],
    https,
  ),
  slice('headless-6', 'headless', 'IPv6', [{ addresses: ['fd00:244:1::1'], hostname: 'my-pet' }], https),
];
const empty = [
  service('empty', { clusterIP: 'None', ports: https }),
  slice(
    'empty-4',
    'empty',
    'IPv4',
    [{ addresses: ['10.244.9.1'], hostname: 'x', conditions: { ready: false } }],
    https,
  ),
];
const items = [
  namespace('default'),
  namespace('bare'),
  kubernetes,
  ...headless,
  ...empty,
  service('unnamed', { clusterIP: '10.96.0.7', ports: [{ port: 80 }] }),
  service('outside', { type: 'ExternalName', externalName: 'www.example.com' }),
  service('alias', { type: 'ExternalName', externalName: 'kubernetes.default.svc.cluster.local' }),
];
const short = (name: string) => (/\.arpa$/i.test(name) ? name : `${name}.cluster.local`);

/** `NAME TYPE` below the domain: the answers, or the rcode where there are none. */
async function told(server: Server, line: string): Promise<readonly string[] | string> {
  const [name = '', type = 'A'] = line.split(' ');
  const { rcode, answers } = await ask(server, {
    name: short(name),
    type: type as QueryFields['type'] & string,
  });
  const data = answers.map((text) => text.split(' ').slice(1).join(' ').replaceAll('.cluster.local', '.…'));
  return answers.length > 0 ? data.sort() : rcode;
}

const tables: Readonly<Record<string, Readonly<Record<string, readonly string[] | string>>>> = {
  '2.2 schema version': {
    'dns-version TXT': ['TXT 1.1.0'],
    'dns-version A': 'NOERROR',
    'x.dns-version TXT': 'NXDOMAIN',
  },
  '2.3.1 A and AAAA of a cluster IP': {
    'kubernetes.default.svc A': ['A 10.96.0.1'],
    'kubernetes.default.svc AAAA': ['AAAA fd00:96::1'],
    'KUBERNETES.Default.sVc A': ['A 10.96.0.1'],
    'unnamed.default.svc AAAA': 'NOERROR',
    'kubernetes.default.svc MX': 'NOERROR',
    'missing.default.svc A': 'NXDOMAIN',
    'kubernetes.bare.svc A': 'NXDOMAIN',
    'x.kubernetes.default.svc A': 'NXDOMAIN',
  },
  '2.3.2 SRV of named ports': {
    '_https._tcp.kubernetes.default.svc SRV': ['SRV 0 100 443 kubernetes.default.svc.…'],
    '_HTTPS._TCP.kubernetes.default.svc SRV': ['SRV 0 100 443 kubernetes.default.svc.…'],
    '_udp._udp.kubernetes.default.svc SRV': ['SRV 0 100 53 kubernetes.default.svc.…'],
    '_https._udp.kubernetes.default.svc SRV': 'NXDOMAIN',
    '_https._tcp.kubernetes.default.svc A': 'NOERROR',
    '_tcp.kubernetes.default.svc SRV': 'NOERROR',
    '_sctp.kubernetes.default.svc SRV': 'NXDOMAIN',
    '_._tcp.unnamed.default.svc SRV': 'NXDOMAIN',
    '_80._tcp.unnamed.default.svc SRV': 'NXDOMAIN',
    'x._https._tcp.kubernetes.default.svc SRV': 'NXDOMAIN',
  },
  '2.3.3 PTR of a cluster IP': {
    '1.0.96.10.in-addr.arpa PTR': ['PTR kubernetes.default.svc.…'],
    '1.0.96.10.IN-ADDR.ARPA PTR': ['PTR kubernetes.default.svc.…'],
    '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa PTR': [
      'PTR kubernetes.default.svc.…',
    ],
    '9.9.96.10.in-addr.arpa PTR': 'NXDOMAIN',
    '1.0.96.10.in-addr.arpa A': 'NOERROR',
  },
  '2.4.1 A and AAAA of ready endpoints': {
    'headless.default.svc A': ['A 10.244.1.1', 'A 10.244.1.2', 'A 10.244.1.3'],
    'headless.default.svc AAAA': ['AAAA fd00:244:1::1'],
    'my-pet.headless.default.svc A': ['A 10.244.1.1'],
    'my-pet.headless.default.svc AAAA': ['AAAA fd00:244:1::1'],
    'MY-PET-2.headless.default.svc A': ['A 10.244.1.2'],
    'my-pet-2.headless.default.svc AAAA': 'NOERROR',
    '10-244-1-3.headless.default.svc A': ['A 10.244.1.3'],
    '10-244-1-1.headless.default.svc A': 'NXDOMAIN',
    'not-yet.headless.default.svc A': 'NXDOMAIN',
    'x.my-pet.headless.default.svc A': 'NXDOMAIN',
  },
  '2.4.1 no ready endpoint': {
    'empty.default.svc A': 'NXDOMAIN',
    'empty.default.svc AAAA': 'NXDOMAIN',
    'x.empty.default.svc A': 'NXDOMAIN',
    '_https._tcp.empty.default.svc SRV': 'NXDOMAIN',
    '1.9.244.10.in-addr.arpa PTR': 'NXDOMAIN',
  },
  '2.4.2 SRV of ready endpoints': {
    '_https._tcp.headless.default.svc SRV': [
      'SRV 0 33 443 10-244-1-3.headless.default.svc.…',
      'SRV 0 33 443 my-pet-2.headless.default.svc.…',
      'SRV 0 33 443 my-pet.headless.default.svc.…',
    ],
  },
  '2.4.3 PTR of ready endpoints': {
    '1.1.244.10.in-addr.arpa PTR': ['PTR my-pet.headless.default.svc.…'],
    '3.1.244.10.in-addr.arpa PTR': ['PTR 10-244-1-3.headless.default.svc.…'],
    '4.1.244.10.in-addr.arpa PTR': 'NXDOMAIN',
    '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa PTR': [
      'PTR my-pet.headless.default.svc.…',
    ],
  },
  '2.5 ExternalName': {
    'outside.default.svc CNAME': ['CNAME www.example.com'],
    'outside.default.svc A': ['CNAME www.example.com'],
    'alias.default.svc A': ['A 10.96.0.1', 'CNAME kubernetes.default.svc.…'],
    'alias.default.svc MX': ['CNAME kubernetes.default.svc.…'],
    'x.outside.default.svc A': 'NXDOMAIN',
  },
  '2.6 pods': {
    '10-1-2-3.default.pod A': ['A 10.1.2.3'],
    '10-1-2-3.default.pod AAAA': 'NOERROR',
    'fd00-244-1--7.default.pod AAAA': ['AAAA fd00:244:1::7'],
    '10-1-2-3.nowhere.pod A': 'NXDOMAIN',
    '10-1-2.default.pod A': 'NXDOMAIN',
    '10-1-2-256.default.pod A': 'NXDOMAIN',
    'x.10-1-2-3.default.pod A': 'NXDOMAIN',
  },
  'names between': {
    ' SOA': ['SOA ns.dns.… hostmaster.… 5'],
    ' NS': ['NS ns.dns.…'],
    ' A': 'NOERROR',
    'svc A': 'NOERROR',
    'pod A': 'NOERROR',
    'default.svc A': 'NOERROR',
    'bare.svc A': 'NOERROR',
    'bare.pod A': 'NOERROR',
    'nowhere.svc A': 'NXDOMAIN',
    'dns A': 'NOERROR',
    'ns.dns A': ['A 169.254.20.10'],
    'ns.dns AAAA': ['AAAA fd00:169:254:20::10'],
    'other A': 'NXDOMAIN',
    '244.10.in-addr.arpa SOA': ['SOA ns.dns.… hostmaster.… 5'],
    '1.244.10.in-addr.arpa PTR': 'NOERROR',
  },
};

describe('Services 12: DNS specification 1.1.0', () => {
  const server = serverOf(items);
  for (const [section, table] of Object.entries(tables)) {
    describe(section, () => {
      it.each(Object.entries(table))('%s', async (line, expected) => {
        expect(await told(server, line.replace(/^ /, '. '))).toEqual(expected);
      });
    });
  }

  it('publishNotReadyAddresses makes every endpoint count', async () => {
    const open = serverOf([
      service('empty', { clusterIP: 'None', ports: https, publishNotReadyAddresses: true }),
      empty[1] as object,
    ]);
    expect(await told(open, 'empty.default.svc A')).toEqual(['A 10.244.9.1']);
    expect(await told(open, 'x.empty.default.svc A')).toEqual(['A 10.244.9.1']);
  });

  it('a SRV answer brings the addresses of its targets', async () => {
    const reply = await ask(server, { name: '_https._tcp.headless.default.svc.cluster.local', type: 'SRV' });
    expect([...reply.additionals].sort()).toEqual([
      '10-244-1-3.headless.default.svc.cluster.local A 10.244.1.3',
      'my-pet-2.headless.default.svc.cluster.local A 10.244.1.2',
      'my-pet.headless.default.svc.cluster.local A 10.244.1.1',
      'my-pet.headless.default.svc.cluster.local AAAA fd00:244:1::1',
    ]);
  });

  it('each of several endpoints comes first in its turn', async () => {
    const first = async () => (await ask(server, { name: 'headless.default.svc.cluster.local' })).answers[0];
    expect(new Set([await first(), await first(), await first()]).size).toBe(3);
  });

  it('existing pods only, where so configured', async () => {
    const status = { podIPs: [{ ip: '10.244.1.9' }, { ip: 'fd00:244:1::9' }] };
    const pod = (phase: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      status: { ...status, phase },
    });
    const strict = serverOf([...items, pod('Running')], { pods: 'existing' });
    expect(await told(strict, '10-244-1-9.default.pod A')).toEqual(['A 10.244.1.9']);
    expect(await told(strict, 'fd00-244-1--9.default.pod AAAA')).toEqual(['AAAA fd00:244:1::9']);
    expect(await told(strict, '10-244-1-8.default.pod A')).toBe('NXDOMAIN');
    expect(await told(strict, '10-244-1-9.bare.pod A')).toBe('NXDOMAIN');
    expect(
      await told(serverOf([...items, pod('Failed')], { pods: 'existing' }), '10-244-1-9.default.pod A'),
    ).toBe('NXDOMAIN');
    expect(await told(serverOf(items, { pods: 'none' }), '10-1-2-3.default.pod A')).toBe('NXDOMAIN');
  });

  it('negative answers carry the SOA of the zone, whose minimum is the TTL', async () => {
    const reply = await ask(server, { name: 'missing.default.svc.cluster.local' });
    expect(reply.authorities).toEqual(['cluster.local SOA ns.dns.cluster.local hostmaster.cluster.local 5']);
    expect(reply.packet.authorities[0]?.ttl).toBe(5);
    expect(reply.packet.header).toMatchObject({ aa: 1, ra: 1, rd: 1, tc: 0, id: 0x1234 });
  });
});
