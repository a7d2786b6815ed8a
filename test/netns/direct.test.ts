/**
 * Two nodes on one subnet, which need no encapsulation between them, and a third behind a router.
 *
 *     node-1 ─┬─ bridge ─ router ─── node-3        192.0.2.0/24 │ 198.51.100.0/24
 *     node-2 ─┘                                  2001:db8::/64  │ 2001:db8:1::/64
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { joinUnderlay } from '../../src/lab/network.ts';
import { ping, trafficIn } from '../../src/lab/traffic.ts';
import { dropsOf, type Lab, labLogs, labUp, restart } from '../support/lab.ts';
import { type Netns, netns } from '../support/netns.ts';
import { outsideHost } from '../support/outside.ts';
import { program } from '../support/overweft-node.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, overweft, run } from '../support/run.ts';

describeWith([root, tun, command('nft')], 'direct routing', () => {
  let lab: Lab;
  let router: Netns;
  const within = { timeout: 90_000, interval: 500 };
  const test = { timeout: 400_000 };

  beforeAll(async () => {
    lab = await labUp('--nodes', '3');
    router = await netns('ow-router');
    await joinUnderlay(
      [{ name: 'router', netns: router.name, ips: ['192.0.2.254', '2001:db8::254'] }],
      'default',
    );
    await behindRouter();
    for (const { name } of lab.nodes) describeNode(name, { 'overweft.io/direct': 'subnet' });
    for (const node of lab.nodes)
      await restart(node, (config) => ({
        ...config,
        direct: 'subnet',
        // A pause of a busy machine must not look like silence.
        liveness: { interval: 1, timeout: 10 },
        // They share the device's frames by flow.
        workers: node.name === 'node-1' ? 2 : 1,
        ...(node.name === 'node-3' && {
          underlay: { ...config.underlay, addresses: ['198.51.100.3', '2001:db8:1::3'] },
        }),
      }));
    await lookFrom('ow-node2');
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    await router?.[Symbol.asyncDispose]();
  });

  async function behindRouter(): Promise<void> {
    await must('ip', ['-n', 'ow-node3', 'link', 'del', 'under0']);
    await must('ip', [
      ...['link', 'add', 'far0', 'netns', router.name, 'type', 'veth'],
      ...['peer', 'name', 'under0', 'netns', 'ow-node3'],
    ]);
    const lines = (name: string, ...all: string[]) =>
      must('ip', ['-n', name, '-batch', '-'], { input: all.join('\n') });
    await lines(
      router.name,
      'link set far0 up',
      'address add 198.51.100.254/24 dev far0',
      'address add 2001:db8:1::254/64 dev far0 nodad',
    );
    await router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    await lines(
      'ow-node3',
      'link set under0 up',
      'address add 198.51.100.3/24 dev under0',
      'address add 2001:db8:1::3/64 dev under0 nodad',
      'route add default via 198.51.100.254',
      'route add default via 2001:db8:1::254',
    );
    for (const name of ['ow-node1', 'ow-node2'])
      await lines(
        name,
        'route add 198.51.100.0/24 via 192.0.2.254',
        'route add 2001:db8:1::/64 via 2001:db8::254',
      );
  }

  /** Rewrites a Node object as the store has it. */
  function describeNode(name: string, annotations: object): void {
    const file = `${lab.manifests}/${name}.yaml`;
    const node = parse(readFileSync(file, 'utf8'));
    node.metadata.annotations = annotations;
    if (name === 'node-3')
      node.status.addresses = ['198.51.100.3', '2001:db8:1::3'].map((address) => ({
        type: 'InternalIP',
        address,
      }));
    writeFileSync(file, stringify(node));
  }

  /** Counts what arrives at a node's device before anybody takes it. */
  const lookFrom = (name: string) =>
    must('nft', ['-f', '-'], {
      netns: name,
      input: `table netdev look {
        counter plain {}
        counter tunnelled {}
        chain arriving { type filter hook ingress device "under0" priority -300;
          ip saddr 10.244.1.0/24 counter name plain
          ip6 saddr fd00:244:1::/64 counter name plain
          ip saddr 192.0.2.1 udp dport 6081 counter name tunnelled
        }
      }
      table inet look {
        counter forwarded {}
        chain forward { type filter hook forward priority -300;
          ip daddr 10.244.2.0/24 counter name forwarded
          ip6 daddr fd00:244:2::/64 counter name forwarded
        }
      }`,
    });
  async function seen(name: 'plain' | 'tunnelled' | 'forwarded'): Promise<number> {
    const family = name === 'forwarded' ? 'inet' : 'netdev';
    const text = await must('nft', ['list', 'counter', family, 'look', name], { netns: 'ow-node2' });
    return Number(/packets (\d+)/.exec(text)?.[1]);
  }

  const nodeOf = (number: number) => lab.nodes[number - 1] ?? expect.fail('no node');
  const peersOf = async (number: number) =>
    new Map((await daemonStatus(nodeOf(number).socket)).peers.map((peer) => [peer.name, peer]));
  const ways = async (number: number) =>
    Object.fromEntries(
      [...(await peersOf(number))].map(([name, { tunnels }]) => [
        name,
        tunnels.find(({ preferred }) => preferred)?.encapsulation,
      ]),
    );
  const reach = (from: string, ...to: string[]) => Promise.all(to.map((address) => ping(from, address)));
  const pod2 = ['10.244.2.3', 'fd00:244:2::3'] as const;
  const pod3 = ['10.244.3.4', 'fd00:244:3::4'] as const;
  const isDirect = () =>
    expect
      .poll(async () => [await ways(1), await ways(2)], within)
      .toEqual([
        { 'node-2': 'direct', 'node-3': 'geneve' },
        { 'node-1': 'direct', 'node-3': 'geneve' },
      ]);

  it('sends plain packets between nodes of one subnet, and to the third through a tunnel', test, async () => {
    await isDirect();
    expect(await ways(3)).toEqual({ 'node-1': 'geneve', 'node-2': 'geneve' });
    await expect.poll(() => reach('ow-pod1', ...pod2, ...pod3), within).not.toContain(null);
    const tunnelled = await seen('tunnelled');
    const plain = await seen('plain');
    await using stack = new AsyncDisposableStack();
    const agents = lab.pods.map((pod) => stack.use(trafficIn(pod.netns)));
    await Promise.all(agents.map((agent) => agent.listen({ port: 5001, mode: 'sink' })));
    const bytes = 8 << 20;
    const transfers = await Promise.all(
      agents.flatMap((agent, from) =>
        lab.pods
          .filter((_, to) => to !== from)
          .flatMap(({ ips }) => ips.map((address) => agent.send({ address, port: 5001, bytes, hash: true }))),
      ),
    );
    for (const transfer of transfers) expect(transfer).toMatchObject({ bytes, intact: true });
    expect(await seen('plain')).toBeGreaterThan(plain);
    expect(await seen('tunnelled')).toBe(tunnelled);
    const { tunnels = [] } = (await peersOf(1)).get('node-2') ?? {};
    expect(tunnels.map(({ encapsulation, mtu }) => ({ encapsulation, mtu }))[0]).toEqual({
      encapsulation: 'direct',
      mtu: 1500,
    });
    expect((await overweft(['status', '--socket', nodeOf(1).socket])).stdout).toMatch(
      /direct +peers on the subnets of under0, without encapsulation.*direct\/ipv4 +192\.0\.2\.2 +1500/s,
    );
    const injection = async (name: string) =>
      (await peersOf(1)).get(name)?.tunnels.find(({ preferred }) => preferred)?.injection.reason;
    await expect.poll(() => injection('node-2'), within).toBe('superframes leave whole without it');
    await expect.poll(() => injection('node-3'), within).not.toBe('not probed yet');
    expect((await peersOf(1)).get('node-3')?.indirect).toEqual({
      reason: 'it is on no subnet of under0',
      isFault: false,
    });
  });

  it('reaches a node from pods, and pods from a node', test, async () => {
    await isDirect();
    await expect
      .poll(() => reach('ow-pod1', '192.0.2.2', '2001:db8::2', '10.244.2.1', 'fd00:244:2::1'), within)
      .not.toContain(null);
    await expect.poll(() => reach('ow-node1', ...pod2), within).not.toContain(null);
    const fromUnderlay = ['-n', '-c', '1', '-W', '1', '-I', '192.0.2.1', pod2[0]];
    await expect
      .poll(async () => (await run('ping', fromUnderlay, { netns: 'ow-node1' })).status, within)
      .toBe(0);
  });

  it('judges what comes from a peer by policy, never as the node’s own', test, async () => {
    await isDirect();
    await expect.poll(() => reach('ow-pod1', ...pod2), within).not.toContain(null);
    const file = `${lab.manifests}/policy.yaml`;
    writeFileSync(
      file,
      stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'only-pod-3', namespace: 'default' },
        spec: {
          podSelector: { matchLabels: { app: 'pod-2' } },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: { matchLabels: { app: 'pod-3' } } }] }],
        },
      }),
    );
    const before = await dropsOf(nodeOf(2), 'policy-ingress');
    await expect.poll(() => reach('ow-pod1', ...pod2), within).toEqual([null, null]);
    await expect.poll(() => reach('ow-node1', ...pod2), within).toEqual([null, null]);
    await expect.poll(() => reach('ow-pod3', ...pod2), within).not.toContain(null);
    expect(await dropsOf(nodeOf(2), 'policy-ingress')).toBeGreaterThan(before);
    rmSync(file);
    await expect.poll(() => reach('ow-pod1', ...pod2), within).not.toContain(null);
  });

  it('drops by name what claims to come from a pod that is elsewhere', test, async () => {
    await isDirect();
    await must('sysctl', ['-qw', 'net.ipv4.ip_forward=1'], { netns: 'ow-node2' });
    await using stranger = await outsideHost();
    await stranger.exec('ip', 'address', 'add', '10.244.1.2/32', 'dev', 'lo');
    await stranger.exec('ip', 'route', 'add', '10.244.2.0/24', 'via', '192.0.2.2');
    const pings = ['-n', '-c', '1', '-W', '1', '-I'];
    const unknown = await dropsOf(nodeOf(2), 'unknown-peer');
    const forwarded = await seen('forwarded');
    await expect
      .poll(async () => {
        expect(
          (await run('ping', [...pings, '10.244.1.2', pod2[0]], { netns: stranger.name })).status,
        ).not.toBe(0);
        return dropsOf(nodeOf(2), 'unknown-peer');
      }, within)
      .toBeGreaterThan(unknown);
    expect(await seen('forwarded')).toBe(forwarded);

    // A peer that speaks for a pod of another one.
    const spoofed = await dropsOf(nodeOf(2), 'inner-source-spoofed');
    const ip = (...args: string[]) => must('ip', ['-n', 'ow-node1', ...args]);
    await ip('address', 'add', '10.244.3.4/32', 'dev', 'lo');
    await ip('rule', 'add', 'pref', '100', 'to', '10.244.2.0/24', 'lookup', '100');
    await ip('route', 'add', '10.244.2.0/24', 'via', '192.0.2.2', 'table', '100');
    await expect
      .poll(async () => {
        await run('ping', [...pings, '10.244.3.4', pod2[0]], { netns: 'ow-node1' });
        return dropsOf(nodeOf(2), 'inner-source-spoofed');
      }, within)
      .toBeGreaterThan(spoofed);
    await ip('rule', 'del', 'pref', '100');
    await ip('address', 'del', '10.244.3.4/32', 'dev', 'lo');
    expect(await seen('forwarded')).toBe(forwarded);
  });

  it('falls back to a tunnel where plain packets do not arrive, says so, and comes back', test, async () => {
    await isDirect();
    await must('nft', ['-f', '-'], {
      netns: 'ow-underlay',
      input: `table bridge lab { chain between { type filter hook forward priority 0;
        ip saddr 10.244.1.0/24 ip daddr 10.244.2.0/24 drop
        ip6 saddr fd00:244:1::/64 ip6 daddr fd00:244:2::/64 drop
      }
      }`,
    });
    const fallback = async () => (await peersOf(1)).get('node-2')?.fallback;
    await expect.poll(fallback, within).toMatchObject({
      tunnel: 'geneve/ipv4',
      instead: 'direct/ipv4',
      reason: 'nothing that is sent by direct/ipv4 arrives',
    });
    await expect.poll(() => reach('ow-pod1', ...pod2), within).not.toContain(null);
    await must('nft', ['delete', 'table', 'bridge', 'lab'], { netns: 'ow-underlay' });
    await expect.poll(fallback, within).toBeNull();
    await isDirect();
  });

  it(
    'loses nothing to the kernel while a daemon is dead, and goes on with its connections',
    test,
    async () => {
      await isDirect();
      await must('sysctl', ['-qw', 'net.ipv4.ip_forward=1'], { netns: 'ow-node2' });
      await using from = trafficIn('ow-pod1');
      await using to = trafficIn('ow-pod2');
      await to.listen({ port: 5003, mode: 'echo' });
      const { connection } = await from.open({ address: pod2[0], port: 5003 });
      expect(await from.beat({ connection, timeoutMs: 20_000 })).toMatchObject({ answered: true });
      const forwarded = await seen('forwarded');
      process.kill((await daemonStatus(nodeOf(2).socket)).pid, 'SIGKILL');
      const plain = await seen('plain');
      await expect
        .poll(async () => {
          expect(await ping('ow-pod1', pod2[0])).toBeNull();
          return seen('plain');
        }, within)
        .toBeGreaterThan(plain);
      expect(await seen('forwarded')).toBe(forwarded);
      await daemonReady(startDaemon(nodeOf(2), program));
      expect(await from.beat({ connection, timeoutMs: 60_000 }), labLogs(lab)).toMatchObject({
        answered: true,
      });
      await isDirect();
    },
  );

  it('uses tunnels to a node that does not want it', test, async () => {
    await isDirect();
    describeNode('node-2', {});
    await restart(nodeOf(2), ({ direct: _, ...config }: { direct?: string; underlay: object }) => config);
    await expect
      .poll(async () => [await ways(1), await ways(2)], within)
      .toEqual([
        { 'node-2': 'geneve', 'node-3': 'geneve' },
        { 'node-1': 'geneve', 'node-3': 'geneve' },
      ]);
    await expect.poll(() => reach('ow-pod1', ...pod2), within).not.toContain(null);
    describeNode('node-2', { 'overweft.io/direct': 'subnet' });
    await restart(nodeOf(2), (config) => ({ ...config, direct: 'subnet' }));
    await isDirect();
    await expect.poll(() => reach('ow-pod1', ...pod2), within).not.toContain(null);
  });

  it('gives pods the whole MTU once nobody needs a tunnel', test, async () => {
    await isDirect();
    for (const name of ['node-3', 'pod-3']) rmSync(`${lab.manifests}/${name}.yaml`);
    const mtu = async () =>
      (await must('ip', ['-n', 'ow-pod1', 'link', 'show', 'eth0'])).match(/mtu (\d+)/)?.[1];
    await expect.poll(mtu, within).toBe('1500');
    const whole = ['-n', '-c', '1', '-W', '1', '-M', 'do', '-s', '1472', pod2[0]];
    await expect.poll(async () => (await run('ping', whole, { netns: 'ow-pod1' })).status, within).toBe(0);
  });
});
