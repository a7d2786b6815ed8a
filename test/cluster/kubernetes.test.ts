// Kubernetes on two nodes that Overweft joins: API server, controllers, scheduler and etcd on a third machine.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { describeWith, go, root, tun } from '../support/requires.ts';
import type { RunOptions } from '../support/run.ts';
import { answersOf, translated, unanswered } from './support/answers.ts';
import { podNamespaces, startContainerd } from './support/containerd.ts';
import {
  type ControlPlane,
  clusterCIDRs,
  serviceCIDRs,
  startControlPlane,
  type User,
} from './support/control-plane.ts';
import { image } from './support/image.ts';
import { nodeUser, startKubelet } from './support/kubelet.ts';
import { bootMachines, type Machine, type Machines } from './support/machine.ts';
import { type Overweft, startOverweft } from './support/overweft.ts';
import { until } from './support/until.ts';

const rbac = fileURLToPath(new URL('../../deploy/rbac.yaml', import.meta.url));
/** Whom that file makes. */
const account: User = { name: 'overweft', groups: [] };

interface Pod {
  readonly name: string;
  readonly node: string;
  /** IPv4 first. */
  readonly ips: readonly string[];
  readonly ready: boolean;
}

interface Node {
  readonly machine: Machine;
  readonly overweft: Overweft;
}

