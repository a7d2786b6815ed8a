// Host ports among the Services of a node, from Pod objects and from what runtimes have attached.
import { describe, expect, it } from 'vitest';
import { noChanges } from '../../src/control/changes.ts';
import { clusterOf } from '../../src/control/cluster.ts';
import { address } from '../../src/net/address.ts';
import { ServiceCompiler } from '../../src/service/compile.ts';
import { type HostPort, overlap } from '../../src/service/host-ports.ts';
import { hostPortReports } from '../../src/service/report.ts';
import { node, pod } from '../support/cluster.ts';
import { compilerOf, knock, objectsFrom, service, slice, where } from '../support/services.ts';

const port = (hostIP?: string, more: Partial<HostPort> = {}): HostPort => ({
  protocol: 'TCP',
  hostPort: 8080,
  containerPort: 80,
  ...(hostIP !== undefined && { hostIP: address(hostIP) }),
  ...more,
});

describe('two host ports', () => {
  it.each([
    [undefined, undefined, true],
    [undefined, '192.0.2.1', true],
    [undefined, '::', true],
    ['0.0.0.0', '192.0.2.1', true],
    ['0.0.0.0', '2001:db8::1', false],
    ['0.0.0.0', '::', false],
    ['::', '2001:db8::1', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
  ])('at %s and %s: overlap %s', (one, other, expected) => {
    expect(overlap(port(one), port(other))).toBe(expected);
    expect(overlap(port(other), port(one))).toBe(expected);
  });

  it('of another protocol or number are others', () => {
    expect(overlap(port(), port(undefined, { protocol: 'UDP' }))).toBe(false);
    expect(overlap(port(), port(undefined, { hostPort: 8081 }))).toBe(false);
  });
});

const hostPod = (name: string, ports: object[], ips = ['10.244.1.2', 'fd00:244:1::2']) =>
  pod({ name, ips, spec: { containers: [{ name: 'main', ports }] } });
const atNode = { to: '192.0.2.1', port: 8080 };

describe('host ports', () => {
  it('lead from every address of the node to the pod of their family, ready or not', () => {
    const compiler = compilerOf([node(1), hostPod('web', [{ containerPort: 80, hostPort: 8080 }])]);
    expect(where(compiler, atNode)).toEqual(['10.244.1.2:80']);
    expect(where(compiler, { ...atNode, to: '2001:db8::1' })).toEqual(['[fd00:244:1::2]:80']);
    expect(where(compiler, { ...atNode, protocol: 'UDP' })).toBe('not-a-service');
    expect(where(compiler, { ...atNode, to: '192.0.2.2' })).toBe('not-a-service');
    for (const origin of ['pod', 'node', 'outside'] as const)
      expect(knock(compiler, { ...atNode, origin })).toMatchObject({ verdict: 'forward', policy: 'Local' });
  });

  it('stay within their hostIP, and within the families of pod and node', () => {
    const ports = [
      { containerPort: 80, hostPort: 8080, hostIP: '0.0.0.0' },
      { containerPort: 81, hostPort: 8081, hostIP: '2001:db8::1' },
      { containerPort: 82, hostPort: 8082, hostIP: '203.0.113.1' },
      { containerPort: 83, hostPort: 0 },
    ];
    const compiler = compilerOf([node(1), hostPod('web', ports)]);
    const found = hostPortReports(compiler).map(({ address, port, target }) => [address, port, target]);
    expect(found).toEqual([
      ['192.0.2.1', 8080, '10.244.1.2:80'],
      ['2001:db8::1', 8081, '[fd00:244:1::2]:81'],
    ]);
  });

  it('come after every Service that has the address and port', () => {
    const web = hostPod('web', [{ containerPort: 80, hostPort: 30_080 }]);
    const nodePort = { name: 'http', port: 80, nodePort: 30_080 };
    const objects = [
      node(1),
      web,
      service({ type: 'NodePort', ports: [nodePort] }),
      slice([{ ip: '10.244.2.9', node: 'node-2' }]),
    ];
    const compiler = compilerOf(objects);
    expect(where(compiler, { ...atNode, port: 30_080 })).toEqual(['10.244.2.9:8080']);
    expect(hostPortReports(compiler).map(({ address, takenBy }) => [address, takenBy])).toEqual([
      ['192.0.2.1', 'default/web'],
      ['2001:db8::1', null],
    ]);
  });

  it('follow the pods that are attached and the addresses of the host', () => {
    const compiler = new ServiceCompiler('node-1');
    const own = clusterOf(objectsFrom([node(1)])).nodes[0];
    const attached = {
      key: 'default/web',
      addresses: [address('10.244.1.2')],
      hostPorts: [port(), port('198.51.100.1', { hostPort: 9090 })],
    };
    const apply = (addresses: string[], pods = [attached]) => [
      ...compiler.apply(noChanges, own, { pods, addresses: addresses.map(address) }),
    ];
    const texts = () => hostPortReports(compiler).map(({ address, port }) => `${address} ${port}`);
    expect(apply([])).toEqual(['pod default/web']);
    expect(texts()).toEqual(['192.0.2.1 8080']);
    expect(apply(['192.0.2.1'])).toEqual([]);
    expect(apply(['192.0.2.1', '198.51.100.1'])).toEqual(['pod default/web']);
    expect(texts()).toEqual(['192.0.2.1 8080', '198.51.100.1 8080', '198.51.100.1 9090']);
    expect(compiler.hasHostPorts).toBe(true);
    expect(apply([], [])).toEqual(['pod default/web']);
    expect(texts()).toEqual([]);
    expect(compiler.hasHostPorts).toBe(false);
    expect(where(compiler, atNode)).toBe('not-a-service');
  });
});
