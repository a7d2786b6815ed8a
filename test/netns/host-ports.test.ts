// Host ports of a CNI pod on node 1, knocked at by everybody who can: outside, nodes, pods of both nodes, the pod itself.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { trafficIn } from '../../src/lab/traffic.ts';
import { callPlugin, container } from '../support/cni.ts';
import { greeter, seenBy } from '../support/greeter.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { type Netns, netns } from '../support/netns.ts';
import { outsideHost, outsideIps } from '../support/outside.ts';
import { program } from '../support/overweft-node.ts';
import { type Prober, startProber } from '../support/prober.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, run } from '../support/run.ts';

const PATIENCE = { timeout: 60_000, interval: 200 };
const HOST_PORT = 8080;
const TARGET = 80;
/** Of test/support/greeter.ts. */
const GREETER = 7007;
const SECOND_ADDRESS = '203.0.113.9';

const families = [
  { family: 'IPv4', node: '192.0.2.1', inPodNetwork: '10.244.1.1' },
  { family: 'IPv6', node: '2001:db8::1', inPodNetwork: 'fd00:244:1::1' },
] as const;
const protocols = ['TCP', 'UDP', 'SCTP'] as const;

describeWith([root, tun, command('nft')], 'host ports', () => {
  let lab: Lab;
  let outside: Netns;
  let socket: string;
  const made: Netns[] = [];

  beforeAll(async () => {
    lab = await labUp();
    outside = await outsideHost();
    socket = lab.nodes[0]?.socket ?? '';
  }, 240_000);
  afterEach(async () => {
    for (const { name, ...one } of made.splice(0)) {
      await callPlugin('DEL', config(), container(name));
      await one[Symbol.asyncDispose]();
    }
    expect(JSON.parse(readFileSync(`${dirname(socket)}/attachments.json`, 'utf8')).attachments).toEqual([]);
    expect((await daemonStatus(socket)).hostPorts).toEqual([]);
  });
  afterAll(async () => {
    await outside?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const config = (...portMappings: object[]) => ({
    cniVersion: '1.1.0',
    name: 'net',
    type: 'overweft-cni',
    socket,
    ...(portMappings.length > 0 && { runtimeConfig: { portMappings } }),
  });
  const node = (i: 1 | 2) => lab.nodes[i - 1] ?? expect.fail('no node');
  /** Makes a namespace, and asks for it. */
  const add = async (name: string, ...portMappings: object[]) => {
    made.push(await netns(name));
    return callPlugin('ADD', config(...portMappings), container(name));
  };
  const attach = async (name: string, ...portMappings: object[]) => {
    const { status, json } = await add(name, ...portMappings);
    if (status !== 0) throw new Error(JSON.stringify(json));
    return json;
  };
  const kill = async (): Promise<void> => {
    process.kill((await daemonStatus(socket)).pid, 'SIGKILL');
    await daemonReady(startDaemon(node(1), program));
  };

  describe('of every protocol', () => {
    let prober: Prober;
    const clients = ['ow-outside', 'ow-node1', 'ow-node2', 'ow-pod1', 'ow-pod2', 'owhp-a'];
    const outcomes = async () =>
      (
        await prober.probe(
          clients.flatMap((netns) =>
            families.flatMap(({ node: address }) =>
              protocols.map((protocol) => ({ netns, address, protocol, port: HOST_PORT })),
            ),
          ),
        )
      ).map(
        (outcome, i) =>
          `${clients[Math.floor(i / 6)]} ${families[Math.floor(i / 3) % 2]?.family} ${protocols[i % 3]} ${outcome}`,
      );
    const all = (outcome: string) =>
      clients.flatMap((client) =>
        families.flatMap(({ family }) =>
          protocols.map((protocol) => `${client} ${family} ${protocol} ${outcome}`),
        ),
      );

    it('CNI 10: lead everybody to the pod, in both families, over a kill, and go with DEL', async () => {
      prober = startProber();
      await using _ = prober;
      const mappings = protocols.map((protocol) => ({
        hostPort: HOST_PORT,
        containerPort: TARGET,
        protocol: protocol.toLowerCase(),
      }));
      await attach('owhp-a', ...mappings);
      for (const client of clients) await prober.serve(client, client === 'owhp-a' ? [TARGET] : []);
      await expect.poll(outcomes, PATIENCE).toEqual(all('answered'));
      await kill();
      await expect.poll(outcomes, PATIENCE).toEqual(all('answered'));
      await callPlugin('DEL', config(), container('owhp-a'));
      await expect
        .poll(async () => (await outcomes()).filter((line) => line.endsWith(' answered')), PATIENCE)
        .toEqual([]);
    }, 300_000);
  });

  it.each(families)(
    'Services 9: the pod sees its clients, and the node where it is its own, over $family',
    async ({ family, node: address, inPodNetwork }) => {
      const i = family === 'IPv4' ? 0 : 1;
      await attach('owhp-a', { hostPort: HOST_PORT, containerPort: GREETER });
      await using _ = await greeter('owhp-a');
      const ipOf = (pod: number) => lab.pods[pod]?.ips[i];
      for (const [client, seen] of [
        ['ow-outside', outsideIps[i]],
        ['ow-node1', address],
        ['ow-node2', family === 'IPv4' ? '192.0.2.2' : '2001:db8::2'],
        ['ow-pod1', ipOf(0)],
        ['ow-pod2', ipOf(1)],
        ['owhp-a', inPodNetwork],
      ] as const)
        await expect
          .poll(() => seenBy(client, address, HOST_PORT), { ...PATIENCE, message: client })
          .toBe(seen);
    },
    240_000,
  );

  it('large datagrams reach the pod in fragments, through a tunnel and from outside', async () => {
    await attach('owhp-a', { hostPort: HOST_PORT, containerPort: GREETER, protocol: 'udp' });
    await using _ = await greeter('owhp-a');
    // The first may only find out what the path carries.
    const echo = (address: string) => `
import socket
s = socket.socket(socket.AF_INET6 if ':' in '${address}' else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
for attempt in range(5):
  s.sendto(bytes(4000), ('${address}', ${HOST_PORT}))
  try: print(len(s.recv(65535))); break
  except OSError: pass
`;
    for (const client of ['ow-pod2', 'ow-outside'])
      for (const { node: address } of families)
        await expect
          .poll(
            async () =>
              (await run('/usr/bin/python3', ['-c', echo(address)], { netns: client })).stdout.trim(),
            { ...PATIENCE, message: `${client} to ${address}` },
          )
          .toBe('4000');
  }, 300_000);

  it('a connection through the tunnel goes on over a kill of the daemon', async () => {
    await attach('owhp-a', { hostPort: HOST_PORT, containerPort: TARGET });
    await using server = trafficIn('owhp-a');
    await server.listen({ port: TARGET, mode: 'sink' });
    for (const client of ['ow-pod2', 'ow-outside']) {
      await using sender = trafficIn(client);
      const to = { address: '192.0.2.1', port: HOST_PORT };
      await expect
        .poll(async () => (await sender.connect({ ...to, timeoutMs: 1_000 })).connected, PATIENCE)
        .toBe(true);
      const transfer = sender.send({ ...to, bytes: 64 << 20, hash: true });
      await kill();
      expect(await transfer).toMatchObject({ intact: true });
    }
  }, 300_000);

  it('goes before what the host listens on, which has its port again when the pod is gone', async () => {
    await using _ = await greeter('ow-node1');
    await attach('owhp-a', { hostPort: GREETER, containerPort: GREETER });
    await using server = await greeter('owhp-a');
    const asker = lab.pods[1]?.ips[0];
    await expect.poll(() => seenBy('ow-outside', '192.0.2.1', GREETER), PATIENCE).toBe(outsideIps[0]);
    await server[Symbol.asyncDispose]();
    // Nobody listens in the pod: not even the node's own server answers.
    expect(await seenBy('ow-outside', '192.0.2.1', GREETER)).toBeNull();
    expect(await seenBy('ow-pod2', '192.0.2.1', GREETER)).toBeNull();
    await callPlugin('DEL', config(), container('owhp-a'));
    await expect.poll(() => seenBy('ow-outside', '192.0.2.1', GREETER), PATIENCE).toBe(outsideIps[0]);
    await expect.poll(() => seenBy('ow-pod2', '192.0.2.1', GREETER), PATIENCE).toBe(asker);
  }, 240_000);

  it('answers at an address that the host gets later, and at no other that hostIP does not name', async () => {
    await must('ip', ['address', 'add', `${SECOND_ADDRESS}/32`, 'dev', 'lo'], { netns: 'ow-node1' });
    await outside.exec('ip', 'route', 'replace', `${SECOND_ADDRESS}/32`, 'via', '192.0.2.1');
    await attach('owhp-a', { hostPort: HOST_PORT, containerPort: GREETER, hostIP: SECOND_ADDRESS });
    await using _ = await greeter('owhp-a');
    await expect.poll(() => seenBy('ow-outside', SECOND_ADDRESS, HOST_PORT), PATIENCE).toBe(outsideIps[0]);
    expect(await seenBy('ow-outside', '192.0.2.1', HOST_PORT)).toBeNull();
    await must('ip', ['address', 'del', `${SECOND_ADDRESS}/32`, 'dev', 'lo'], { netns: 'ow-node1' });
    await expect.poll(async () => (await daemonStatus(socket)).hostPorts, PATIENCE).toEqual([]);
  }, 240_000);

  it('CNI 6: CHECK finds them, or misses them by name', async () => {
    const mapping = { hostPort: HOST_PORT, containerPort: TARGET };
    const prevResult = await attach('owhp-a', mapping);
    const check = (...portMappings: object[]) =>
      callPlugin('CHECK', { ...config(...portMappings), prevResult }, container('owhp-a'));
    expect(await check(mapping)).toMatchObject({ status: 0 });
    expect((await check({ ...mapping, containerPort: 81 })).json).toMatchObject({
      code: 104,
      msg: expect.stringContaining('runtimeConfig.portMappings'),
    });
    await must('nft', ['delete', 'table', 'netdev', 'overweft'], { netns: 'ow-node1' });
    expect((await check(mapping)).json).toMatchObject({
      code: 104,
      msg: expect.stringContaining('netdev overweft'),
    });
    await expect.poll(async () => (await check(mapping)).status, PATIENCE).toBe(0);
  }, 240_000);

  it('CNI 4: a host port that another pod has is refused by name, until that one is gone', async () => {
    const mapping = { hostPort: HOST_PORT, containerPort: TARGET };
    await attach('owhp-a', mapping);
    const refused = await add('owhp-b', { ...mapping, hostIP: '192.0.2.1' });
    expect(refused).toMatchObject({
      status: 1,
      json: {
        code: 105,
        msg: 'runtimeConfig.portMappings: host port TCP 192.0.2.1:8080 is taken by pod default/owhp-a',
      },
    });
    await callPlugin('DEL', config(), container('owhp-a'));
    expect(await callPlugin('ADD', config(mapping), container('owhp-b'))).toMatchObject({ status: 0 });
    expect((await daemonStatus(socket)).hostPorts.map(({ pod, address }) => `${pod} ${address}`)).toEqual([
      'default/owhp-b 192.0.2.1',
      'default/owhp-b 2001:db8::1',
    ]);
  }, 120_000);

  it('lead to the pod from a peer that needs no tunnel', async () => {
    for (const { name } of lab.nodes) {
      const file = `${lab.manifests}/${name}.yaml`;
      const object = parse(readFileSync(file, 'utf8'));
      object.metadata.annotations = { 'overweft.io/direct': 'subnet' };
      writeFileSync(file, stringify(object));
    }
    for (const one of lab.nodes) await restart(one, (own) => ({ ...own, direct: 'subnet' }));
    await expect
      .poll(async () => {
        const { peers } = await daemonStatus(node(2).socket);
        return peers[0]?.tunnels.find(({ preferred }) => preferred)?.encapsulation;
      }, PATIENCE)
      .toBe('direct');
    await attach('owhp-a', { hostPort: HOST_PORT, containerPort: GREETER });
    await using _ = await greeter('owhp-a');
    for (const [i, { node: address }] of families.entries())
      for (const [client, seen] of [
        ['ow-pod2', lab.pods[1]?.ips[i]],
        ['ow-node2', ['192.0.2.2', '2001:db8::2'][i]],
      ] as const)
        await expect
          .poll(() => seenBy(client, address, HOST_PORT), { ...PATIENCE, message: client })
          .toBe(seen);
  }, 300_000);

  it.each([
    [{ hostPort: 0, containerPort: 80 }, 7, '[0].hostPort: must be an integer from 1 to 65535, not 0'],
    [
      { hostPort: 65536, containerPort: 80 },
      7,
      '[0].hostPort: must be an integer from 1 to 65535, not 65536',
    ],
    [{ hostPort: 8080, containerPort: 80, protocol: 'dccp' }, 7, '[0].protocol: must be tcp, udp or sctp'],
    [{ hostPort: 8080, containerPort: 80, hostIP: 'x' }, 7, '[0].hostIP: must be an IPv4 or IPv6 address'],
    [{ hostPort: 8080, containerPort: 80, hostIP: '127.0.0.1' }, 2, '[0].hostIP: 127.0.0.1: '],
  ])('CNI 2: %j is code %i', async (mapping, code, message) => {
    const { json } = await add('owhp-a', mapping);
    expect(json).toMatchObject({
      code,
      msg: expect.stringContaining(`runtimeConfig.portMappings${message}`),
    });
  });
});