describeWith([root, tun, go], 'Kubernetes', () => {
  let all: Machines;
  let controlPlane: ControlPlane;
  let nodes: readonly Node[];
  let token: string;

  beforeAll(async () => {
    all = await bootMachines(3);
    const [one, two, control] = all.machines;
    if (!one || !two || !control) throw new Error('three machines are not there');
    controlPlane = await startControlPlane(control, [one, two].map(nodeUser));
    await kubectl('apply', '-f', rbac);
    token = (await kubectl('create', 'token', account.name, '--namespace=kube-system')).trim();
    nodes = await Promise.all([one, two].map(start));
    await until('both nodes are ready', async () => {
      const { items } = await objects('nodes');
      return items.length === 2 && items.every((node) => condition(node, 'Ready'));
    });
  }, 3_600_000);
  afterAll(async () => {
    await all?.[Symbol.asyncDispose]();
  }, 120_000);
  beforeEach(() =>
    onTestFailed(async () => {
      console.error(all.logs());
      console.error(await kubectl('get', 'nodes,pods,deployments', '-A', '-o', 'wide'));
      console.error(await kubectl('get', 'events', '-A', '--sort-by=.lastTimestamp'));
    }),
  );

  const start = async (machine: Machine): Promise<Node> => {
    await startContainerd(machine);
    await startKubelet(machine, controlPlane);
    await until(
      `${machine.name} has ranges of addresses`,
      async () =>
        JSON.parse(await kubectl('get', 'node', machine.name, '-o', 'json')).spec.podCIDRs?.length === 2,
    );
    const overweft = await startOverweft(machine, {
      store: { type: 'kubernetes', kubeconfig: controlPlane.kubeconfig(account, machine.folder, token) },
      podNetwork: { clusterCIDRs, serviceCIDRs },
      dns: {},
    });
    return { machine, overweft };
  };

  const kubectl = async (...args: string[]): Promise<string> => kubectlWith({}, ...args);
  const kubectlWith = async (options: RunOptions, ...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await controlPlane.kubectl(args, { timeoutMs: 240_000, ...options });
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const apply = (...items: object[]) =>
    kubectlWith({ input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) }, 'apply', '-f', '-');
  // biome-ignore lint/suspicious/noExplicitAny: objects of all kinds are looked into
  const objects = async (kind: string, ...more: string[]): Promise<{ items: any[] }> =>
    JSON.parse(await kubectl('get', kind, '-o', 'json', ...more));
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const condition = (object: any, wanted: string): boolean =>
    object.status?.conditions?.find(({ type }: { type: string }) => type === wanted)?.status === 'True';

  /** Pods of a label `app` that are not about to end. */
  const pods = async (app: string): Promise<Pod[]> =>
    (await objects('pods', '-l', `app=${app}`)).items
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .map((pod) => ({
        name: pod.metadata.name,
        node: pod.spec.nodeName,
        ips: (pod.status.podIPs ?? []).map(({ ip }: { ip: string }) => ip),
        ready: condition(pod, 'Ready'),
      }));
  const ask = async (pod: Pod, servers: readonly string[]) =>
    answersOf(await kubectl('exec', pod.name, '--', '/tool', 'ask', '8080', ...servers));

  const template = (app: string, args: string[], more: object = {}) => ({
    metadata: { labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 5,
      containers: [
        {
          name: 'tool',
          image,
          imagePullPolicy: 'Never',
          args,
          ...(args[0] === 'serve' && {
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 2, timeoutSeconds: 5 },
          }),
        },
      ],
      ...more,
    },
  });
  const workload = (kind: 'Deployment' | 'DaemonSet', app: string, args: string[], spec = {}, pod = {}) => ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: app },
    spec: { selector: { matchLabels: { app } }, template: template(app, args, pod), ...spec },
  });
  const spread = {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { app: 'web' } },
      },
    ],
  };

  it('a Deployment rolls out over both nodes, and all pods reach all pods without NAT', async () => {
    await apply(
      workload('Deployment', 'web', ['serve', '8080'], { replicas: 4 }, spread),
      workload('DaemonSet', 'client', ['pause']),
      workload('DaemonSet', 'agent', ['pause'], {}, { hostNetwork: true }),
    );
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=180s');
    for (const app of ['client', 'agent'])
      await kubectl('rollout', 'status', `daemonset/${app}`, '--timeout=180s');
    const web = await pods('web');
    expect(new Set(web.map(({ node }) => node)).size).toBe(2);
    const addresses = web.flatMap(({ ips }) => ips);
    expect(new Set(addresses).size).toBe(8);
    for (const client of [...(await pods('client')), ...(await pods('agent')), ...web]) {
      const answers = await ask(client, addresses);
      expect(unanswered(answers), client.name).toEqual([]);
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
    await apply({
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
      await until('it answers', async () => unanswered(await ask(client, knocked)).length === 0);
      const answers = await ask(client, knocked);
      expect(unanswered(answers), client.name).toEqual([]);
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
    await apply(policy([]));
    await until('nobody reaches them', async () => (await denied()) === 16);
    // Pods become ready by the answers that the kubelet gets from them.
    await kubectl('rollout', 'restart', 'deployment/web');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=180s');
    expect(await denied()).toBe(16);
    const from = [{ podSelector: { matchLabels: { app: 'client' } } }];
    await apply(policy([{ from, ports: [{ protocol: 'TCP', port: 8080 }] }]));
    await until('clients reach them over TCP', async () => (await denied()) === 8);
    await kubectl('delete', 'networkpolicy', 'web');
    await until('clients reach them', async () => (await denied()) === 0);
  });

  it('a pod that is made while the daemon is dead waits for the next one; those that are there stay', async () => {
    const [first] = nodes;
    if (!first) throw new Error('no node');
    const before = await pods('web');
    await first.overweft.kill();
    const { spec } = template('late', ['serve', '8080'], { nodeName: first.machine.name });
    await apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'late', labels: { app: 'late' } }, spec });
    // The kubelet tries, or knows from STATUS of the plugin that there is no use.
    const refusals = ['FailedCreatePodSandBox', 'NetworkNotReady'];
    await until('it is refused', async () => {
      const { items } = await objects('events', '--field-selector', 'involvedObject.name=late');
      return items.some(({ reason }) => refusals.includes(reason));
    });
    await first.overweft.start();
    await kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=180s');
    const there = [...before, ...(await pods('late'))];
    const addresses = there.flatMap(({ ips }) => ips);
    for (const client of await pods('client'))
      await until('all are reached', async () => unanswered(await ask(client, addresses)).length === 0);
    expect((await pods('web')).map(({ name, ips }) => [name, ips])).toEqual(
      before.map(({ name, ips }) => [name, ips]),
    );
    await kubectl('delete', 'pod', 'late');
  });

  it('a node drains, its pods run elsewhere, and it returns', async () => {
    await kubectl('drain', 'node-2', '--ignore-daemonsets', '--timeout=180s');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=180s');
    const moved = await pods('web');
    expect(new Set(moved.map(({ node }) => node))).toEqual(new Set(['node-1']));
    await kubectl('uncordon', 'node-2');
    await kubectl('rollout', 'restart', 'deployment/web');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=180s');
    const web = await pods('web');
    expect(new Set(web.map(({ node }) => node)).size).toBe(2);
    for (const client of await pods('client'))
      expect(
        unanswered(
          await ask(
            client,
            web.flatMap(({ ips }) => ips),
          ),
        ),
      ).toEqual([]);
  });

  it('workloads that are gone leave nothing', async () => {
    await kubectl('delete', 'deployment,daemonset', '--all', '--timeout=180s');
    await until('the pods are gone', async () => (await objects('pods')).items.length === 0);
    for (const { machine, overweft } of nodes) {
      await until(
        `${machine.name} has no namespaces of pods`,
        async () => (await podNamespaces(machine)).length === 0,
      );
      const { ports, addresses } = await overweft.status();
      expect(ports.filter(({ kind }) => kind === 'pod')).toEqual([]);
      expect(addresses.map(({ used }) => used)).toEqual([0, 0]);
    }
  });
});
