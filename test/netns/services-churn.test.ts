// A thousand Services whose endpoints come and go, and a daemon that is killed: no connection notices.
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labLogs, labUp, restart } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { service, slice } from '../support/services.ts';

const SERVICES = 1000;
/** Those that have connections, and whose endpoints change. */
const HOT = 40;
const ROUNDS = 12;
const TARGET = 8080;
const BEAT_MS = 20_000;

describeWith([root, tun], `${SERVICES} Services`, () => {
  let lab: Lab;
  const traffic = new Map<string, Traffic>();
  const connections: { readonly client: Traffic; readonly connection: number }[] = [];

  beforeAll(async () => {
    lab = await labUp('--pods-per-node', '3');
    for (const { name, netns } of [...lab.pods, ...lab.nodes]) traffic.set(name, trafficIn(netns));
    for (const { name } of lab.pods) await at(name).listen({ port: TARGET, mode: 'echo' });
  }, 60_000);
  afterAll(async () => {
    for (const agent of traffic.values()) await agent[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const at = (name: string): Traffic => traffic.get(name) ?? expect.fail(`nobody is at ${name}`);
  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const vip = (i: number) => `10.96.${1 + (i >> 7)}.${1 + (i & 127)}`;

  /** Service i, with those pods as endpoints for which a bit is set. */
  const items = (i: number, bits: number): object[] => {
    const endpoints = lab.pods
      .filter((_, p) => (bits >> p) & 1)
      .map(({ ips, node }) => ({ ip: ips[0] ?? '', node, ready: true }));
    return [
      service({ clusterIP: vip(i), clusterIPs: [vip(i)] }, { name: `s${i}` }),
      slice(endpoints, { name: `s${i}-1`, service: `s${i}` }),
    ];
  };

  const write = (name: string, list: readonly object[]) =>
    writeFileSync(
      `${lab.manifests}/${name}.json`,
      JSON.stringify({ kind: 'List', apiVersion: 'v1', items: list }),
    );
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const used = async () => (await daemonStatus(node1().socket)).tables.frontends?.used;
  /** Hot Services with endpoints that a small generator picks: sometimes none. */
  const shuffle = (round: number) =>
    write(
      'hot',
      range(0, HOT).flatMap((i) => items(i, (Math.imul(i + 1, 0x9e3779b1) >>> (round % 24)) & 63)),
    );

  /** Every connection answers. */
  async function beat(): Promise<void> {
    const beats = await Promise.all(
      connections.map(({ client, connection }) => client.beat({ connection, timeoutMs: BEAT_MS })),
    );
    expect(
      beats.filter(({ answered }) => !answered),
      labLogs(lab),
    ).toEqual([]);
  }

  it('connections go on while endpoints of their Services come and go', async () => {
    write(
      'cold',
      range(HOT, SERVICES).flatMap((i) => items(i, 63)),
    );
    write(
      'hot',
      range(0, HOT).flatMap((i) => items(i, 63)),
    );
    await expect.poll(used, { timeout: 60_000 }).toBe(2 * SERVICES);
    for (const i of range(0, HOT)) {
      const client = at(['pod-1', 'pod-2', 'node-1'][i % 3] ?? '');
      // The node's own routes follow the tables.
      const knock = () => client.connect({ address: vip(i), port: 80, timeoutMs: 5000 });
      await expect.poll(async () => (await knock()).connected, { timeout: 60_000 }).toBe(true);
      connections.push({ client, ...(await client.open({ address: vip(i), port: 80 })) });
    }
    const before = (await daemonStatus(node1().socket)).epoch;
    for (const round of range(0, ROUNDS)) {
      shuffle(round);
      await beat();
      await expect
        .poll(async () => (await daemonStatus(node1().socket)).epoch, { timeout: 30_000 })
        .toBeGreaterThan(before + round);
      await beat();
    }
  }, 300_000);

  it('connections go on when the daemon of their clients is killed and starts anew', async () => {
    await restart(node1(), (config) => config);
    await expect.poll(used, { timeout: 60_000 }).toBe(2 * SERVICES);
    await beat();
    shuffle(ROUNDS);
    await beat();
    // And new ones find their way.
    const knock = () => at('pod-1').connect({ address: vip(SERVICES - 1), port: 80, timeoutMs: 5000 });
    await expect.poll(async () => (await knock()).connected, { timeout: 60_000 }).toBe(true);
  }, 120_000);

  it('connections go on when all Services have gone', async () => {
    write('hot', []);
    write('cold', []);
    await expect.poll(used, { timeout: 60_000 }).toBe(0);
    await beat();
  }, 120_000);
});
