// Health-check node ports: what a load balancer is told by each node.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { trafficIn } from '../../src/lab/traffic.ts';
import type { Lab } from '../support/lab.ts';
import type { Netns } from '../support/netns.ts';
import { labAndOutside, type OutsideLab } from '../support/outside.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';
import { type EndpointFields, service, slice } from '../support/services.ts';

const PORT = 32_001;
const PATIENCE = { timeout: 20_000, interval: 200 };

const client = (address: string, port: number) => `
import http.client, json
c = http.client.HTTPConnection('${address}', ${port}, timeout=10); c.request('GET', '/')
r = c.getresponse()
print(json.dumps({'status': r.status, 'headers': dict(r.getheaders()), 'body': json.loads(r.read())}))
`;

describeWith([root, tun], 'health-check node ports', () => {
  let all: OutsideLab;
  let lab: Lab;
  let outside: Netns;
  beforeAll(async () => {
    all = await labAndOutside([]);
    ({ lab, outside } = all);
  });
  afterAll(() => all?.[Symbol.asyncDispose]());

  const write = (file: string, object: object) =>
    writeFileSync(join(lab.manifests, file), JSON.stringify(object));
  const balanced = (spec: object = {}) =>
    write(
      'service.json',
      service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: PORT, ...spec }),
    );
  const endpoints = (...list: EndpointFields[]) => write('slice.json', slice(list));
  const here = { ip: '10.244.1.2', node: 'node-1', pod: 'pod-1' };
  /** What a balancer is told; the error where nobody answers. */
  const ask = async (address: string, port = PORT) => {
    const { status, stdout, stderr } = await run('/usr/bin/python3', ['-c', client(address, port)], {
      netns: outside.name,
    });
    return status === 0 ? JSON.parse(stdout) : stderr.trim().split('\n').at(-1);
  };
  const checks = async () => {
    const [node] = lab.nodes;
    return (await daemonStatus(node?.socket ?? '')).outside.healthChecks;
  };
  const statusAt = async (address: string) => (await ask(address)).status;

  it('Services 5: 200 at a node with a ready endpoint, 503 at one without, over both families', async () => {
    balanced();
    endpoints(here);
    await expect.poll(() => statusAt('192.0.2.1'), PATIENCE).toBe(200);
    expect(await ask('2001:db8::1')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'x-load-balancing-endpoint-weight': '1' },
      body: {
        service: { namespace: 'default', name: 'web' },
        localEndpoints: 1,
        serviceProxyHealthy: true,
      },
    });
    await expect.poll(() => statusAt('192.0.2.2'), PATIENCE).toBe(503);
    expect((await ask('192.0.2.2')).body).toMatchObject({ localEndpoints: 0 });
  });

  it('Services 5: 503 as soon as the only endpoint terminates', async () => {
    endpoints({ ...here, ready: false, serving: true, terminating: true });
    await expect.poll(() => statusAt('192.0.2.1'), PATIENCE).toBe(503);
    endpoints(here);
    await expect.poll(() => statusAt('192.0.2.1'), PATIENCE).toBe(200);
  });

  it('Services 5: another number moves the port, and a port that somebody else has is taken when it is free', async () => {
    const other = PORT + 1;
    {
      await using squatter = trafficIn('ow-node1');
      await squatter.listen({ port: other, mode: 'sink' });
      balanced({ healthCheckNodePort: other });
      await expect
        .poll(checks, PATIENCE)
        .toEqual([
          { service: 'default/web', port: other, fault: expect.stringMatching(/default\/web.*EADDRINUSE/) },
        ]);
      expect(await ask('192.0.2.1')).toMatch(/refused/);
    }
    await expect.poll(async () => (await ask('192.0.2.1', other)).status, PATIENCE).toBe(200);
    expect(await checks()).toEqual([{ service: 'default/web', port: other, fault: null }]);
  });

  it('Services 5: no port without a Service of policy Local', async () => {
    balanced({ externalTrafficPolicy: 'Cluster' });
    await expect.poll(checks, PATIENCE).toEqual([]);
    balanced();
    await expect.poll(() => statusAt('192.0.2.1'), PATIENCE).toBe(200);
    rmSync(join(lab.manifests, 'service.json'));
    await expect.poll(() => ask('192.0.2.1'), PATIENCE).toMatch(/refused/);
  });
});
