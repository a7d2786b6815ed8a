// Load balancers' addresses on the local network: one node speaks for each, and another when it dies.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { trafficIn } from '../../src/lab/traffic.ts';
import { type Greeter, greeter, seenBy } from '../support/greeter.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import type { Netns } from '../support/netns.ts';
import { outsideHost, outsideIps } from '../support/outside.ts';
import { program } from '../support/overweft-node.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';
import { service, slice } from '../support/services.ts';

const PATIENCE = { timeout: 40_000, interval: 300 };
/** Of the servers in the pods (test/support/greeter.ts). */
const TARGET = 7007;
const PORT = 80;
const addresses = ['192.0.2.100', '2001:db8::100'] as const;

/** Sends on a connection, a byte at a time, until somebody ends it. */
const talker = (address: string) => `
import socket, time
s = socket.create_connection(('${address}', ${PORT}), timeout=5)
print('connected', flush=True)
end = time.time() + 60
while time.time() < end:
  try: s.send(b'x')
  except OSError as e: print(type(e).__name__); break
  time.sleep(0.2)
`;

describeWith([root, tun, command('nft')], 'announced addresses', () => {
  let lab: Lab;
  let outside: Netns;
  const greeters: Greeter[] = [];
  beforeAll(async () => {
    lab = await labUp('--nodes', '2');
    outside = await outsideHost();
    for (const netns of ['ow-pod1', 'ow-pod2']) greeters.push(await greeter(netns));
    for (const node of lab.nodes)
      await restart(node, (config) => ({
        ...config,
        loadBalancer: { pools: ['192.0.2.96/28', '2001:db8::100/120'] },
        liveness: { interval: 1, timeout: 3 },
      }));
  });
  afterAll(async () => {
    for (const one of greeters) await one[Symbol.asyncDispose]();
    await outside?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const write = (file: string, object: object) =>
    writeFileSync(join(lab.manifests, file), JSON.stringify(object));
  const published = (spec: object = {}) =>
    write(
      'service.json',
      service(
        { type: 'LoadBalancer', clusterIPs: ['10.96.0.10', 'fd00:96::10'], ...spec },
        {},
        { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
      ),
    );
  const endpoints = (i: 1 | 2, port = TARGET) => {
    for (const [type, ip] of [
      ['IPv4', `10.244.${i}.${i + 1}`],
      ['IPv6', `fd00:244:${i}::${i + 1}`],
    ] as const)
      write(
        `slice-${type}.json`,
        slice([{ ip, node: `node-${i}`, pod: `pod-${i}` }], {
          name: `web-${type.toLowerCase()}`,
          type,
          ports: [{ name: 'http', port }],
        }),
      );
  };
  const node = (i: number) => lab.nodes[i - 1] ?? expect.fail('no node');
  const speaker = async (i: number, address: string) =>
    (await daemonStatus(node(i).socket)).outside.announced.addresses.find((one) => one.address === address)
      ?.node;
  /** The MAC that the outside world finds behind an address. */
  const found = async (address: string) => {
    await seenBy(outside.name, address, PORT);
    const [entry] = JSON.parse(await outside.exec('ip', '-json', 'neigh', 'show', address));
    return entry?.lladdr;
  };
  const macOf = async (i: number) => {
    const { stdout } = await run('ip', ['-json', 'link', 'show', 'under0'], { netns: node(i).netns });
    return JSON.parse(stdout)[0].address;
  };

  it.each(addresses)('%s is spoken for by the node that all nodes name', async (address) => {
    published();
    endpoints(1);
    // Just restarted, a node may take the other for dead.
    const whom = async () => [...new Set([await speaker(1, address), await speaker(2, address)])].join();
    await expect.poll(whom, PATIENCE).toMatch(/^node-[12]$/);
    await expect.poll(() => seenBy(outside.name, address, PORT), PATIENCE).not.toBeNull();
    await expect
      .poll(
        async () => (await found(address)) === (await macOf((await whom()) === 'node-1' ? 1 : 2)),
        PATIENCE,
      )
      .toBe(true);
    expect((await daemonStatus(node(1).socket)).outside.announced.fault).toBeNull();
  });

  it.each(addresses)('Services 10: nothing else answers at %s', async (address) => {
    const { status } = await run('ping', ['-n', '-c', '1', '-W', '1', address], { netns: outside.name });
    expect(status).not.toBe(0);
  });

  it('policy Local: only a node with an endpoint speaks, and clients keep their addresses', async () => {
    published({ externalTrafficPolicy: 'Local' });
    for (const i of [2, 1] as const) {
      endpoints(i);
      for (const [k, address] of addresses.entries()) {
        await expect.poll(() => speaker(1, address), PATIENCE).toBe(`node-${i}`);
        await expect.poll(() => seenBy(outside.name, address, PORT), PATIENCE).toBe(outsideIps[k]);
        await expect.poll(() => found(address), PATIENCE).toBe(await macOf(i));
      }
    }
  });

  it.each(addresses)(
    'leaves a node that is excluded: what went by it is reset, what is new goes on: %s',
    async (address) => {
      await using server = trafficIn('ow-pod1');
      await server.listen({ port: TARGET + 1, mode: 'sink' });
      published();
      endpoints(1, TARGET + 1);
      await using client = trafficIn(outside.name);
      const connected = async () =>
        (await client.connect({ address, port: PORT, timeoutMs: 1_000 })).connected;
      await expect.poll(connected, PATIENCE).toBe(true);
      const first = (await speaker(1, address)) ?? expect.fail('nobody speaks');
      const talking = spawn('ip', ['netns', 'exec', outside.name, '/usr/bin/python3', '-c', talker(address)]);
      let heard = '';
      talking.stdout.on('data', (chunk) => {
        heard += chunk;
      });
      const ended = once(talking, 'close');
      await expect.poll(() => heard, PATIENCE).toBe('connected\n');
      const file = join(lab.manifests, `${first}.yaml`);
      const before = readFileSync(file, 'utf8');
      const { metadata, ...rest } = parse(before);
      const labels = { ...metadata.labels, 'node.kubernetes.io/exclude-from-external-load-balancers': '' };
      writeFileSync(file, stringify({ ...rest, metadata: { ...metadata, labels } }));
      try {
        await expect.poll(() => speaker(1, address), PATIENCE).not.toBe(first);
        await ended;
        expect(heard).toBe('connected\nConnectionResetError\n');
        await expect.poll(connected, PATIENCE).toBe(true);
      } finally {
        writeFileSync(file, before);
      }
    },
    120_000,
  );

  it('another node speaks within seconds when one dies, and after its daemon is back the first again', async () => {
    published();
    endpoints(1);
    for (const address of addresses)
      await expect.poll(() => seenBy(outside.name, address, PORT), PATIENCE).not.toBeNull();
    const before = await Promise.all(addresses.map((address) => speaker(1, address)));
    // Node 1 has the only endpoint, so that node 2 must die.
    process.kill((await daemonStatus(node(2).socket)).pid, 'SIGKILL');
    for (const address of addresses) {
      await expect.poll(() => speaker(1, address), PATIENCE).toBe('node-1');
      await expect.poll(() => seenBy(outside.name, address, PORT), PATIENCE).not.toBeNull();
      await expect.poll(() => found(address), PATIENCE).toBe(await macOf(1));
    }
    await daemonReady(startDaemon(node(2), program));
    for (const [k, address] of addresses.entries())
      await expect.poll(() => speaker(1, address), PATIENCE).toBe(before[k]);
  });

  it("an address that no Service has any more is nobody's", async () => {
    rmSync(join(lab.manifests, 'service.json'));
    for (const i of [1, 2]) {
      await expect
        .poll(async () => (await run('ip', ['address', 'show'], { netns: node(i).netns })).stdout, PATIENCE)
        .not.toMatch(/192\.0\.2\.100|2001:db8::100/);
    }
  });
});
