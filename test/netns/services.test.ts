// Real clients and the Services of a lab: pods of both nodes and the nodes themselves.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { dropsOf, type Lab, labLogs, labUp } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { type EndpointFields, service, slice } from '../support/services.ts';

const families = [4, 6] as const;
const VIP = { 4: '10.96.0.10', 6: 'fd00:96::a' } as const;
const types = { 4: 'IPv4', 6: 'IPv6' } as const;
const PORT = 80;
const TARGET = 8080;
const patience = { timeout: 20_000, interval: 100 };

describeWith([root, tun], 'Services', () => {
  let lab: Lab;
  const traffic = new Map<string, Traffic>();

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
    for (const pod of lab.pods) traffic.set(pod.name, trafficIn(pod.netns));
    for (const node of lab.nodes) traffic.set(node.name, trafficIn(node.netns));
    for (const pod of lab.pods) await at(pod.name).listen({ port: TARGET, mode: 'echo' });
  });
  afterAll(async () => {
    for (const agent of traffic.values()) await agent[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });
  const file = () => `${lab.manifests}/services.json`;
  afterEach(() => rmSync(file(), { force: true }));

  const at = (name: string): Traffic => traffic.get(name) ?? expect.fail(`nobody is at ${name}`);
  const addressOf = (name: string, family: 4 | 6): string =>
    lab.pods.find((pod) => pod.name === name)?.ips.find((ip) => ip.includes(':') === (family === 6)) ??
    expect.fail(`${name} has no address`);

  const endpoint = (name: string, family: 4 | 6): EndpointFields => ({
    ip: addressOf(name, family),
    node: lab.pods.find((pod) => pod.name === name)?.node ?? '',
    ready: true,
    pod: name,
  });

  /** Puts objects in, and waits until they are live on all nodes. */
  async function put(...items: object[]): Promise<void> {
    const epochs = () => Promise.all(lab.nodes.map(async ({ socket }) => (await daemonStatus(socket)).epoch));
    const before = await epochs();
    writeFileSync(file(), JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
    await expect
      .poll(async () => (await epochs()).every((epoch, i) => epoch > (before[i] ?? 0)), patience)
      .toBe(true);
  }

  const web = (family: 4 | 6, pods: readonly string[], spec: object = {}) => [
    service({ clusterIP: VIP[family], clusterIPs: [VIP[family]], ...spec }),
    slice(
      pods.map((name) => endpoint(name, family)),
      { type: types[family] },
    ),
  ];

  const knock = (from: string, family: 4 | 6, port = PORT) =>
    at(from).connect({ address: VIP[family], port, timeoutMs: 10_000 });

  it.each(families)(
    'Services 10: a cluster IP leads pods and nodes to endpoints of either node, IPv%i',
    async (family) => {
      for (const backend of ['pod-1', 'pod-2']) {
        await put(...web(family, [backend]));
        for (const client of ['pod-3', 'pod-4', 'node-1', 'node-2']) {
          const { connected, error } = await knock(client, family);
          expect({ client, backend, connected, error }, labLogs(lab)).toMatchObject({ connected: true });
        }
      }
    },
    60_000,
  );

  it.each(families)(
    'a pod reaches itself through its Service, IPv%i',
    async (family) => {
      await put(...web(family, ['pod-1']));
      expect(await knock('pod-1', family)).toMatchObject({ connected: true });
    },
    30_000,
  );

  it.each(families)(
    'Services 3: without any endpoint a client is refused at once, IPv%i',
    async (family) => {
      await put(...web(family, []));
      for (const client of ['pod-1', 'node-1'])
        expect({ client, ...(await knock(client, family)) }).toMatchObject({ error: 'ECONNREFUSED' });
      await put(...web(family, ['pod-2']));
      expect(await knock('pod-1', family, 81)).toMatchObject({ error: 'ECONNREFUSED' });
    },
    60_000,
  );

  it('Services 3: the policy Local without a local endpoint drops', async () => {
    await put(...web(4, ['pod-2'], { internalTrafficPolicy: 'Local' }));
    const node = lab.nodes[0] ?? expect.fail('no node');
    const before = await dropsOf(node, 'service-no-local-endpoint');
    expect(await at('pod-1').connect({ address: VIP[4], port: PORT, timeoutMs: 1_500 })).toMatchObject({
      error: 'timeout',
    });
    expect(await dropsOf(node, 'service-no-local-endpoint')).toBeGreaterThan(before);
  }, 30_000);

  it.each(families)(
    'Services 10: pods and nodes reach processes of nodes through a cluster IP, IPv%i',
    async (family) => {
      for (const node of lab.nodes) {
        await at(node.name).listen({ port: 7000 + family, mode: 'echo' });
        const ip = node.ips.find((one) => one.includes(':') === (family === 6)) ?? expect.fail('no address');
        await put(
          service({ clusterIP: VIP[family], clusterIPs: [VIP[family]] }),
          slice([{ ip, node: node.name, ready: true }], {
            type: types[family],
            ports: [{ name: 'http', port: 7000 + family }],
          }),
        );
        for (const client of ['pod-1', 'pod-2', 'node-1', 'node-2'])
          expect({ client, to: node.name, ...(await knock(client, family)) }, labLogs(lab)).toMatchObject({
            connected: true,
          });
      }
    },
    60_000,
  );

  it('a bulk transfer through a cluster IP arrives intact', async () => {
    await at('pod-2').listen({ port: 9090, mode: 'sink' });
    for (const family of families) {
      await put(
        service({
          clusterIP: VIP[family],
          clusterIPs: [VIP[family]],
          ports: [{ name: 'bulk', port: PORT, targetPort: 9090 }],
        }),
        slice([endpoint('pod-2', family)], { type: types[family], ports: [{ name: 'bulk', port: 9090 }] }),
      );
      for (const client of ['pod-1', 'pod-4', 'node-1']) {
        const sent = await at(client).send({ address: VIP[family], port: PORT, bytes: 8 << 20, hash: true });
        expect({ client, family, ...sent }).toMatchObject({ bytes: 8 << 20, intact: true });
      }
    }
  }, 60_000);
});
