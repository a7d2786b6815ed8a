// The kubernetes store against a real API server.
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { ObjectChanges } from '../../src/control/changes.ts';
import { KubernetesStore } from '../../src/store/kubernetes/store.ts';
import { faultText, type Store } from '../../src/store/store.ts';
import { type Kubernetes, kubernetes } from '../support/kubernetes.ts';
import { command, describeWith } from '../support/requires.ts';

const pods = '/api/v1/namespaces/default/pods';
const pod = (name: string, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels, annotations: { note: 'nobody asks for it' } },
  spec: {
    nodeName: 'node-1',
    containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, name: 'http' }] }],
  },
});

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'clusternetworkpolicies.policy.networking.k8s.io',
    annotations: {
      'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api/pull/300',
    },
  },
  spec: {
    group: 'policy.networking.k8s.io',
    names: {
      kind: 'ClusterNetworkPolicy',
      plural: 'clusternetworkpolicies',
      singular: 'clusternetworkpolicy',
    },
    scope: 'Cluster',
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

describeWith([command('go')], 'kubernetes store', () => {
  let cluster: Kubernetes;
  let store: Store | undefined;
  let told: ObjectChanges[] = [];

  beforeAll(async () => {
    cluster = await kubernetes();
  }, 1_800_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    await store?.stop();
    store = undefined;
    const { items } = await cluster.ask('GET', pods);
    for (const { metadata } of items) await remove(metadata.name);
  });

  const start = async (kubeconfig = cluster.kubeconfig) => {
    told = [];
    store = new KubernetesStore({ type: 'kubernetes', kubeconfig });
    await store.start((changes) => told.push(changes));
  };
  const create = (object: object) => cluster.ask('POST', pods, object);
  const remove = (name: string) => cluster.ask('DELETE', `${pods}/${name}?gracePeriodSeconds=0`);
  const setStatus = (name: string, status: object) =>
    cluster.ask('PATCH', `${pods}/${name}/status`, { status }, 'application/merge-patch+json');
  const names = () =>
    store?.state.objects?.pods
      .filter(({ metadata }) => metadata.namespace === 'default')
      .map(({ metadata }) => metadata.name)
      .sort();
  const soon = <T>(value: () => T) => expect.poll(value, { timeout: 90_000, interval: 20 });

  it('reads what there is, and follows it', async () => {
    await create(pod('a', { app: 'web' }));
    await start();
    await soon(names).toEqual(['a']);
    // A server that has just started changes objects of its own.
    expect(told.filter(({ pods }) => pods.size > 0)).toHaveLength(1);
    const [a] = store?.state.objects?.pods ?? [];
    expect(a).toMatchObject({ metadata: { labels: { app: 'web' } }, spec: { nodeName: 'node-1' } });
    expect(JSON.stringify(a), 'what nobody asks for takes no memory').not.toMatch(/note|managedFields|image/);
    // The server makes it itself, some time after it has started.
    await soon(() => store?.state.objects?.services.map(({ metadata }) => metadata.name)).toContain(
      'kubernetes',
    );
    await create(pod('b'));
    await soon(names).toEqual(['a', 'b']);
    await setStatus('b', { phase: 'Running', podIP: '10.244.1.7', podIPs: [{ ip: '10.244.1.7' }] });
    await soon(() =>
      store?.state.objects?.pods.some(({ status }) => status?.podIP?.text === '10.244.1.7'),
    ).toBe(true);
    expect(store?.state.objects?.pods).toContain(a);
    await remove('b');
    await soon(names).toEqual(['a']);
    expect(store?.state).toMatchObject({ isCurrent: true, lastError: undefined, faults: [] });
  });

  it('forgets pods that have ended', async () => {
    await create(pod('job'));
    await start();
    await soon(names).toEqual(['job']);
    await setStatus('job', { phase: 'Succeeded' });
    await soon(names).toEqual([]);
  });

  it('reads more than a page', async () => {
    const all = Array.from({ length: 701 }, (_, i) => `pod-${String(i).padStart(3, '0')}`);
    for (let i = 0; i < all.length; i += 50)
      await Promise.all(all.slice(i, i + 50).map((name) => create(pod(name))));
    await start();
    await soon(names).toEqual(all);
    expect(told.filter(({ pods }) => pods.size > 0)).toHaveLength(1);
    await cluster.ask('DELETE', `${pods}?gracePeriodSeconds=0`);
    await soon(names).toEqual([]);
  });

  it('keeps what it knows while the API server is away, and lists again where its watch is too old', async () => {
    await create(pod('a'));
    await create(pod('b'));
    await start();
    await soon(names).toEqual(['a', 'b']);
    const [a] = store?.state.objects?.pods ?? [];
    await cluster.kill();
    await soon(() => store?.state.isCurrent).toBe(false);
    expect(store?.state.lastError?.message).toMatch(/^\w+: /);
    expect(names()).toEqual(['a', 'b']);
    await cluster.start();
    await remove('b');
    await create(pod('c'));
    await soon(names).toEqual(['a', 'c']);
    expect(store?.state.objects?.pods[0]).toBe(a);
    await soon(() => store?.state.isCurrent).toBe(true);
  });

  it('follows ClusterNetworkPolicies as soon as they are served, and until they no longer are', async () => {
    await start();
    await soon(names).toEqual([]);
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await cluster.ask('POST', crds, crd);
    const policies = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';
    const policy = {
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      metadata: { name: 'p' },
      spec: { tier: 'Admin', priority: 1, subject: { namespaces: {} } },
    };
    await expect
      .poll(
        () =>
          cluster.ask('POST', policies, policy).then(
            () => true,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
    const known = () => store?.state.objects?.clusterPolicies.map(({ metadata }) => metadata.name);
    await soon(known).toEqual(['p']);
    const bad = { ...policy, metadata: { name: 'q' }, spec: { ...policy.spec, tier: 'Top' } };
    await cluster.ask('POST', policies, bad);
    await soon(() => store?.state.faults.map(faultText)).toEqual([
      'clusternetworkpolicies/q: ClusterNetworkPolicy q: spec.tier: must be "Admin" or "Baseline"; all that it may be meant for is denied',
    ]);
    await cluster.ask('DELETE', `${crds}/${crd.metadata.name}`);
    await soon(known).toEqual([]);
    await soon(() => store?.state.isCurrent).toBe(true);
  }, 180_000);

  it('reads, and registers its own node, with what deploy/rbac.yaml grants and nothing more', async () => {
    const token = await cluster.grant('node-1');
    await cluster.grant('node-2');
    await start(cluster.kubeconfigOf('granted', { token }));
    await soon(() => store?.state.objects?.nodes.length).toBe(2);
    await soon(() => store?.state).toMatchObject({ isCurrent: true, lastError: undefined });
    const publish = (name: string, annotations: Record<string, string>) =>
      store?.publish?.(
        { name, annotations, node: { podCIDRs: [], addresses: [] } },
        AbortSignal.timeout(30_000),
      );
    await cluster.ask(
      'PATCH',
      '/api/v1/nodes/node-1',
      { metadata: { labels: { zone: 'a' }, annotations: { mine: 'kept' } } },
      'application/merge-patch+json',
    );
    const said = { 'overweft.io/mtu': '1500', 'overweft.io/version': '0.1.0' };
    // An API server takes a moment to compile the policy.
    await expect
      .poll(() => publish('node-1', said)?.then(() => 'done', String), { timeout: 60_000 })
      .toBe('done');
    const { metadata } = await cluster.ask('GET', '/api/v1/nodes/node-1');
    expect(metadata).toMatchObject({ labels: { zone: 'a' }, annotations: { mine: 'kept', ...said } });
    expect(metadata.managedFields.map(({ manager }: { manager: string }) => manager)).toContain('overweft');
    const [own] = store?.state.objects?.nodes.filter((node) => node.metadata.name === 'node-1') ?? [];
    expect(own).toBeDefined();
    await expect
      .poll(() => publish('node-2', said)?.then(() => 'done', String), { timeout: 60_000 })
      .toMatch(/a daemon writes to the node on which it runs/);
    await expect(publish('node-1', { mine: 'taken' })).rejects.toThrow(/annotations below overweft.io/);
    await expect(publish('node-3', said)).rejects.toThrow('there is no Node node-3');
  });

  it('takes another token when its file has one', async () => {
    const file = `${cluster.kubeconfig}.token`;
    writeFileSync(file, 'not-valid\n');
    await start(cluster.kubeconfigOf('rotated', { tokenFile: file }));
    await soon(() => store?.state.lastError?.message).toMatch(/^\w+: 401: Unauthorized/);
    expect(store?.state.objects).toBeUndefined();
    await create(pod('a'));
    writeFileSync(file, 'overweft-tests\n');
    await soon(names).toEqual(['a']);
  });
});
