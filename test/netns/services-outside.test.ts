// Services from outside the cluster, by any node: a host on the underlay knocks, pods answer.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { trafficIn } from '../../src/lab/traffic.ts';
import { type Greeter, greeter } from '../support/greeter.ts';
import { dropsOf, type Lab, labUp } from '../support/lab.ts';
import type { Netns } from '../support/netns.ts';
import { outsideHost, outsideIps } from '../support/outside.ts';
import { program } from '../support/overweft-node.ts';
import { startProber } from '../support/prober.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, run } from '../support/run.ts';
import { service, slice } from '../support/services.ts';

const PATIENCE = { timeout: 20_000, interval: 200 };
/** Of the servers in the pods (test/support/greeter.ts). */
const TARGET = 7007;
const NODE_PORT = 30_007;
const PORT = 80;
const OTHER_PORT = 81;

const client = (address: string, port: number) => `
import socket
try:
  with socket.create_connection(('${address}', ${port}), timeout=2) as s: print(s.recv(64).decode())
except ConnectionRefusedError: print('refused')
except TimeoutError: print('silence')
`;

const datagram = (address: string, port: number, size: number) => `
import socket
s = socket.socket(socket.AF_INET6 if ':' in '${address}' else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
for attempt in range(5):
  s.sendto(bytes(${size}), ('${address}', ${port}))
  try: print(len(s.recv(65535))); break
  except OSError: pass
`;

/** A router's word that an answer of the node's to this client was larger than 1300 bytes: RFC 792, RFC 4443 §3.2. */
const tooBig = (address: string, port: number) => `
import socket, struct
isV6 = ':' in '${address}'
family = socket.AF_INET6 if isV6 else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(2)
s.connect(('${address}', ${port}))
s.send(b'hello'); s.recv(64)
own, sport = s.getsockname()[:2]
ends = socket.inet_pton(family, '${address}') + socket.inet_pton(family, own)
udp = struct.pack('!HHHH', ${port}, sport, 1400, 0)
if isV6:
  quote = struct.pack('!IHBB', 6 << 28, 1400, 17, 60) + ends + udp
  error = struct.pack('!BBHI', 2, 0, 0, 1300) + quote
  raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
else:
  quote = struct.pack('!BBHHHBBH', 0x45, 0, 1420, 0, 0x4000, 60, 17, 0) + ends + udp
  words = struct.unpack('!18H', struct.pack('!BBHHH', 3, 4, 0, 0, 1300) + quote)
  total = sum(words); total = (total & 0xffff) + (total >> 16); total = (total & 0xffff) + (total >> 16)
  error = struct.pack('!BBHHH', 3, 4, total ^ 0xffff, 0, 1300) + quote
  raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(error, ('${address}', 0))
`;

const families = [
  {
    family: 'IPv4',
    type: 'IPv4',
    outside: outsideIps[0],
    nodes: ['192.0.2.1', '192.0.2.2'],
    inPodNetwork: ['10.244.1.1', '10.244.2.1'],
    pods: ['10.244.1.2', '10.244.2.3'],
    neighbour: '10.244.1.4',
    balancer: '203.0.113.10',
    external: '203.0.113.20',
    route: '203.0.113.0/24',
    everybody: '0.0.0.0/0',
    clusterIP: '10.96.0.10',
  },
  {
    family: 'IPv6',
    type: 'IPv6',
    outside: outsideIps[1],
    nodes: ['2001:db8::1', '2001:db8::2'],
    inPodNetwork: ['fd00:244:1::1', 'fd00:244:2::1'],
    pods: ['fd00:244:1::2', 'fd00:244:2::3'],
    neighbour: 'fd00:244:1::4',
    balancer: '2001:db8:113::10',
    external: '2001:db8:113::20',
    route: '2001:db8:113::/64',
    everybody: '::/0',
    clusterIP: 'fd00:96::10',
  },
] as const;

