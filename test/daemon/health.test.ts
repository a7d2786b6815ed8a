// What kubelets and load balancers are told, of a daemon in every state.
import { describe, expect, it } from 'vitest';
import { Health, type HealthParts, type LeavingNode } from '../../src/daemon/health.ts';

const live = {} as NonNullable<HealthParts['controller']['live']>;

const healthOf = (parts: Partial<HealthParts>) =>
  new Health({
    controller: { live, fault: undefined },
    askWorkers: async () => undefined,
    storeFaults: () => [],
    node: () => undefined,
    ...parts,
  });

describe('health', () => {
  it('is good of a daemon that serves pods', async () => {
    const health = healthOf({});
    expect(await health.live()).toEqual({ ok: true });
    expect(health.ready()).toEqual({ ok: true });
    expect(await health.healthy()).toEqual({ ok: true, nodeEligible: true });
  });

  it('says what is missing before the first tables are live, and lives', async () => {
    const controller = { live: undefined, fault: undefined };
    const health = healthOf({ controller, storeFaults: () => ['bad.yaml: Pod x'] });
    const error = 'no tables are live yet; bad.yaml: Pod x';
    expect(health.ready()).toEqual({ ok: false, error });
    expect(await health.healthy()).toEqual({ ok: false, error, nodeEligible: true });
    expect(await health.live()).toEqual({ ok: true });
  });

  it('is bad where a worker cannot answer', async () => {
    const health = healthOf({ askWorkers: () => Promise.reject(new Error('worker 0 has ended')) });
    const verdict = { ok: false, error: 'worker 0 has ended' };
    expect(await health.live()).toEqual(verdict);
    expect(await health.healthy()).toEqual({ ...verdict, nodeEligible: true });
    expect(health.ready()).toEqual({ ok: true });
  });

  it('is not ready while it stops', async () => {
    const health = healthOf({});
    health.stop();
    expect(health.ready()).toEqual({ ok: false, error: 'the daemon is stopping' });
    expect(await health.live()).toEqual({ ok: true });
  });

  it.each<[string, LeavingNode, boolean]>([
    [
      'the autoscaler marks',
      { metadata: {}, spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler' }] } },
      false,
    ],
    ['is being deleted', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }, false],
    [
      'has another taint',
      { metadata: {}, spec: { taints: [{ key: 'node.kubernetes.io/unschedulable' }] } },
      true,
    ],
  ])('Services 6: /healthz of a node that %s', async (_, node, nodeEligible) => {
    const health = healthOf({ node: () => node });
    expect(await health.healthy()).toMatchObject({ ok: nodeEligible, nodeEligible });
    expect(await health.live()).toEqual({ ok: true });
    expect(health.ready()).toEqual({ ok: true });
  });
});
