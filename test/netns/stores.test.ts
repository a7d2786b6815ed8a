// Nodes that take the cluster's state from etcd, and lose it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { ping, type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { callPlugin, container } from '../support/cni.ts';
import { type Etcd, etcd } from '../support/etcd.ts';
import { type Lab, labLogs, labUp, restart } from '../support/lab.ts';
import { netns } from '../support/netns.ts';
import { program } from '../support/overweft-node.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must } from '../support/run.ts';
import { joinUnderlay, serverAddress } from '../support/underlay-server.ts';

const denyAll = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny', namespace: 'default' },
  spec: { podSelector: { matchLabels: { app: 'pod-2' } }, policyTypes: ['Ingress'] },
};

describeWith([root, tun, command('go')], 'cluster state in etcd', () => {
  let lab: Lab;
  let server: Etcd;
  let underlay: AsyncDisposable;
  let client: Traffic;
  const pod2 = '10.244.2.3';

  beforeAll(async () => {
    lab = await labUp();
    underlay = await joinUnderlay(lab);
    server = await etcd({ address: serverAddress });
    for (const file of readdirSync(lab.manifests)) {
      const object = parse(readFileSync(`${lab.manifests}/${file}`, 'utf8'));
      const { namespace, name } = object.metadata;
      const plural = `${object.kind.toLowerCase()}s`;
      await server.put(['/overweft', plural, namespace, name].filter(Boolean).join('/'), object);
    }
    for (const node of lab.nodes) {
      await restart(node, (config) => ({ ...config, store: { type: 'etcd', endpoints: [server.endpoint] } }));
    }
    client = trafficIn('ow-pod1');
  }, 1_200_000);
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await underlay?.[Symbol.asyncDispose]();
  });

  const store = async (index: number) => (await daemonStatus(lab.nodes[index]?.socket ?? '')).store;
  const reaches = async () => (await ping('ow-pod1', pod2)) !== null;

  it('lets pods talk', async () => {
    await expect.poll(reaches).toBe(true);
    expect(await store(0), labLogs(lab)).toMatchObject({
      type: 'etcd',
      current: true,
      objects: { Node: 2, Pod: 2, Namespace: 1 },
      faults: [],
    });
  });

  it('applies a policy that comes, and forgets one that goes', async () => {
    await server.put('/overweft/networkpolicies/default/deny', denyAll);
    await expect.poll(reaches).toBe(false);
    await server.remove('/overweft/networkpolicies/default/deny');
    await expect.poll(reaches).toBe(true);
  });

  it('works on what it knows while etcd is away, says so, and follows it again', async () => {
    await using echo = trafficIn('ow-pod2');
    await echo.listen({ port: 5002, mode: 'echo' });
    const { connection } = await client.open({ address: pod2, port: 5002 });
    expect((await client.beat({ connection, timeoutMs: 10_000 })).answered).toBe(true);
    await server.kill();
    for (const index of [0, 1]) await expect.poll(async () => (await store(index)).current).toBe(false);
    expect((await store(0)).lastError?.message).toMatch(/^etcd \/overweft: /);
    expect((await store(0)).objects).toMatchObject({ Pod: 2 });
    expect((await client.beat({ connection, timeoutMs: 10_000 })).answered).toBe(true);
    expect(await answersPing('ow-pod1', pod2)).toBe(true);
    await server.start();
    await server.put('/overweft/networkpolicies/default/deny', denyAll);
    await expect.poll(reaches, { timeout: 60_000 }).toBe(false);
    for (const index of [0, 1]) await expect.poll(async () => (await store(index)).current).toBe(true);
    await server.remove('/overweft/networkpolicies/default/deny');
    await expect.poll(reaches).toBe(true);
  });

  const nodeObject = async (name: string) =>
    JSON.parse((await server.get(`/overweft/nodes/${name}`)) ?? 'null');
  const peer = async (index: number) => (await daemonStatus(lab.nodes[index]?.socket ?? '')).peers[0];

  it('registers every node, and shows its daemon to the others', async () => {
    await expect
      .poll(async () => (await nodeObject('node-2')).metadata.annotations)
      .toEqual({
        'overweft.io/encapsulation': 'geneve',
        'overweft.io/encapsulations': 'geneve,vxlan,ipip',
        'overweft.io/underlay-addresses': '192.0.2.2,2001:db8::2',
        'overweft.io/mtu': '1500',
        'overweft.io/router-mac': expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
        'overweft.io/version': expect.any(String),
      });
    expect((await store(1)).registration).toEqual({ state: 'published', error: null });
    await expect.poll(() => peer(0)).toMatchObject({ registered: true, version: expect.any(String) });
  });

  it('says so again when somebody else has said otherwise', async () => {
    const object = await nodeObject('node-2');
    object.metadata.annotations = { mine: 'kept' };
    await server.put('/overweft/nodes/node-2', object);
    await expect
      .poll(async () => (await nodeObject('node-2')).metadata.annotations)
      .toMatchObject({
        mine: 'kept',
        'overweft.io/underlay-addresses': '192.0.2.2,2001:db8::2',
      });
    await expect.poll(reaches).toBe(true);
  });

  it('agrees on one encapsulation where the nodes would have different ones', async () => {
    const [, second] = lab.nodes;
    if (!second) throw new Error('no second node');
    await restart(second, (config) => ({ ...config, encapsulation: 'vxlan' }));
    const chosen = async (index: number) =>
      (await peer(index))?.tunnels
        .filter(({ preferred }) => preferred)
        .map(({ encapsulation }) => encapsulation);
    for (const index of [0, 1]) {
      await expect.poll(async () => (await peer(index))?.tunnels.length).toBe(4);
      expect(await chosen(index)).toEqual(['geneve']);
    }
    await expect.poll(reaches).toBe(true);
    await expect.poll(async () => (await ping('ow-pod2', '10.244.1.2')) !== null).toBe(true);
  });

  it('follows a node to another address of its underlay', async () => {
    const [, second] = lab.nodes;
    if (!second) throw new Error('no second node');
    await must('ip', ['-n', second.netns, 'address', 'delete', '192.0.2.2/24', 'dev', 'under0']);
    await must('ip', ['-n', second.netns, 'address', 'add', '192.0.2.77/24', 'dev', 'under0']);
    await restart(second, (config) => ({
      ...config,
      underlay: { ...config.underlay, addresses: ['192.0.2.77', '2001:db8::2'] },
    }));
    await expect.poll(async () => (await peer(0))?.tunnels[0]?.remote).toBe('192.0.2.77');
    await expect.poll(reaches).toBe(true);
  });

  it('follows a node to another range of pods', async () => {
    const object = await nodeObject('node-2');
    object.spec.podCIDRs = ['10.244.22.0/24', 'fd00:244:22::/64'];
    await server.put('/overweft/nodes/node-2', object);
    await expect.poll(async () => (await peer(0))?.podCIDRs).toEqual(['10.244.22.0/24', 'fd00:244:22::/64']);
    const node2 = async () => (await ping('ow-node1', '10.244.22.1')) !== null;
    await expect.poll(node2).toBe(true);
  });

  it('shows a daemon that is gone, and keeps the way to its node', async () => {
    const { pid } = await daemonStatus(lab.nodes[1]?.socket ?? '');
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => peer(0)).toMatchObject({ registered: false, tunnels: expect.anything() });
    expect((await peer(0))?.tunnels.length).toBe(4);
  });

  it('takes a node that comes back under the name of one that is gone for what it is now', async () => {
    const [first, second] = lab.nodes;
    if (!first || !second) throw new Error('no two nodes');
    const plugin = { cniVersion: '1.1.0', name: 'overweft', type: 'overweft-cni', socket: second.socket };
    const add = async (id: string): Promise<string> => {
      const { status, stdout, json } = await callPlugin('ADD', plugin, container(id));
      expect(status, stdout).toBe(0);
      return json.ips[0].address.replace(/\/.*/, '');
    };
    const begin = () => daemonReady(startDaemon(second, program));
    await using _old = await netns('ow-pod9');
    await using _new = await netns('ow-pod10');
    await begin();
    const old = await add('ow-pod9');
    expect(old).toMatch(/^10\.244\.22\./);
    await expect.poll(async () => (await ping('ow-pod1', old)) !== null).toBe(true);

    process.kill((await daemonStatus(second.socket)).pid, 'SIGTERM');
    await expect.poll(() => daemonStatus(second.socket).catch(() => 'gone')).toBe('gone');
    await server.remove('/overweft/nodes/node-2');
    await expect.poll(async () => (await daemonStatus(first.socket)).peers).toEqual([]);
    expect(await ping('ow-pod1', old)).toBeNull();

    // Its run directory, and what it has attached, are those of its life before.
    await must('ip', ['-n', second.netns, 'address', 'delete', '192.0.2.77/24', 'dev', 'under0']);
    await must('ip', ['-n', second.netns, 'address', 'add', '192.0.2.78/24', 'dev', 'under0']);
    const addresses = ['192.0.2.78', '2001:db8::2'];
    const podCIDRs = ['10.244.32.0/24', 'fd00:244:32::/64'];
    await server.put('/overweft/nodes/node-2', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-2', uid: 'of-the-second-life' },
      spec: { podCIDRs },
      status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
    });
    const config = parse(readFileSync(second.config, 'utf8'));
    writeFileSync(second.config, stringify({ ...config, underlay: { ...config.underlay, addresses } }));
    await begin();
    await expect
      .poll(async () => (await nodeObject('node-2')).metadata)
      .toMatchObject({
        uid: 'of-the-second-life',
        annotations: { 'overweft.io/underlay-addresses': addresses.join(',') },
      });
    await expect.poll(async () => (await peer(0))?.podCIDRs).toEqual(podCIDRs);
    await expect.poll(async () => (await peer(0))?.tunnels[0]?.remote).toBe(addresses[0]);
    const young = await add('ow-pod10');
    expect(young).toMatch(/^10\.244\.32\./);
    await expect.poll(async () => (await ping('ow-pod1', young)) !== null).toBe(true);
    // Its range is nobody's, and no object says where the pod is; of another pod one does.
    expect(await ping('ow-pod1', old)).toBeNull();
    await expect.poll(reaches).toBe(true);
    expect((await callPlugin('DEL', plugin, container('ow-pod9'))).status).toBe(0);
    expect((await callPlugin('DEL', plugin, container('ow-pod10'))).status).toBe(0);
    const { addresses: pools, ports } = await daemonStatus(second.socket);
    expect(pools.map(({ range, used }) => [range, used])).toEqual(podCIDRs.map((range) => [range, 0]));
    expect(ports.map(({ name }) => name)).not.toContain('default/ow-pod9');
  });
});
