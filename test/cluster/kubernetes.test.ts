// Kubernetes on two nodes that Overweft joins: workloads, Services, policies, and what befalls nodes and daemons.
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { describeWith, go, root, tun } from '../support/requires.ts';
import { allAnswers, answersOf, translated, unanswered } from './support/answers.ts';
import { type Cluster, type KubernetesObject, startCluster } from './support/cluster.ts';
import { traces } from './support/traces.ts';
import { until } from './support/until.ts';
import { daemonSet, deployment, podTemplate } from './support/workloads.ts';

interface Pod {
  readonly name: string;
  readonly node: string;
  /** IPv4 first. */
  readonly ips: readonly string[];
}

describeWith([root, tun, go], 'Kubernetes', () => {
  let cluster: Cluster;
  /** By node, before there was any pod. */
  let untouched: readonly object[];

  beforeAll(async () => {
    cluster = await startCluster();
    untouched = await Promise.all(cluster.nodes.map(traces));
  }, 3_600_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());
  beforeEach(() => onTestFailed(async () => console.error(await cluster.report())));

  const kubectl = (...args: string[]) => cluster.kubectl(...args);
  const rolledOut = (workload: string) => kubectl('rollout', 'status', workload, '--timeout=180s');

  /** Pods of a label `app` that are not about to end. */
  const pods = async (app: string): Promise<Pod[]> =>
    (await cluster.objects('pods', '-l', `app=${app}`))
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .map(({ metadata, spec, status }: KubernetesObject) => ({
        name: metadata.name,
        node: spec.nodeName,
        ips: (status.podIPs ?? []).map(({ ip }: { ip: string }) => ip),
      }));
  const ask = async (pod: Pod, servers: readonly string[]) =>
    answersOf(await kubectl('exec', pod.name, '--', '/tool', 'ask', '8080', ...servers));

  it('each daemon registers its own node', async () => {
    await until('both are registered', async () => {
      const nodes = await cluster.objects('nodes');
      return nodes.every(({ metadata }) => Number(metadata.annotations['overweft.io/mtu']) > 0);
    });
  });

  it('a Deployment rolls out over both nodes, and all pods reach all pods without NAT', async () => {
    await cluster.apply(
      deployment('web', 4, ['serve', '8080']),
      daemonSet('client', ['pause']),
      daemonSet('agent', ['pause'], { hostNetwork: true }),
    );
    for (const workload of ['deployment/web', 'daemonset/client', 'daemonset/agent'])
      await rolledOut(workload);
    const web = await pods('web');
    expect(new Set(web.map(({ node }) => node)).size).toBe(2);
    const addresses = web.flatMap(({ ips }) => ips);
    expect(new Set(addresses).size).toBe(8);
    for (const client of [...(await pods('client')), ...(await pods('agent')), ...web]) {
      const answers = await allAnswers(() => ask(client, addresses));
      expect(translated(answers), client.name).toEqual([]);
    }
  });

  it('a pod has the addresses that the API says', async () => {
    for (const pod of await pods('client')) {
      const own = await kubectl('exec', pod.name, '--', '/tool', 'addresses');
      expect(own.trim().split('\n').sort()).toEqual([...pod.ips].sort());
    }
  });

  it('a Service is found by name, and reached at its addresses', async () => {
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: {
        ipFamilyPolicy: 'RequireDualStack',
        selector: { app: 'web' },
        ports: [
          { name: 'tcp', protocol: 'TCP', port: 8080 },
          { name: 'udp', protocol: 'UDP', port: 8080 },
        ],
      },
    });
    const { clusterIPs } = JSON.parse(await kubectl('get', 'service', 'web', '-o', 'json')).spec;
    const knocked = [...clusterIPs, 'web', 'web.default.svc.cluster.local'];
    for (const client of await pods('client')) {
      const answers = await allAnswers(() => ask(client, knocked));
      expect(translated(answers), client.name).toEqual([]);
    }
  });

  it('a NetworkPolicy applies, spares the probes of the kubelet, and goes', async () => {
    const [client] = await pods('client');
    if (!client) throw new Error('no client');
    const policy = (ingress: object[]) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'web' },
      spec: { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'], ingress },
    });
    const addresses = async () => (await pods('web')).flatMap(({ ips }) => ips);
    const denied = async () => unanswered(await ask(client, await addresses())).length;
    await cluster.apply(policy([]));
    await until('nobody reaches them', async () => (await denied()) === 16);
    // Pods become ready by the answers that the kubelet gets from them.
    await kubectl('rollout', 'restart', 'deployment/web');
    await rolledOut('deployment/web');
    expect(await denied()).toBe(16);
    const from = [{ podSelector: { matchLabels: { app: 'client' } } }];
    await cluster.apply(policy([{ from, ports: [{ protocol: 'TCP', port: 8080 }] }]));
    await until('clients reach them over TCP', async () => (await denied()) === 8);
    await kubectl('delete', 'networkpolicy', 'web');
    await until('clients reach them', async () => (await denied()) === 0);
  });

  it('CNI 10: hostPort and bandwidth of a pod are what its clients meet, on every node', async () => {
    const [first] = cluster.nodes;
    const { spec } = podTemplate('door', ['serve', '8080'], { nodeName: first.machine.name });
    const ports = ['TCP', 'UDP'].map((protocol) => ({ protocol, containerPort: 8080, hostPort: 9080 }));
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'door',
        labels: { app: 'door' },
        annotations: { 'kubernetes.io/ingress-bandwidth': '100M' },
      },
      spec: { ...spec, containers: spec.containers.map((one) => ({ ...one, ports })) },
    });
    await kubectl('wait', '--for=condition=Ready', 'pod/door', '--timeout=180s');
    const knock = async ({ name }: Pod) =>
      answersOf(await kubectl('exec', name, '--', '/tool', 'ask', '9080', ...first.machine.ips));
    for (const client of [...(await pods('client')), ...(await pods('agent'))]) {
      const answers = await allAnswers(() => knock(client));
      expect(answers, client.name).toHaveLength(4);
      expect(translated(answers), client.name).toEqual([]);
    }
    const port = (await first.overweft.status()).ports.find(({ name }) => name === 'default/door');
    expect(port?.bandwidth?.ingress?.rate).toBe(100e6);
    await kubectl('delete', 'pod', 'door', '--timeout=180s');
    for (const client of await pods('agent'))
      await until('nobody is behind it', async () => unanswered(await knock(client)).length === 4);
  });

  it('a pod that is made while the daemon is dead waits for the next one; those that are there stay', async () => {
    const [first] = cluster.nodes;
    const before = await pods('web');
    await first.overweft.kill();
    const { spec } = podTemplate('late', ['serve', '8080'], { nodeName: first.machine.name });
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', labels: { app: 'late' } },
      spec,
    });
    // The kubelet tries, or knows from STATUS of the plugin that there is no use.
    const refusals = ['FailedCreatePodSandBox', 'NetworkNotReady'];
    await until('it is refused', async () => {
      const events = await cluster.objects('events', '--field-selector', 'involvedObject.name=late');
      return events.some(({ reason }) => refusals.includes(reason));
    });
    await first.overweft.start();
    await kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=180s');
    const there = [...before, ...(await pods('late'))];
    const addresses = there.flatMap(({ ips }) => ips);
    for (const client of await pods('client')) await allAnswers(() => ask(client, addresses));
    expect((await pods('web')).map(({ name, ips }) => [name, ips])).toEqual(
      before.map(({ name, ips }) => [name, ips]),
    );
    await kubectl('delete', 'pod', 'late');
  });

  it('a node drains, its pods run elsewhere, and it returns', async () => {
    await kubectl('drain', 'node-2', '--ignore-daemonsets', '--timeout=180s');
    await rolledOut('deployment/web');
    const moved = await pods('web');
    expect(new Set(moved.map(({ node }) => node))).toEqual(new Set(['node-1']));
    await kubectl('uncordon', 'node-2');
    await kubectl('rollout', 'restart', 'deployment/web');
    await rolledOut('deployment/web');
    const web = await pods('web');
    expect(new Set(web.map(({ node }) => node)).size).toBe(2);
    const addresses = web.flatMap(({ ips }) => ips);
    for (const client of await pods('client')) await allAnswers(() => ask(client, addresses));
  });

  it('workloads that are gone leave nothing', async () => {
    await kubectl('delete', 'deployment,daemonset', '--all', '--timeout=180s');
    await until('the pods are gone', async () => (await cluster.objects('pods')).length === 0);
    await kubectl('delete', 'service', 'web');
    for (const [i, node] of cluster.nodes.entries())
      await expect.poll(() => traces(node), { timeout: 60_000 }).toEqual(untouched[i]);
  });
});
