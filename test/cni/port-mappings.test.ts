import { expect, it } from 'vitest';
import { type AddCall, readCall } from '../../src/cni/call.ts';
import { CniError } from '../../src/cni/error.ts';
import {
  hostPortsOf,
  requireFamilies,
  requireFreeHostPorts,
  requireNoTunnelPorts,
} from '../../src/cni/port-mappings.ts';
import { address } from '../../src/net/address.ts';
import type { HostPort } from '../../src/service/host-ports.ts';
import { loadConfigText } from '../support/configuration.ts';

const environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c',
  CNI_IFNAME: 'eth0',
  CNI_NETNS: '/run/netns/c',
};
const call = (runtimeConfig: object) =>
  readCall({ environment, config: { cniVersion: '1.1.0', name: 'net', runtimeConfig } }) as AddCall;
const asked = (...portMappings: object[]) => hostPortsOf(call({ portMappings }).config);
const caught = (work: () => unknown): { code: number; message: string } | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof CniError) return { code: error.code, message: error.message };
    throw error;
  }
};
const plain = (ports: readonly HostPort[]) =>
  ports.map(({ hostIP, ...port }) => ({ ...port, ...(hostIP && { hostIP: hostIP.text }) }));

it('CNI 10: reads mappings with protocols in any case, and TCP where there is none', () => {
  expect(
    plain(
      asked(
        { hostPort: 8080, containerPort: 80 },
        { hostPort: 53, containerPort: 5353, protocol: 'UDP', hostIP: '' },
        { hostPort: 53, containerPort: 5353, protocol: '', hostIP: '2001:DB8::1' },
        { hostPort: 9, containerPort: 9, protocol: 'Sctp', hostIP: '0.0.0.0' },
      ),
    ),
  ).toEqual([
    { protocol: 'TCP', hostPort: 8080, containerPort: 80 },
    { protocol: 'UDP', hostPort: 53, containerPort: 5353 },
    { protocol: 'TCP', hostPort: 53, containerPort: 5353, hostIP: '2001:db8::1' },
    { protocol: 'SCTP', hostPort: 9, containerPort: 9, hostIP: '0.0.0.0' },
  ]);
});

it('CNI 10: reads capabilities as containerd writes them, in the names of its structs', () => {
  const { config } = call({
    portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
    bandwidth: { IngressRate: 1_000_000, IngressBurst: 4_294_967_295, EgressRate: 0, EgressBurst: 0 },
    dns: { Servers: ['10.96.0.10'], Searches: ['svc.cluster.local'], Options: null },
  });
  expect(plain(hostPortsOf(config))).toEqual([{ protocol: 'TCP', hostPort: 8080, containerPort: 80 }]);
  expect(config.runtimeConfig).toMatchObject({
    bandwidth: { ingressRate: 1_000_000 },
    dns: { servers: ['10.96.0.10'], searches: ['svc.cluster.local'] },
  });
});

it('asks for nothing where nothing is asked for', () => {
  for (const nothing of [{}, { portMappings: null }, { portMappings: [] }])
    expect(hostPortsOf(call(nothing).config)).toEqual([]);
});

it.each([
  [{ hostPort: 0, containerPort: 80 }, '[0].hostPort: must be an integer from 1 to 65535, not 0'],
  [{ hostPort: 65536, containerPort: 80 }, '[0].hostPort: must be an integer from 1 to 65535, not 65536'],
  [{ hostPort: '80', containerPort: 80 }, '[0].hostPort: must be an integer from 1 to 65535, not "80"'],
  [{ hostPort: 80, containerPort: -1 }, '[0].containerPort: must be an integer from 1 to 65535, not -1'],
  [{ hostPort: 80 }, '[0].containerPort: is missing: must be an integer from 1 to 65535'],
  [
    { hostPort: 80, containerPort: 80, protocol: 'icmp' },
    '[0].protocol: must be tcp, udp or sctp, not "icmp"',
  ],
  [
    { hostPort: 80, containerPort: 80, hostIP: 'eth0' },
    '[0].hostIP: must be an IPv4 or IPv6 address, not "eth0"',
  ],
])('CNI 2: %j is code 7', (mapping, message) => {
  expect(caught(() => asked(mapping))).toEqual({ code: 7, message: `runtimeConfig.portMappings${message}` });
});

it.each(['127.0.0.1', '::1'])('CNI 2: hostIP %s is code 2', (hostIP) => {
  expect(caught(() => asked({ hostPort: 80, containerPort: 80, hostIP }))).toEqual({
    code: 2,
    message: `runtimeConfig.portMappings[0].hostIP: ${hostIP}: Overweft maps no ports of loopback addresses`,
  });
});

it('a port that one pod asks for twice is one, unless it is to lead to two', () => {
  const one = { hostPort: 80, containerPort: 8080 };
  expect(asked(one, one)).toHaveLength(1);
  expect(caught(() => asked(one, { ...one, containerPort: 8081, hostIP: '192.0.2.1' }))).toEqual({
    code: 7,
    message:
      'runtimeConfig.portMappings[1]: host port TCP 192.0.2.1:80 leads to another container port in portMappings[0]',
  });
});

it('a port that another pod has is code 105 and names it; the same pod anew takes its own over', () => {
  const hostPorts = asked({ hostPort: 80, containerPort: 8080 });
  const attachment = {
    network: 'net',
    containerId: 'a',
    interface: 'eth0',
    namespace: 'shop',
    pod: 'web-1',
    netns: '/run/netns/a',
    namespaceId: 1,
    addresses: [],
    hostPorts,
  };
  const free = (pod: string, ports = hostPorts) =>
    caught(() => requireFreeHostPorts(ports, { namespace: 'shop', pod }, { attachments: [attachment] }));
  expect(free('web-2')).toEqual({
    code: 105,
    message: 'runtimeConfig.portMappings: host port TCP 80 is taken by pod shop/web-1',
  });
  expect(free('web-1')).toBeUndefined();
  expect(free('web-2', asked({ hostPort: 81, containerPort: 8080 }))).toBeUndefined();
});

it('neither a port at which tunnels end can be had, nor an address of a family that the pod has not', () => {
  const config = loadConfigText('node-1', { underlay: { addresses: ['192.0.2.1'] } });
  const vxlan = { hostPort: config.ports.vxlan, containerPort: 1, protocol: 'udp' };
  const tunnel = (more: object) => caught(() => requireNoTunnelPorts(asked({ ...vxlan, ...more }), config));
  expect(tunnel({})).toEqual({
    code: 2,
    message: `runtimeConfig.portMappings: host port UDP ${config.ports.vxlan}: tunnels of this node end there`,
  });
  for (const more of [{ protocol: 'tcp' }, { hostIP: '198.51.100.1' }]) expect(tunnel(more)).toBeUndefined();
  const of = (hostIP: string) =>
    caught(() => requireFamilies(asked({ ...vxlan, hostIP }), [address('10.244.1.2')]));
  expect(of('2001:db8::1')).toEqual({
    code: 7,
    message: 'runtimeConfig.portMappings: hostIP: 2001:db8::1: the pod has no IPv6 address',
  });
  for (const hostIP of ['::', '192.0.2.1']) expect(of(hostIP)).toBeUndefined();
});
