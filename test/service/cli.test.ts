// `overweft service` as a user runs it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { node, pod } from '../support/cluster.ts';
import { overweft } from '../support/run.ts';
import { service, slice } from '../support/services.ts';

const DRAINING = { ready: false, serving: true, terminating: true };

const items = [
  node(1, { 'topology.kubernetes.io/zone': 'a' }),
  node(2),
  pod({ name: 'client', ips: ['10.244.1.9', 'fd00:244:1::9'] }),
  pod({ name: 'web-0', ips: ['10.244.1.1'] }),
  service(
    {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ports: [{ name: 'http', port: 80, nodePort: 30080 }],
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32000,
      loadBalancerSourceRanges: ['198.51.100.0/24'],
    },
    {},
    { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } },
  ),
  slice([
    { ip: '10.244.1.1', node: 'node-1', pod: 'web-0' },
    { ip: '10.244.1.2', node: 'node-1', ...DRAINING },
    { ip: '10.244.2.1', node: 'node-2' },
  ]),
  service({ clusterIP: 'None', clusterIPs: null }, { name: 'headless' }),
];

describe('overweft service', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'overweft-service-'));
    writeFileSync(join(folder, 'all.json'), JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (command: string, ...args: string[]) =>
    overweft(['service', command, '--manifests', folder, ...args]);
  const why = (from: string, to: string, port: string, ...more: string[]) =>
    run('why', '--from', from, '--to', to, '--protocol', 'TCP', '--port', port, ...more);

  it('list: tells of addresses, endpoints and why some are left out', async () => {
    const { status, stdout, stderr } = await run('list', '--node', 'node-1');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatchInlineSnapshot(`
      "default/headless  headless: DNS names its endpoints
      default/web
        health check  port 32000 answers 200: 1 ready here
        http TCP IPv4
          cluster IP     10.96.0.10:80
          node port      192.0.2.1:30080
          load balancer  203.0.113.5:80
          externalTrafficPolicy  Local
          sources        198.51.100.0/24
          Cluster:
            10.244.1.1:8080  node-1  default/web-0  50.0 %
            10.244.2.1:8080  node-2  50.0 %
            10.244.1.2:8080  node-1  left out: terminating, and others are ready
          Local:
            10.244.1.1:8080  node-1  default/web-0  100.0 %
            10.244.1.2:8080  node-1  left out: terminating, and others are ready
            10.244.2.1:8080  node-2  left out: on another node, and the policy is Local
        http TCP IPv6
          cluster IP     [fd00:96::10]:80
          node port      [2001:db8::1]:30080
          externalTrafficPolicy  Local
          sources        198.51.100.0/24
          Cluster: no endpoint
          Local: no endpoint
      "
    `);
  });

  it('list --json: one object a Service', async () => {
    const { stdout } = await run('list', '--node', 'node-2', '--json');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ service: key }) => key)).toEqual(['default/headless', 'default/web']);
    expect(lines[0]).toMatchObject({ passed: 'headless', ports: [] });
    expect(lines[1]).toMatchObject({
      node: 'node-2',
      healthCheck: { port: 32000, status: 200, body: { localEndpoints: 1 } },
      ports: [
        { family: 'IPv4', Local: { backends: [{ address: '10.244.2.1', share: 1 }] } },
        { family: 'IPv6' },
      ],
    });
  });

  it('why: goes with the client to an endpoint', async () => {
    const { status, stdout } = await why('default/client', 'default/web', '80', '--from-port', '40000');
    expect(status).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "forward  default/client → default/web, TCP 80, at node-1
        service   default/web, port http: cluster IP 10.96.0.10:80
        policy    Cluster, by internalTrafficPolicy
        10.244.1.1:8080  node-1  default/web-0  50.0 %
      → 10.244.2.1:8080  node-2  50.0 %
        10.244.1.2:8080  node-1  left out: terminating, and others are ready
      "
    `);
  });

  it('why: asks the node whose address it is', async () => {
    const { stdout } = await why('198.51.100.7', '192.0.2.2', '30080', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'forward',
      node: 'node-2',
      policy: 'Local',
      governedBy: 'externalTrafficPolicy',
      backend: { address: '10.244.2.1', port: 8080, node: 'node-2' },
      backends: [{ sourceChange: null, share: 1 }],
    });
  });

  it('why: names who is shut out, and why', async () => {
    const { stdout } = await why('192.0.2.77', '203.0.113.5', '80', '--node', 'node-1');
    expect(stdout).toMatchInlineSnapshot(`
      "drop  192.0.2.77 → 203.0.113.5, TCP 80, at node-1
        service   default/web, port http: load balancer 203.0.113.5:80
        policy    Local, by externalTrafficPolicy
        reason    the client is in none of the Service's loadBalancerSourceRanges (source-range)
      "
    `);
  });

  it('why: takes the address of the family that is asked for', async () => {
    const { stdout } = await why('default/client', 'fd00:96::10', '80', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'reject',
      reason: 'no-endpoint',
      port: { family: 'IPv6' },
    });
  });

  it.each([
    [
      ['default/client', 'default/headless', '80'],
      '--to: Service default/headless has no address: headless: DNS names its endpoints',
    ],
    [['default/client', 'default/none', '80'], '--to: there is no Service default/none'],
    [['default/nobody', 'default/web', '80'], '--from: there is no pod default/nobody'],
    [['default/web-0', 'fd00:96::10', '80'], '--from: default/web-0 has no IPv6 address'],
    [['default/client', 'default/web', 'http'], '--port: must be an integer from 1 to 65535'],
    [
      ['198.51.100.7', '203.0.113.5', '80'],
      '--node is missing: which node decides? the manifests have node-1, node-2',
    ],
    [['default/client', 'default/web', '80', '--node', 'x'], '--node: there is no Node x'],
  ] as const)('why: refuses %j', async ([from, to, port, ...more], message) => {
    const { status, stdout, stderr } = await why(from, to, port, ...more);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`overweft: ${message}`);
  });
});
