// The resolver of real nodes, asked by dig from pods and from a node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callDaemon } from '../../src/daemon/client.ts';
import { queryBytes } from '../support/dns.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';

/** What dig prints with +short, in order; its exit status where that is not 0. */
async function dig(netns: string, ...args: string[]): Promise<readonly string[] | number> {
  const { status, stdout } = await run('ip', ['netns', 'exec', netns, 'dig', '+time=5', '+tries=2', ...args]);
  return status === 0
    ? stdout
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith(';'))
        .sort()
    : (status ?? -1);
}

/** A name server of the tests' own in a namespace. */
async function upstreamIn(netns: string, host: string, port: number): Promise<AsyncDisposable> {
  const program = fileURLToPath(new URL('../support/dns-upstream-program.ts', import.meta.url));
  const child = spawn('ip', ['netns', 'exec', netns, process.execPath, program, host, `${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const LOCAL4 = '@169.254.20.10';
const LOCAL6 = '@fd00:169:254:20::10';
const KUBE_DNS = '10.96.0.10';

const service = (name: string, namespace: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec,
});
const web = service('web', 'default', {
  clusterIPs: ['10.96.0.80', 'fd00:96::80'],
  ports: [{ name: 'http', port: 80 }],
});
const kubeDns = (clusterIP: string) =>
  service('kube-dns', 'kube-system', { clusterIP, ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] });
const many = [
  service('many', 'default', { clusterIP: 'None' }),
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'many-1', labels: { 'kubernetes.io/service-name': 'many' } },
    addressType: 'IPv4',
    endpoints: Array.from({ length: 200 }, (_, i) => ({ addresses: [`10.244.9.${i}`] })),
    ports: [],
  },
];
const denied = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'denied', namespace: 'default' },
  spec: { podSelector: {}, policyTypes: ['Egress', 'Ingress'] },
};

describeWith([root, tun, command('dig')], 'the resolver of a node', () => {
  let lab: Lab;
  const write = (name: string, ...items: object[]) =>
    writeFileSync(
      join(lab.manifests, `${name}.json`),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    );

  beforeAll(async () => {
    lab = await labUp();
    write('services', web, kubeDns(KUBE_DNS), ...many);
    await vi.waitFor(
      async () =>
        expect(await dig('ow-pod1', LOCAL4, '+short', 'web.default.svc.cluster.local')).toEqual([
          '10.96.0.80',
        ]),
      { timeout: 20_000 },
    );
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it.each([LOCAL4, LOCAL6])('answers pods at %s, over UDP and TCP', async (server) => {
    for (const netns of ['ow-pod1', 'ow-pod2']) {
      for (const transport of ['+notcp', '+tcp']) {
        expect(
          await dig(netns, server, transport, '+short', 'web.default.svc.cluster.local', 'AAAA'),
        ).toEqual(['fd00:96::80']);
      }
    }
  });

  it('answers at the cluster IP of kube-dns, and follows it to another', async () => {
    const askAt = (ip: string) =>
      dig('ow-pod1', `@${ip}`, '+short', '+tries=1', '+time=1', 'web.default.svc.cluster.local');
    await expect.poll(() => askAt(KUBE_DNS)).toEqual(['10.96.0.80']);
    write('services', web, kubeDns('10.96.0.53'), ...many);
    await expect.poll(() => askAt('10.96.0.53')).toEqual(['10.96.0.80']);
    await expect.poll(() => askAt(KUBE_DNS)).toBe(9);
  });

  it('answers its own node', async () => {
    expect(await dig('ow-node1', LOCAL4, '+short', 'web.default.svc.cluster.local')).toEqual(['10.96.0.80']);
    expect(await dig('ow-node1', LOCAL6, '+short', '-x', '10.96.0.80')).toEqual([
      'web.default.svc.cluster.local.',
    ]);
  });

  it('tells of two hundred endpoints over TCP, to which UDP leads', async () => {
    expect(await dig('ow-pod1', LOCAL4, '+short', 'many.default.svc.cluster.local')).toHaveLength(200);
    const cut = await run('ip', [
      'netns',
      'exec',
      'ow-pod1',
      'dig',
      LOCAL4,
      '+ignore',
      'many.default.svc.cluster.local',
    ]);
    expect(cut.stdout).toMatch(/flags: qr aa tc rd ra;/);
  });

  it('NetworkPolicy 16: is the own node, which no policy keeps a pod from', async () => {
    write('policies', denied);
    const ping = () =>
      run('ip', ['netns', 'exec', 'ow-pod1', 'ping', '-c1', '-W1', lab.pods[1]?.ips[0] ?? '']);
    await expect.poll(async () => (await ping()).status).not.toBe(0);
    expect(await dig('ow-pod1', LOCAL4, '+short', 'web.default.svc.cluster.local')).toEqual(['10.96.0.80']);
    expect(await dig('ow-pod1', LOCAL6, '+tcp', '+short', 'web.default.svc.cluster.local')).toEqual([
      '10.96.0.80',
    ]);
  });

  it('asks upstreams for other names, past one that is silent, and remembers', async () => {
    const [first] = lab.nodes;
    if (!first) throw new Error('the lab has no node');
    const upstreams = ['192.0.2.99', '192.0.2.2:5301', '[2001:db8::2]:5301'];
    await restart(first, (config) => ({ ...config, dns: { upstreams } }));
    const other = (name: string) => dig('ow-pod1', LOCAL4, '+short', name);
    const status = async (name: string) =>
      (await run('ip', ['netns', 'exec', 'ow-pod1', 'dig', LOCAL4, '+time=10', name])).stdout.match(
        /status: (\w+)/,
      )?.[1];
    {
      await using _server = await upstreamIn('ow-node2', '192.0.2.2', 5301);
      await expect.poll(() => other('www.example.com')).toEqual(['198.51.100.7']);
      // Two thousand bytes and more, which the upstream has over TCP only.
      expect(await other('large.example.com')).toHaveLength(150);
    }
    expect(await other('www.example.com')).toEqual(['198.51.100.7']);
    expect(await status('more.example.com')).toBe('SERVFAIL');
    expect(await status('web.default.svc.cluster.local')).toBe('NOERROR');
    await using _server = await upstreamIn('ow-node2', '2001:db8::2', 5301);
    await expect.poll(() => other('more.example.com')).toEqual(['198.51.100.7']);
  });

  it('survives a query from port 0, to which nothing can be sent', async () => {
    const send = [
      'import socket, struct',
      's = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)',
      `query = bytes.fromhex('${queryBytes({ name: 'web.default.svc.cluster.local' }).toString('hex')}')`,
      "s.sendto(struct.pack('!HHHH', 0, 53, 8 + len(query), 0) + query, ('169.254.20.10', 0))",
    ].join('\n');
    const { status } = await run('ip', ['netns', 'exec', 'ow-node2', '/usr/bin/python3', '-c', send]);
    expect(status).toBe(0);
    expect(await dig('ow-node2', LOCAL4, '+short', 'web.default.svc.cluster.local')).toEqual(['10.96.0.80']);
  });

  it('counts what it answers', async () => {
    const { body } = await callDaemon(lab.nodes[0]?.socket ?? '', 'GET', '/metrics');
    expect(body).toMatch(
      /overweft_dns_queries_total\{zone="cluster",type="A",rcode="NOERROR",transport="udp"\} [1-9]/,
    );
  });
});
