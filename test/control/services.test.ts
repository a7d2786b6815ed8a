// Service and EndpointSlice objects as they come in: what is refused, and by which words.
import { describe, expect, it } from 'vitest';
import { readManifests } from '../../src/control/manifests.ts';
import { faultText } from '../../src/store/store.ts';
import { service, slice } from '../support/services.ts';

const read = (object: object) => readManifests([{ file: 'a.json', text: JSON.stringify(object) }]);
const faults = (object: object) => read(object).faults.map(faultText);
const port = (more: object) => ({ name: 'http', port: 80, ...more });

describe('a Service', () => {
  it('is read as the API server writes it', () => {
    const reading = read(
      service(
        {
          type: 'LoadBalancer',
          selector: { app: 'web' },
          clusterIPs: ['10.96.0.10', 'fd00:96::a'],
          ipFamilies: ['IPv4', 'IPv6'],
          ipFamilyPolicy: 'PreferDualStack',
          ports: [
            port({ protocol: 'TCP', targetPort: 'http', nodePort: 30080, appProtocol: 'kubernetes.io/h2c' }),
          ],
          externalTrafficPolicy: 'Local',
          internalTrafficPolicy: 'Cluster',
          healthCheckNodePort: 32000,
          allocateLoadBalancerNodePorts: true,
          loadBalancerClass: 'example.org/lb',
          loadBalancerSourceRanges: [' 192.0.2.0/24 '],
          sessionAffinity: 'ClientIP',
          sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
          trafficDistribution: 'PreferClose',
          publishNotReadyAddresses: false,
        },
        { resourceVersion: '1', uid: 'u', managedFields: [], annotations: {} },
        {
          loadBalancer: {
            ingress: [{ ip: '203.0.113.5', ipMode: 'VIP', ports: [] }, { hostname: 'lb.example.org' }],
          },
        },
      ),
    );
    expect(reading.faults).toEqual([]);
    expect(reading.objects.services).toHaveLength(1);
  });

  it.each([
    [{ internalTraficPolicy: 'Local' }, 'spec.internalTraficPolicy: is not a known field'],
    [{ externalTrafficPolicy: 'local' }, 'spec.externalTrafficPolicy: must be "Cluster" or "Local"'],
    [{ clusterIP: '10.96.0' }, 'spec.clusterIP: must be an IPv4 or IPv6 address, or "None", not "10.96.0"'],
    [{ clusterIPs: ['10.96.0.11'] }, 'spec.clusterIPs[0]: must be the same as clusterIP, 10.96.0.10'],
    [
      { clusterIPs: ['10.96.0.10', '10.96.0.11'] },
      'spec.clusterIPs[1]: must be an address of the other family',
    ],
    [
      { externalIPs: ['127.0.0.1'] },
      'spec.externalIPs[0]: must not be an unspecified, loopback or link-local',
    ],
    [{ ports: [port({ nodeport: 30080 })] }, 'spec.ports[0].nodeport: is not a known field'],
    [{ ports: [port({ port: 0 })] }, 'spec.ports[0].port: must be an integer from 1 to 65535'],
    [
      { ports: [{ port: 80 }, { port: 81 }] },
      'spec.ports[0].name: is missing: each of several ports must have one',
    ],
    [{ ports: [port({}), port({ port: 81 })] }, 'spec.ports[1].name: repeats http'],
    [{ ports: [port({}), port({ name: 'b' })] }, 'spec.ports[1].port: repeats TCP 80'],
    [
      { ports: [port({ nodePort: 30080 }), port({ name: 'b', port: 81, nodePort: 30080 })] },
      'spec.ports[1].nodePort: repeats TCP 30080',
    ],
    [
      { sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } },
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be an integer from 1 to 86400',
    ],
    [{ loadBalancerSourceRanges: ['192.0.2.0'] }, 'spec.loadBalancerSourceRanges[0]: must be a CIDR block'],
    [{ trafficDistribution: 'Nearest' }, 'spec.trafficDistribution: must be "PreferClose"'],
  ])('is refused with file, object and field: %j', (spec, message) => {
    expect(faults(service(spec)).join('\n')).toContain(`a.json: Service default/web: ${message}`);
  });

  it.each([
    [undefined, ''],
    ['', ''],
    ['my name', ', not "my name"'],
    ['-a.example', ', not "-a.example"'],
  ])('of type ExternalName has a domain name, not %j', (externalName, is) => {
    expect(faults(service({ type: 'ExternalName', externalName }))).toEqual([
      `a.json: Service default/web: spec.externalName: must be a domain name such as example.com${is}`,
    ]);
    expect(faults(service({ type: 'ExternalName', externalName: 'db.example.com.' }))).toEqual([]);
  });

  it('of one port may use one number for TCP and UDP', () => {
    const ports = [
      port({ name: 'a', protocol: 'UDP', nodePort: 30053 }),
      port({ name: 'b', nodePort: 30053 }),
    ];
    expect(faults(service({ ports }))).toEqual([]);
  });
});

describe('an EndpointSlice', () => {
  const changed = (more: object) => ({ ...slice([{ ip: '10.244.1.1' }]), ...more });

  it('is read from an EndpointSliceList', () => {
    const { kind, apiVersion, ...item } = slice([{ ip: '10.244.1.1' }]);
    const reading = read({ kind: `${kind}List`, apiVersion, items: [item] });
    expect(reading.faults).toEqual([]);
    expect(reading.objects.slices).toHaveLength(1);
  });

  it.each([
    [{ apiVersion: 'discovery.k8s.io/v1beta1' }, 'apiVersion: must be "discovery.k8s.io/v1"'],
    [{ endpoint: [] }, 'endpoint: is not a known field'],
    [{ addressType: 'IPv6' }, 'endpoints[0].addresses[0]: must be an IPv6 address, not "10.244.1.1"'],
    [{ endpoints: [{ addresses: [] }] }, 'endpoints[0].addresses: must have an address'],
    [
      { endpoints: [{ addresses: ['169.254.169.254'] }] },
      'endpoints[0].addresses[0]: must not be an unspecified, loopback or link-local address',
    ],
    [
      { endpoints: [{ addresses: ['10.244.1.1'], conditions: { redy: false } }] },
      'endpoints[0].conditions.redy: is not a known field',
    ],
    [
      { endpoints: [{ addresses: ['10.244.1.1'], hints: { forZone: [] } }] },
      'endpoints[0].hints.forZone: is not a known field',
    ],
    [{ ports: [{ port: 70_000 }] }, 'ports[0].port: must be an integer from 0 to 65535'],
  ])('is refused with file, object and field: %j', (more, message) => {
    expect(faults(changed(more))).toEqual([`a.json: EndpointSlice default/web-1: ${message}`]);
  });
});
