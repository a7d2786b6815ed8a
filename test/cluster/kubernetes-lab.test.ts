// Nodes that take the cluster's state from a real API server, each with the rights of deploy/rbac.yaml, and lose it.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { ping, type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { type Json, type Kubernetes, kubernetes } from '../support/kubernetes.ts';
import { type Lab, labLogs, labUp, restart } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { joinUnderlay, serverAddress } from '../support/underlay-server.ts';

const policies = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const deny = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny' },
  spec: { podSelector: { matchLabels: { app: 'pod-2' } }, policyTypes: ['Ingress'] },
};

describeWith([root, tun, command('go')], 'cluster state of an API server', () => {
  let lab: Lab;
  let underlay: AsyncDisposable;
  let cluster: Kubernetes;
  let client: Traffic;
  const pod2 = '10.244.2.3';

  beforeAll(async () => {
    lab = await labUp();
    underlay = await joinUnderlay(lab);
    cluster = await kubernetes(serverAddress);
    const objects: Json[] = readdirSync(lab.manifests).map((file) =>
      parse(readFileSync(`${lab.manifests}/${file}`, 'utf8')),
    );
    for (const { spec, status, ...object } of objects) {
      const { name, namespace } = object.metadata;
      if (object.kind === 'Namespace') continue;
      const collection = object.kind === 'Node' ? '/api/v1/nodes' : `/api/v1/namespaces/${namespace}/pods`;
      const containers = object.kind === 'Pod' ? { containers: [{ name: 'c', image: 'i' }] } : {};
      await cluster.ask('POST', collection, { ...object, spec: { ...spec, ...containers } });
      await cluster.ask('PATCH', `${collection}/${name}/status`, { status }, 'application/merge-patch+json');
    }
    for (const node of lab.nodes) {
      const token = await cluster.grant(node.name);
      const kubeconfig = cluster.kubeconfigOf(node.name, { token });
      await restart(node, (config) => ({ ...config, store: { type: 'kubernetes', kubeconfig } }));
    }
    client = trafficIn('ow-pod1');
  }, 1_800_000);
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await underlay?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const status = (index: number) => daemonStatus(lab.nodes[index]?.socket ?? '');
  const reaches = async () => (await ping('ow-pod1', pod2)) !== null;

  it('lets pods talk', async () => {
    await expect.poll(reaches).toBe(true);
    expect((await status(0)).store, labLogs(lab)).toMatchObject({
      type: 'kubernetes',
      source: cluster.server,
      current: true,
      faults: [],
      objects: { Node: 2 },
    });
  });

  it('registers every node', async () => {
    for (const [index, { name, ips }] of lab.nodes.entries()) {
      const annotations = async () =>
        (await cluster.ask('GET', `/api/v1/nodes/${name}`)).metadata.annotations;
      await expect.poll(annotations, { timeout: 60_000 }).toMatchObject({
        'overweft.io/underlay-addresses': ips.join(','),
        'overweft.io/encapsulation': 'geneve',
        'overweft.io/mtu': '1500',
      });
      await expect
        .poll(async () => (await status(index)).store.registration.state, { timeout: 60_000 })
        .toBe('published');
    }
  });

  it('applies a policy that comes, and forgets one that goes', async () => {
    await cluster.ask('POST', policies, deny);
    await expect.poll(reaches).toBe(false);
    await cluster.ask('DELETE', `${policies}/deny`);
    await expect.poll(reaches).toBe(true);
  });

  it('works on what it knows while the API server is away, says so, and follows it again', async () => {
    await using echo = trafficIn('ow-pod2');
    await echo.listen({ port: 5002, mode: 'echo' });
    const { connection } = await client.open({ address: pod2, port: 5002 });
    const beats = async () => (await client.beat({ connection, timeoutMs: 10_000 })).answered;
    expect(await beats()).toBe(true);
    await cluster.kill();
    for (const index of [0, 1])
      await expect.poll(async () => (await status(index)).store.current).toBe(false);
    expect((await status(0)).store.lastError).not.toBeNull();
    expect(await beats()).toBe(true);
    expect(await answersPing('ow-pod1', pod2)).toBe(true);
    await cluster.start();
    await cluster.ask('POST', policies, deny);
    await expect.poll(reaches, { timeout: 90_000 }).toBe(false);
    for (const index of [0, 1])
      await expect.poll(async () => (await status(index)).store.current, { timeout: 90_000 }).toBe(true);
    await cluster.ask('DELETE', `${policies}/deny`);
    await expect.poll(reaches).toBe(true);
  });
});
