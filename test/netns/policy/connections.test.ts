/**
 * What policy means for connections, fragments, nodes and what changes, by real sockets.
 *
 *     outside ── node-1   pod-1  pod-3      node-2   pod-2  pod-4
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Traffic, trafficIn } from '../../../src/lab/traffic.ts';
import { namespace, pod, policy } from '../../support/cluster.ts';
import { type Lab, labUp } from '../../support/lab.ts';
import { placeOf } from '../../support/lab-pod.ts';
import { netns } from '../../support/netns.ts';
import { type Prober, startProber } from '../../support/prober.ts';
import { command, describeWith, root, tun } from '../../support/requires.ts';
import { must } from '../../support/run.ts';

const target = placeOf(1, 1);
const near = placeOf(3, 1);
const far = placeOf(2, 2);

const app = (name: string) => ({ matchLabels: { app: name } });
const ingress = (rules: readonly object[], podSelector: object = app('pod-1')) =>
  policy('in', { podSelector, policyTypes: ['Ingress'], ingress: rules });
const denyBoth = policy('both', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });

const hosts = (addresses: readonly string[]) =>
  addresses.map((one) => ({ ipBlock: { cidr: `${one}/${one.includes(':') ? 128 : 32}` } }));

describeWith([root, tun], 'policy and connections', () => {
  let lab: Lab;
  let prober: Prober;
  const traffic: Traffic[] = [];

  beforeAll(async () => {
    lab = await labUp('--nodes', '2', '--pods-per-node', '2');
    prober = startProber();
    for (const { netns } of lab.pods) await prober.serve(netns, [80, 81]);
  });
  afterAll(async () => {
    for (const one of traffic) await one[Symbol.asyncDispose]();
    await prober?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });
  afterEach(() => put());

  const put = (...objects: object[]) =>
    writeFileSync(
      `${lab.manifests}/tested.json`,
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
  const agent = (space: string): Traffic => {
    const one = trafficIn(space);
    traffic.push(one);
    return one;
  };
  /** Whether a namespace gets an answer from these addresses, each on its own. */
  const reaches = async (
    from: string,
    addresses: readonly string[],
    port = 80,
    protocol: 'TCP' | 'UDP' = 'TCP',
  ): Promise<boolean[]> => {
    const outcomes = await prober.probe(
      addresses.map((address) => ({ netns: from, address, protocol, port })),
    );
    return outcomes.map((outcome) => outcome === 'answered');
  };
  const yes = [true, true];
  const no = [false, false];
  const within = { timeout: 20_000, interval: 10 };

  it('NetworkPolicy 22: a change cuts an open connection that it forbids, and leaves the other', async () => {
    const server = agent(far.netns);
    const client = agent(target.netns);
    const ports = [8080, 9090];
    for (const port of ports) await server.listen({ port, mode: 'echo' });
    const open = await Promise.all(ports.map((port) => client.open({ address: far.ips[0], port })));
    const answered = async () => {
      const beats = await Promise.all(open.map((one) => client.beat({ ...one, timeoutMs: 300 })));
      return beats.map((beat) => beat.answered);
    };
    expect(await answered()).toEqual([true, true]);
    put(ingress([{ ports: [{ port: 8080 }] }], app('pod-2')));
    await expect.poll(answered, within).toEqual([true, false]);
    expect(await answered()).toEqual([true, false]);
    put();
    // TCP sends again what was lost, so the connection itself has not been reset.
    await expect.poll(answered, { timeout: 15_000 }).toEqual([true, true]);
  });

  it('NetworkPolicy 15: answers pass where the other direction is isolated', async () => {
    put(
      policy('one-way', {
        podSelector: app('pod-1'),
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from: [{ podSelector: app('pod-2') }] }],
      }),
    );
    await expect.poll(() => reaches(near.netns, target.ips), within).toEqual(no);
    for (const protocol of ['TCP', 'UDP'] as const) {
      expect(await reaches(far.netns, target.ips, 80, protocol), protocol).toEqual(yes);
      expect(await reaches(target.netns, far.ips, 80, protocol), protocol).toEqual(no);
    }
  });

  describe.each([
    ['near', near],
    ['far', far],
  ])('NetworkPolicy 24, from %s', (_, sender) => {
    it.each([0, 1] as const)('fragments follow the first of their datagram (family %i)', async (family) => {
      const [allowed, forbidden] = [5000 + family, 6000 + family];
      put(ingress([{ ports: [{ protocol: 'UDP', port: allowed }] }]));
      await expect.poll(() => reaches(sender.netns, target.ips), within).toEqual(no);
      await using receiver = trafficIn(target.netns);
      await using source = trafficIn(sender.netns);
      const [count, address] = [20, target.ips[family]];
      for (const port of [allowed, forbidden]) {
        await receiver.listenUdp({ port });
        await source.sendUdp({ address, port, sizes: [4000, 9000], count, perSecond: 200 });
      }
      await expect
        .poll(() => receiver.receivedUdp({ port: allowed }))
        .toEqual({ received: count, damaged: 0, reordered: 0 });
      expect((await receiver.receivedUdp({ port: forbidden })).received).toBe(0);
    });
  });

  describe('NetworkPolicy 21: in force within five seconds', () => {
    const within = { timeout: 5000, interval: 10 };
    const friendly = { matchLabels: { friend: 'yes' } };
    const withLabels = (labels: Record<string, string>) =>
      pod({ name: 'pod-2', node: far.node, ips: far.ips, labels });
    const originally = withLabels({ app: 'pod-2' });
    afterEach(() => writeFileSync(`${lab.manifests}/pod-2.yaml`, JSON.stringify(originally)));

    it('labels of a pod', async () => {
      put(ingress([{ from: [{ podSelector: friendly }] }]));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(no);
      writeFileSync(
        `${lab.manifests}/pod-2.yaml`,
        JSON.stringify(withLabels({ app: 'pod-2', friend: 'yes' })),
      );
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(yes);
      writeFileSync(`${lab.manifests}/pod-2.yaml`, JSON.stringify(originally));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(no);
    });

    it('labels of a namespace', async () => {
      const file = `${lab.manifests}/namespace-default.yaml`;
      put(ingress([{ from: [{ namespaceSelector: friendly }] }]));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(no);
      writeFileSync(file, JSON.stringify(namespace('default', { friend: 'yes' })));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(yes);
      writeFileSync(file, JSON.stringify(namespace('default')));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(no);
    });

    it('a policy that selects other pods, and its end', async () => {
      put(ingress([]));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(no);
      put(ingress([], app('pod-3')));
      await expect.poll(() => reaches(far.netns, target.ips), within).toEqual(yes);
      expect(await reaches(far.netns, near.ips)).toEqual(no);
      put();
      await expect.poll(() => reaches(far.netns, near.ips), within).toEqual(yes);
    });
  });

  it('NetworkPolicy 16: a node reaches its own pods and they reach it, whatever isolates them', async () => {
    put(denyBoth);
    await expect.poll(() => reaches(near.netns, target.ips), within).toEqual(no);
    await prober.serve('ow-node1', [80]);
    expect(await reaches('ow-node1', target.ips)).toEqual(yes);
    expect(await reaches(target.netns, ['10.244.1.1', 'fd00:244:1::1'])).toEqual(yes);
    expect(await reaches('ow-node2', target.ips), 'another node').toEqual(no);
  });

  it('NetworkPolicy 18: selectors pass over pods on the host network, blocks do not', async () => {
    const host = pod({
      name: 'host',
      node: 'node-2',
      ips: lab.nodes[1]?.ips ?? [],
      labels: { app: 'host' },
      spec: { hostNetwork: true },
    });
    const fromBlocks = ['10.244.2.1/32', '192.0.2.2/32', 'fd00:244:2::1/128', '2001:db8::2/128'].map(
      (cidr) => ({ ipBlock: { cidr } }),
    );
    put(host, ingress([{ from: [{ podSelector: app('host') }] }]));
    await expect.poll(() => reaches(near.netns, target.ips), within).toEqual(no);
    expect(await reaches('ow-node2', target.ips), 'as a peer').toEqual(no);
    put(host, ingress([{ from: fromBlocks }]));
    await expect.poll(() => reaches('ow-node2', target.ips), within).toEqual(yes);
    expect(await reaches(near.netns, target.ips)).toEqual(no);

    put(host, policy('host', { podSelector: app('host'), policyTypes: ['Ingress', 'Egress'] }), ingress([]));
    await expect.poll(() => reaches(near.netns, target.ips), within).toEqual(no);
    await prober.serve('ow-node2', [80]);
    expect(await reaches(near.netns, ['10.244.2.1', 'fd00:244:2::1']), 'as a subject').toEqual(yes);
  });

  describeWith([command('nft')], 'NetworkPolicy 17: what a node forwards for others', () => {
    const address = ['198.51.100.7', '2001:db8:7::7'];

    it('is judged by its source, and not as the node where that is translated to the node', async () => {
      await using outside = await netns('ow-pod9');
      await must('ip', [
        ...['link', 'add', 'eth0', 'netns', outside.name, 'type', 'veth'],
        ...['peer', 'name', 'outside0', 'netns', 'ow-node1'],
      ]);
      const node = (...args: string[]) => must('ip', ['-n', 'ow-node1', ...args]);
      await node('address', 'add', '198.51.100.1/24', 'dev', 'outside0');
      await node('address', 'add', '2001:db8:7::1/64', 'dev', 'outside0', 'nodad');
      await node('link', 'set', 'outside0', 'up');
      await outside.exec('ip', 'address', 'add', `${address[0]}/24`, 'dev', 'eth0');
      await outside.exec('ip', 'address', 'add', `${address[1]}/64`, 'dev', 'eth0', 'nodad');
      await outside.exec('ip', 'link', 'set', 'eth0', 'up');
      await outside.exec('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
      await outside.exec('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:7::1');
      await must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'], {
        netns: 'ow-node1',
      });
      await expect.poll(() => reaches(outside.name, target.ips), within).toEqual(yes);

      put(ingress([]));
      await expect.poll(() => reaches(near.netns, target.ips), within).toEqual(no);
      expect(await reaches('ow-node1', target.ips), 'the node itself').toEqual(yes);
      expect(await reaches(outside.name, target.ips), 'forwarded').toEqual(no);
      put(ingress([{ from: hosts(address) }]));
      await expect.poll(() => reaches(outside.name, target.ips), within).toEqual(yes);

      await must('nft', ['-f', '-'], {
        netns: 'ow-node1',
        input: `table inet lab { chain out { type nat hook postrouting priority 100;
          oifname "ow-forward" ip daddr ${target.ips[0]} snat ip to 10.244.1.1
          oifname "ow-forward" ip6 daddr ${target.ips[1]} snat ip6 to fd00:244:1::1
        }
        }`,
      });
      expect(await reaches(outside.name, target.ips), 'translated').toEqual(no);
      put(ingress([]));
      await expect.poll(() => reaches('ow-node2', target.ips), within).toEqual(no);
      expect(await reaches(outside.name, target.ips), 'translated').toEqual(no);
      expect(await reaches('ow-node1', target.ips), 'the node itself').toEqual(yes);
      put(ingress([{ from: hosts(['10.244.1.1', 'fd00:244:1::1']) }]));
      await expect.poll(() => reaches(outside.name, target.ips), within).toEqual(yes);
    });
  });
});
