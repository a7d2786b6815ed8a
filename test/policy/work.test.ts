// How much is looked at for a change, counted, so that it does not depend on how fast a machine is.
import { beforeAll, describe, expect, it } from 'vitest';
import {
  APPS,
  appOf,
  type ClusterSize,
  clusterObjects,
  namespaceObject,
  nodeName,
  podObject,
  policyObject,
} from '../../bench/control/cluster.ts';
import { type Applied, Pipeline } from '../../bench/control/pipeline.ts';
import { changesBetween, noChanges, type ObjectChanges } from '../../src/control/changes.ts';

const size: ClusterSize = { nodes: 200, pods: 6_000, namespaces: 60, policies: 1_200, localPods: 30 };
/** In the namespace of a local pod. */
const neighbour = { number: size.namespaces + 7, namespace: 7, node: 7, host: 200 };

const podChange = (place: typeof neighbour, labels?: Record<string, string>): ObjectChanges => {
  const object = podObject({ ...place, ...(labels && { labels }) });
  return { ...noChanges, pods: new Map([[`${object.metadata.namespace}/${object.metadata.name}`, object]]) };
};

describe('work of a change', () => {
  const pipeline = new Pipeline(nodeName(0));
  let first: Applied;
  beforeAll(async () => {
    first = await pipeline.apply(changesBetween(undefined, clusterObjects(size)));
    await pipeline.apply(noChanges);
    await pipeline.apply(podChange(neighbour));
  });

  const workOf = async (changes: ObjectChanges) => (await pipeline.apply(changes)).delta;
  const labels = podObject(neighbour).metadata.labels;

  it('makes no class of labels that only one pod has', () => {
    expect(first.use.endpoints).toBeGreaterThan(12_000);
    expect(pipeline.desired.policy.classes).toBeLessThan(100);
  });

  it('is one pod and its addresses for a label of a pod elsewhere', async () => {
    const changed = await workOf(podChange(neighbour, { ...labels, app: `app-${(appOf(7) + 1) % APPS}` }));
    expect(changed?.endpoints.size).toBe(2);
    expect(changed?.work).toMatchObject({ pods: 1, sets: 0 });
    expect(changed?.work.selectors).toBeLessThan(10);
    expect(changed?.work.rows).toBeLessThanOrEqual(4);
    await workOf(podChange(neighbour));
  });

  it('is nothing but the look for a label that no policy sees', async () => {
    const { desired } = pipeline;
    const changed = await workOf(podChange(neighbour, { ...labels, 'pod-template-hash': 'other' }));
    expect(changed?.endpoints.size).toBe(0);
    expect(changed?.work).toEqual({ pods: 1, selectors: 0, sets: 0, rows: 0 });
    expect(pipeline.desired).toBe(desired);
  });

  it('is nothing at all for a policy of a namespace without local pods', async () => {
    const object = policyObject(size.namespaces - 1, 1, true);
    const policies = new Map([[`${object.metadata.namespace}/${object.metadata.name}`, object]]);
    const changed = await workOf({ ...noChanges, policies });
    expect(changed?.work).toEqual({ pods: 0, selectors: 0, sets: 0, rows: 0 });
  });

  it('is the pods of the namespace for a label of a namespace', async () => {
    const object = namespaceObject(size.namespaces - 1, { team: 'team-24' });
    const changed = await workOf({ ...noChanges, namespaces: new Map([[object.metadata.name, object]]) });
    expect(changed?.work.pods).toBe(size.pods / size.namespaces);
    expect(changed?.work.sets).toBe(0);
  });

  it('is the set of the pod and the namespaces that its rules name for a label of a local pod', async () => {
    const local = { number: 7, namespace: 7, node: 0, host: 9 };
    const changed = await workOf(podChange(local, { app: 'app-2' }));
    expect(changed?.work.sets).toBeLessThanOrEqual(3);
    expect(changed?.work.pods).toBeLessThan(size.pods / 5);
  });
});