describeWith([root, tun, command('nft')], 'Services from outside', () => {
  let lab: Lab;
  let outside: Netns;
  const greeters: Greeter[] = [];
  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '2');
    outside = await outsideHost();
    for (const netns of ['ow-pod1', 'ow-pod2']) greeters.push(await greeter(netns));
    for (const { route, nodes } of families) await outside.exec('ip', 'route', 'add', route, 'via', nodes[0]);
    // A router asks its neighbours from a link-local address (RFC 4861 §4.3), which the lab's nodes go without.
    for (const [netns, address] of [
      ['ow-node1', 'fe80::101/64'],
      ['ow-outside', 'fe80::200/64'],
    ] as const)
      await must('ip', ['address', 'add', address, 'dev', 'under0', 'nodad'], { netns });
  });
  afterAll(async () => {
    for (const one of greeters) await one[Symbol.asyncDispose]();
    await outside?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const write = (file: string, object: object) =>
    writeFileSync(join(lab.manifests, file), JSON.stringify(object));
  const published = (spec: object, ...balancers: string[]) =>
    write(
      'service.json',
      service(
        {
          type: 'LoadBalancer',
          clusterIP: '10.96.0.10',
          clusterIPs: ['10.96.0.10', 'fd00:96::10'],
          ports: [{ name: 'http', port: PORT, nodePort: NODE_PORT }],
          ...spec,
        },
        {},
        { loadBalancer: { ingress: balancers.map((ip) => ({ ip })) } },
      ),
    );
  /** Endpoints on these nodes, 1 and 2. */
  const endpoints = (...list: readonly ('UDP' | 1 | 2)[]) => {
    const numbers = list.filter((one) => one !== 'UDP');
    const protocol = numbers.length < list.length ? 'UDP' : 'TCP';
    for (const { type, pods } of families)
      write(
        `slice-${type}.json`,
        slice(
          numbers.map((i) => ({ ip: pods[i - 1] ?? '', node: `node-${i}`, pod: `pod-${i}` })),
          { name: `web-${type.toLowerCase()}`, type, ports: [{ name: 'http', port: TARGET, protocol }] },
        ),
      );
  };
  /** What a client sees: the address that the endpoint saw, `refused` or `silence`. */
  const knock = async (netns: string, address: string, port: number) =>
    (await run('/usr/bin/python3', ['-c', client(address, port)], { netns })).stdout.trim();
  const node = (i: 1 | 2) => lab.nodes[i - 1] ?? expect.fail('no node');
  const eventually = (netns: string, address: string, port: number) =>
    expect.poll(() => knock(netns, address, port), PATIENCE);

  describe.each(families)('over $family', (facts) => {
    const { outside: own, nodes, inPodNetwork, balancer, external, pods } = facts;

    it("Services 9: an endpoint on another node sees this node's address, a local one the client's", async () => {
      published({});
      endpoints(2);
      await eventually('ow-outside', nodes[0], NODE_PORT).toBe(inPodNetwork[0]);
      await eventually('ow-outside', nodes[1], NODE_PORT).toBe(own);
    });

    it('Services 4, 9: policy Local keeps the client, and drops where no endpoint is', async () => {
      published({ externalTrafficPolicy: 'Local' });
      endpoints(2);
      await eventually('ow-outside', nodes[0], NODE_PORT).toBe('silence');
      await eventually('ow-outside', nodes[1], NODE_PORT).toBe(own);
      expect(await dropsOf(node(1), 'service-no-local-endpoint')).toBeGreaterThan(0);
    });

    it('Services 3: nobody anywhere: refused at once, by every address', async () => {
      published({ externalIPs: [external] }, balancer);
      endpoints();
      await eventually('ow-outside', nodes[0], NODE_PORT).toBe('refused');
      await eventually('ow-outside', external, PORT).toBe('refused');
      await eventually('ow-outside', balancer, PORT).toBe('refused');
    });

    it("answers at external IPs and load balancers' addresses, and takes nothing else there", async () => {
      published({ externalIPs: [external] }, balancer);
      endpoints(2);
      await eventually('ow-outside', external, PORT).toBe(inPodNetwork[0]);
      await eventually('ow-outside', balancer, PORT).toBe(inPodNetwork[0]);
      expect(await knock('ow-outside', balancer, OTHER_PORT)).not.toMatch(/\d/);
    });

    it('Services 10: loadBalancerSourceRanges keeps strangers from the load balancer alone', async () => {
      const range = (block: string) => published({ loadBalancerSourceRanges: [block] }, balancer);
      endpoints(2);
      range(`${balancer}/${facts.type === 'IPv4' ? 32 : 128}`);
      await eventually('ow-outside', balancer, PORT).toBe('silence');
      expect(await dropsOf(node(1), 'service-source-range')).toBeGreaterThan(0);
      expect(await knock('ow-outside', nodes[0], NODE_PORT)).toBe(inPodNetwork[0]);
      range(facts.route);
      await eventually('ow-outside', balancer, PORT).toBe('silence');
      range(`${own}/${facts.type === 'IPv4' ? 25 : 120}`);
      await eventually('ow-outside', balancer, PORT).toBe(inPodNetwork[0]);
      range(facts.type === 'IPv4' ? '::/0' : '0.0.0.0/0');
      await eventually('ow-outside', balancer, PORT).toBe('silence');
      range(facts.everybody);
      await eventually('ow-outside', balancer, PORT).toBe(inPodNetwork[0]);
    });

    it('carries datagrams in fragments there and back', async () => {
      published({ ports: [{ name: 'http', port: PORT, nodePort: NODE_PORT, protocol: 'UDP' }] });
      for (const i of [1, 2] as const) {
        endpoints('UDP', i);
        await expect
          .poll(
            async () => {
              const program = datagram(nodes[0], NODE_PORT, 4000);
              return (await run('/usr/bin/python3', ['-c', program], { netns: 'ow-outside' })).stdout.trim();
            },
            { ...PATIENCE, timeout: 40_000 },
          )
          .toBe('4000');
      }
    });

    it('carries SCTP to a cluster IP and a node port, with the CRC of the target port', async () => {
      const target = TARGET + 2;
      await using prober = startProber();
      await prober.serve('ow-pod2', [target]);
      const clients = ['ow-pod1', 'ow-node1', 'ow-outside'];
      for (const netns of clients) await prober.serve(netns, []);
      published({ ports: [{ name: 'http', port: PORT, nodePort: NODE_PORT, protocol: 'SCTP' }] });
      write(
        `slice-${facts.type}.json`,
        slice([{ ip: pods[1], node: 'node-2', pod: 'pod-2' }], {
          name: `web-${facts.type.toLowerCase()}`,
          type: facts.type,
          ports: [{ name: 'http', port: target, protocol: 'SCTP' }],
        }),
      );
      const probes = [
        ...clients.flatMap((netns) => nodes.map((address) => ({ netns, address, port: NODE_PORT }))),
        ...clients.slice(0, 2).map((netns) => ({ netns, address: facts.clusterIP, port: PORT })),
      ].map((one) => ({ ...one, protocol: 'SCTP' as const }));
      await expect.poll(() => prober.probe(probes), PATIENCE).toEqual(probes.map(() => 'answered'));
    });

    it('a router outside that cannot carry an answer is heard by the endpoint', async () => {
      published({ ports: [{ name: 'http', port: PORT, nodePort: NODE_PORT, protocol: 'UDP' }] });
      endpoints('UDP', 2);
      await expect
        .poll(async () => {
          await run('/usr/bin/python3', ['-c', tooBig(nodes[0], NODE_PORT)], { netns: 'ow-outside' });
          return await must('ip', ['route', 'get', inPodNetwork[0]], { netns: 'ow-pod2' });
        }, PATIENCE)
        .toContain('mtu 1300');
    });

    it('Services 4: pods reach the load balancer of policy Local without an endpoint on their node', async () => {
      published({ externalTrafficPolicy: 'Local' }, balancer);
      endpoints(2);
      await eventually('ow-pod1', balancer, PORT).toBe(pods[0]);
      await eventually('ow-pod1', nodes[0], NODE_PORT).toBe(pods[0]);
      expect(await knock('ow-pod1', nodes[1], NODE_PORT)).toBe(pods[0]);
      endpoints(1);
      await eventually('ow-pod3', nodes[1], NODE_PORT).toBe(facts.neighbour);
    });

    it("another node's processes are answered, wherever the endpoint is", async () => {
      published({});
      endpoints(1);
      await eventually('ow-node2', nodes[0], NODE_PORT).toBe(nodes[1]);
      endpoints(2);
      await eventually('ow-node2', nodes[0], NODE_PORT).toBe(inPodNetwork[0]);
    });

    it('Services 10: node ports are reachable from the node itself', async () => {
      published({});
      endpoints(2);
      await eventually('ow-node1', nodes[0], NODE_PORT).toBe(nodes[0]);
      await eventually('ow-node1', nodes[1], NODE_PORT).toBe(nodes[0]);
      endpoints(1);
      await eventually('ow-node1', nodes[0], NODE_PORT).toBe(nodes[0]);
      await eventually('ow-node1', nodes[1], NODE_PORT).toBe(inPodNetwork[1]);
    });

    it("Services 9: a pod reaches itself by a node port and a load balancer's address", async () => {
      published({}, balancer);
      endpoints(1);
      await eventually('ow-pod1', nodes[0], NODE_PORT).toBe(inPodNetwork[0]);
      await eventually('ow-pod1', nodes[1], NODE_PORT).toBe(inPodNetwork[0]);
      await eventually('ow-pod1', balancer, PORT).toBe(inPodNetwork[0]);
    });
  });

  it('keeps connections over a kill of the daemon in their way', async () => {
    published({ ports: [{ name: 'http', port: PORT, nodePort: NODE_PORT }] });
    endpoints(2);
    await eventually('ow-outside', '192.0.2.1', NODE_PORT).toBe('10.244.1.1');
    await using server = trafficIn('ow-pod2');
    await server.listen({ port: TARGET + 1, mode: 'sink' });
    for (const { type, pods } of families)
      write(
        `slice-${type}.json`,
        slice([{ ip: pods[1], node: 'node-2', pod: 'pod-2' }], {
          name: `web-${type.toLowerCase()}`,
          type,
          ports: [{ name: 'http', port: TARGET + 1 }],
        }),
      );
    await using sender = trafficIn('ow-outside');
    await expect
      .poll(
        async () =>
          (await sender.connect({ address: '192.0.2.1', port: NODE_PORT, timeoutMs: 1_000 })).connected,
        PATIENCE,
      )
      .toBe(true);
    const transfer = sender.send({ address: '192.0.2.1', port: NODE_PORT, bytes: 64 << 20, hash: true });
    process.kill((await daemonStatus(node(1).socket)).pid, 'SIGKILL');
    await daemonReady(startDaemon(node(1), program));
    expect(await transfer).toMatchObject({ intact: true });
  });

  it('says what it takes from the kernel, and puts it back when it is gone', async () => {
    published({});
    await expect
      .poll(async () => (await daemonStatus(node(1).socket)).outside.divert, PATIENCE)
      .toEqual({ devices: ['lo', 'under0'], frontends: 2, fault: null });
    await must('nft', ['flush', 'ruleset'], { netns: 'ow-node1' });
    endpoints(2);
    await expect
      .poll(() => knock('ow-outside', '192.0.2.1', NODE_PORT), { ...PATIENCE, timeout: 40_000 })
      .toBe('10.244.1.1');
  }, 60_000);
});
