// The etcd store against a real etcd.
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { configSchema, type EtcdConfig } from '../../src/config/schema.ts';
import type { ObjectChanges } from '../../src/control/changes.ts';
import { EtcdStore } from '../../src/store/etcd/store.ts';
import { faultText, type Store } from '../../src/store/store.ts';
import { type Etcd, etcd } from '../support/etcd.ts';
import { command, describeWith } from '../support/requires.ts';

const pod = (name: string, labels: Record<string, string> = {}, namespace = 'default') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels },
  spec: {
    nodeName: 'node-1',
    containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, name: 'http' }] }],
  },
  status: { phase: 'Running', podIPs: [{ ip: '10.244.1.2' }] },
});
const policy = (name: string, spec: object) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace: 'default' },
  spec,
});

describeWith([command('go')], 'etcd store', () => {
  let server: Etcd;
  let store: Store;
  let told: ObjectChanges[];
  let prefix = '';
  let tests = 0;

  beforeAll(async () => {
    server = await etcd();
  }, 1_200_000);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    prefix = `/test-${++tests}`;
    told = [];
  });
  afterEach(async () => {
    await store.stop();
  });

  const settings = (fields: object = {}) =>
    configSchema.parse({
      node: 'node-1',
      store: { type: 'etcd', endpoints: [server.endpoint], prefix, ...fields },
      underlay: { addresses: ['192.0.2.1'] },
    }).store as EtcdConfig;
  const start = async (fields: object = {}) => {
    store = new EtcdStore(settings(fields), 'node-1');
    await store.start((changes) => told.push(changes));
  };
  const put = (path: string, value: string | object) => server.put(`${prefix}/${path}`, value);
  const names = () => store.state.objects?.pods.map(({ metadata }) => metadata.name).sort();
  const soon = <T>(value: () => T) => expect.poll(value, { timeout: 60_000, interval: 10 });
  const faults = () => store.state.faults.map(faultText);

  it('tells everything at once, then each change by itself', async () => {
    await put('pods/default/a', pod('a'));
    await put('namespaces/default', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
    await start();
    await soon(names).toEqual(['a']);
    expect(store.state.counts).toMatchObject({ Pod: 1, Namespace: 1, Node: 0 });
    await soon(() => told.length).toBe(1);
    expect([...(told[0]?.pods.keys() ?? [])]).toEqual(['default/a']);
    await put('pods/default/b', pod('b'));
    await soon(names).toEqual(['a', 'b']);
    const kept = store.state.objects?.pods.find(({ metadata }) => metadata.name === 'a');
    await server.remove(`${prefix}/pods/default/b`);
    await soon(names).toEqual(['a']);
    expect(told.at(-1)?.pods).toEqual(new Map([['default/b', undefined]]));
    expect(store.state.objects?.pods[0]).toBe(kept);
    expect(store.state).toMatchObject({ isCurrent: true, lastError: undefined, faults: [] });
  });

  it('reads more than one page holds, at one revision', async () => {
    const all = Array.from({ length: 1203 }, (_, i) => `pod-${i}`);
    for (let i = 0; i < all.length; i += 100) {
      await Promise.all(all.slice(i, i + 100).map((name) => put(`pods/default/${name}`, pod(name))));
    }
    await start();
    await soon(names).toEqual([...all].sort());
    await soon(() => told.length).toBe(1);
  });

  it('goes on where it was when etcd was away, without another list', async () => {
    await put('pods/default/a', pod('a'));
    await start();
    await soon(names).toEqual(['a']);
    const [kept] = store.state.objects?.pods ?? [];
    await server.kill();
    await soon(() => store.state.isCurrent).toBe(false);
    expect(store.state.lastError?.message).toMatch(/^etcd \/test-\d+: /);
    expect(names()).toEqual(['a']);
    await server.start();
    await put('pods/default/b', pod('b'));
    await soon(names).toEqual(['a', 'b']);
    expect(store.state.isCurrent).toBe(true);
    expect(store.state.objects?.pods[0]).toBe(kept);
  });

  it('lists again after a compaction, and what went meanwhile goes', async () => {
    await put('pods/default/a', pod('a'));
    await put('pods/default/b', pod('b'));
    await start();
    await soon(names).toEqual(['a', 'b']);
    const [kept] = store.state.objects?.pods ?? [];
    await server.kill();
    await soon(() => store.state.isCurrent).toBe(false);
    // While the store waits for its next try.
    await server.start();
    await server.remove(`${prefix}/pods/default/b`);
    await put('pods/default/c', pod('c'));
    await server.compact();
    await soon(names).toEqual(['a', 'c']);
    expect(store.state.objects?.pods[0]).toBe(kept);
    await soon(() => store.state.isCurrent).toBe(true);
  });

  it('lists again when etcd was set back', async () => {
    for (const name of ['a', 'b', 'c']) await put(`pods/default/${name}`, pod(name));
    await start();
    await soon(names).toEqual(['a', 'b', 'c']);
    await server.kill();
    await soon(() => store.state.isCurrent).toBe(false);
    await server.start({ empty: true });
    await put('pods/default/x', pod('x'));
    await soon(names).toEqual(['x']);
  });

  it('keeps the last good version of an object that turns bad, and follows the others', async () => {
    await put('pods/default/a', pod('a', { app: 'web' }));
    await start();
    await soon(names).toEqual(['a']);
    await put('pods/default/a', { ...pod('a'), spec: { hostNetwork: 'yes' } });
    await soon(faults).toEqual([
      `${prefix}/pods/default/a: Pod default/a: spec.hostNetwork: must be a boolean; its last good version stays`,
    ]);
    await put('pods/default/b', pod('b'));
    await soon(names).toEqual(['a', 'b']);
    const [a] = store.state.objects?.pods.filter(({ metadata }) => metadata.name === 'a') ?? [];
    expect(a?.metadata.labels).toEqual({ app: 'web' });
    await put('pods/default/a', pod('a'));
    await soon(faults).toEqual([]);
  });

  it('takes a policy that it cannot read for one that denies', async () => {
    await put(
      'networkpolicies/default/closed',
      policy('closed', { podSelector: { matchLabels: { app: 'web' } }, ingres: [] }),
    );
    await put('networkpolicies/default/broken', '{"kind": "NetworkPolicy", ');
    await start();
    await soon(() => store.state.objects?.policies.length).toBe(2);
    const byName = Object.fromEntries(
      (store.state.objects?.policies ?? []).map((one) => [one.metadata.name, one.spec]),
    );
    expect(byName.closed).toEqual({
      podSelector: { matchLabels: { app: 'web' } },
      policyTypes: ['Ingress', 'Egress'],
    });
    expect(byName.broken).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const other = { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress'], ingres: [] };
    await put('networkpolicies/default/broken', policy('broken', other));
    await soon(
      () => store.state.objects?.policies.find((one) => one.metadata.name === 'broken')?.spec,
    ).toEqual({ podSelector: other.podSelector, policyTypes: ['Ingress'] });
    expect(faults().sort()).toEqual([
      `${prefix}/networkpolicies/default/broken: NetworkPolicy default/broken: spec.ingres: is not a known field; all that it may be meant for is denied`,
      `${prefix}/networkpolicies/default/closed: NetworkPolicy default/closed: spec.ingres: is not a known field; all that it may be meant for is denied`,
    ]);
  });

  it('denies the pods of a namespace whose labels it cannot read', async () => {
    await put('namespaces/closed', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'closed', labels: { team: '-' } },
    });
    await start();
    await soon(() => store.state.objects?.policies).toMatchObject([
      { metadata: { namespace: 'closed' }, spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } },
    ]);
    expect(faults()[0]).toMatch(
      /Namespace closed: metadata.labels.team: .*; all that it may be meant for is denied$/,
    );
    await put('namespaces/closed', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'closed' } });
    await soon(() => store.state.objects?.policies).toEqual([]);
    expect(store.state.objects?.namespaces).toHaveLength(1);
  });

  it('refuses what is not where it says, and places that it does not know', async () => {
    await put('pods/default/a', pod('b'));
    await put('pods/other/c', pod('c'));
    await put('pods/d', pod('d'));
    await put('networkpolicy/default/p', policy('p', { podSelector: {} }));
    await put('namespaces/e', pod('e'));
    await start();
    await soon(() => faults().sort()).toEqual([
      `${prefix}/namespaces/e: Namespace: kind: must be Namespace, as its place says; all that it may be meant for is denied`,
      `${prefix}/networkpolicy/default/p: networkpolicy: networkpolicy is no kind of objects: must be one of nodes, namespaces, pods, networkpolicies, clusternetworkpolicies, services, endpointslices; it is left out`,
      `${prefix}/pods/d: Pod default: must be at ${prefix}/pods/NAMESPACE/NAME; it is left out`,
      `${prefix}/pods/default/a: Pod default/b: metadata.name: must be a, as its place says; it is left out`,
      `${prefix}/pods/other/c: Pod default/c: metadata.namespace: must be other, as its place says; it is left out`,
    ]);
    await soon(names).toEqual([]);
  });

  it('asks the next of several servers where one is away', async () => {
    await put('pods/default/a', pod('a'));
    await start({ endpoints: ['http://127.0.0.1:9', server.endpoint] });
    await soon(names).toEqual(['a']);
    expect(store.state.isCurrent).toBe(true);
  });

  const statement = (annotations: Record<string, string>) => ({
    name: 'node-1',
    annotations,
    node: { podCIDRs: ['10.244.1.0/24'], addresses: ['192.0.2.1'] },
  });
  const publish = (annotations: Record<string, string>) =>
    store.publish?.(statement(annotations), AbortSignal.timeout(30_000));
  const stored = async () => JSON.parse((await server.get(`${prefix}/nodes/node-1`)) ?? 'null');

  it('makes the Node where there is none, and afterwards changes its own annotations alone', async () => {
    await start();
    await publish({ 'overweft.io/mtu': '1500' });
    expect(await stored()).toMatchObject({
      kind: 'Node',
      metadata: { name: 'node-1', annotations: { 'overweft.io/mtu': '1500' } },
      spec: { podCIDRs: ['10.244.1.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    });
    const object = await stored();
    object.metadata.annotations.mine = 'kept';
    object.metadata.labels = { zone: 'a' };
    object.spec.podCIDRs = ['10.244.9.0/24'];
    await put('nodes/node-1', object);
    await publish({ 'overweft.io/mtu': '9000' });
    expect(await stored()).toEqual({
      ...object,
      metadata: { ...object.metadata, annotations: { mine: 'kept', 'overweft.io/mtu': '9000' } },
    });
    await soon(() => store.state.objects?.nodes[0]?.metadata.annotations).toMatchObject({ mine: 'kept' });
  });

  it('holds a lease while it runs, also after etcd has forgotten it', async () => {
    await start({ lease: 5 });
    await soon(() => [...(store.leases ?? [])]).toEqual(['node-1']);
    await server.kill();
    await server.start({ empty: true });
    await soon(() => [...(store.leases ?? [])]).toEqual(['node-1']);
    const key = `${prefix}/leases/node-1`;
    await expect.poll(() => server.get(key), { timeout: 30_000 }).toBeDefined();
    await store.stop();
    expect(await server.get(key)).toBeUndefined();
  });

  it('logs in, over TLS, and again when its token is no longer taken', async () => {
    await using guarded = await etcd({ tls: true });
    const user = { name: 'root', password: 'secret' };
    await guarded.put(`${prefix}/pods/default/a`, pod('a'));
    await guarded.ask('/v3/auth/user/add', user);
    await guarded.ask('/v3/auth/role/add', { name: 'root' });
    await guarded.ask('/v3/auth/user/grant', { user: 'root', role: 'root' });
    await guarded.ask('/v3/auth/enable', {});
    const passwordFile = `${guarded.certificate}.password`;
    writeFileSync(passwordFile, 'secret\n');
    const access = { user: 'root', passwordFile, tls: { ca: guarded.certificate } };
    await start({ endpoints: [guarded.endpoint], ...access });
    await soon(names).toEqual(['a']);
    // Tokens are in the server's memory alone.
    await guarded.kill();
    await guarded.start();
    await publish({ 'overweft.io/mtu': '1500' })?.catch(() => {});
    await expect
      .poll(() => publish({ 'overweft.io/mtu': '1500' })?.then(() => 'done', String), { timeout: 60_000 })
      .toBe('done');
    await soon(() => store.state.objects?.nodes.length).toBe(1);
    await store.stop();
    await start({ endpoints: [guarded.endpoint], ...access, tls: {} });
    await soon(() => store.state.lastError?.message).toMatch(/self.signed certificate|unable to verify/);
  });
});
