// Real clients and the Services of a lab: pods of both nodes and the nodes themselves.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { carriedUdp } from '../support/carried.ts';
import { dropsOf, type Lab, labLogs, labUp } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { type EndpointFields, service, slice } from '../support/services.ts';

const families = [4, 6] as const;
type Family = (typeof families)[number];
const types = { 4: 'IPv4', 6: 'IPv6' } as const;
const PORT = 80;
const TARGET = 8080;
const patience = { timeout: 30_000, interval: 100 };

describeWith([root, tun], 'Services', () => {
  let lab: Lab;
  const traffic = new Map<string, Traffic>();
  let made = 9;

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
    for (const { name, netns } of [...lab.pods, ...lab.nodes]) traffic.set(name, trafficIn(netns));
    for (const pod of lab.pods) await at(pod.name).listen({ port: TARGET, mode: 'echo' });
  }, 60_000);
  afterAll(async () => {
    for (const agent of traffic.values()) await agent[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });
  const file = () => `${lab.manifests}/services.json`;
  afterEach(() => rmSync(file(), { force: true }));

  const at = (name: string): Traffic => traffic.get(name) ?? expect.fail(`nobody is at ${name}`);
  const ipOf = (ips: readonly string[], family: Family): string =>
    ips.find((ip) => ip.includes(':') === (family === 6)) ?? expect.fail('no address of the family');

  const endpoint = (name: string, family: Family): EndpointFields => {
    const pod = lab.pods.find((one) => one.name === name) ?? expect.fail(`there is no ${name}`);
    return { ip: ipOf(pod.ips, family), node: pod.node, ready: true, pod: name };
  };

  /** Puts a Service in place of the one before. @returns its cluster IP, which no other has had */
  function put(
    family: Family,
    endpoints: readonly EndpointFields[],
    { ports, spec = {} }: { ports?: readonly Record<string, unknown>[]; spec?: object } = {},
  ): string {
    made++;
    const clusterIP = family === 4 ? `10.96.0.${made}` : `fd00:96::${made.toString(16)}`;
    const items = [
      service({
        clusterIP,
        clusterIPs: [clusterIP],
        ...(ports && { ports: ports.map(({ target, ...port }) => ({ ...port, targetPort: target })) }),
        ...spec,
      }),
      slice(endpoints, {
        type: types[family],
        ...(ports && { ports: ports.map(({ target, ...port }) => ({ ...port, port: target })) }),
      }),
    ];
    writeFileSync(file(), JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
    return clusterIP;
  }

  /** What a client meets, once the Service is known there. */
  const meets = (client: string, address: string, wanted: object, port = PORT) =>
    expect
      .poll(
        async () => ({ client, ...(await at(client).connect({ address, port, timeoutMs: 2000 })) }),
        patience,
      )
      .toMatchObject({ client, ...wanted });

  it.each(families)(
    'Services 10: a cluster IP leads pods and nodes to endpoints of either node, IPv%i',
    async (family) => {
      for (const backend of ['pod-1', 'pod-2']) {
        const address = put(family, [endpoint(backend, family)]);
        for (const client of ['pod-3', 'pod-4', 'node-1', 'node-2'])
          await meets(client, address, { connected: true });
      }
    },
    120_000,
  );

  it.each(families)(
    'Services 9: a pod reaches itself through its Service, IPv%i',
    async (family) => {
      await meets('pod-1', put(family, [endpoint('pod-1', family)]), { connected: true });
    },
    60_000,
  );

  it.each(families)(
    'Services 3: without any endpoint, and at another port, a client is refused at once, IPv%i',
    async (family) => {
      const refused = { error: 'ECONNREFUSED' };
      const nobody = put(family, []);
      for (const client of ['pod-1', 'node-1']) await meets(client, nobody, refused);
      await meets('pod-1', put(family, [endpoint('pod-2', family)]), refused, 81);
    },
    120_000,
  );

  it('Services 3: the policy Local without a local endpoint drops', async () => {
    const node = lab.nodes[0] ?? expect.fail('no node');
    const address = put(4, [endpoint('pod-2', 4)], { spec: { internalTrafficPolicy: 'Local' } });
    await expect
      .poll(async () => {
        const { error } = await at('pod-1').connect({ address, port: PORT, timeoutMs: 1000 });
        return { error, isDropped: (await dropsOf(node, 'service-no-local-endpoint')) > 0 };
      }, patience)
      .toEqual({ error: 'timeout', isDropped: true });
  }, 60_000);

  it.each(families)(
    'Services 10: pods and nodes reach processes of nodes through a cluster IP, IPv%i',
    async (family) => {
      for (const { name, ips } of lab.nodes) {
        await at(name).listen({ port: 7000 + family, mode: 'echo' });
        const address = put(family, [{ ip: ipOf(ips, family), node: name, ready: true }], {
          ports: [{ name: 'http', port: PORT, target: 7000 + family }],
        });
        for (const client of ['pod-1', 'pod-2', 'node-1', 'node-2'])
          await meets(client, address, { connected: true });
      }
    },
    120_000,
  );

  it('datagrams of all sizes arrive through a cluster IP, fragments among them', async () => {
    const ports = [
      { name: 'http', port: PORT, target: TARGET },
      ...[6001, 6002, 6003, 6004].map((port) => ({ name: `p${port}`, port, target: port, protocol: 'UDP' })),
    ];
    for (const family of families) {
      const address = put(family, [endpoint('pod-2', family)], { ports });
      await meets('pod-1', address, { connected: true });
      for (const sizes of [
        [4, 600, 1400],
        [5000, 30_000],
      ]) {
        const carried = await carriedUdp(at('pod-1'), at('pod-2'), { address, sizes, count: 120 });
        expect(carried, labLogs(lab)).toEqual({ received: 120, damaged: 0, reordered: 0 });
      }
    }
  }, 120_000);

  it('a bulk transfer through a cluster IP arrives intact', async () => {
    await at('pod-2').listen({ port: 9090, mode: 'sink' });
    for (const family of families) {
      const address = put(family, [endpoint('pod-2', family)], {
        ports: [
          { name: 'http', port: PORT, target: TARGET },
          { name: 'bulk', port: 90, target: 9090 },
        ],
      });
      for (const client of ['pod-1', 'pod-4', 'node-1']) {
        await meets(client, address, { connected: true });
        const sent = await at(client).send({ address, port: 90, bytes: 8 << 20, hash: true });
        expect({ client, family, ...sent }).toMatchObject({ bytes: 8 << 20, intact: true });
      }
    }
  }, 120_000);
});
