// An upgrade: the daemons of all nodes are replaced one after the other under load, and no connection notices more than a pause.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labLogs, labUp } from '../support/lab.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { isRunning } from '../support/run.ts';

describeWith([root, tun], 'rolling restart', () => {
  let lab: Lab;
  const agents = new Map<string, Traffic>();
  const [sinkPort, echoPort] = [5001, 5002];

  beforeAll(async () => {
    lab = await labUp('--nodes', '3', '--pods-per-node', '2');
    for (const { netns } of lab.pods) agents.set(netns, trafficIn(netns));
    for (const agent of agents.values()) {
      await agent.listen({ port: sinkPort, mode: 'sink' });
      await agent.listen({ port: echoPort, mode: 'echo' });
    }
  });
  afterAll(async () => {
    for (const agent of agents.values()) await agent[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const agentOf = (pod: Lab['pods'][0]): Traffic => agents.get(pod.netns) ?? expect.fail(pod.name);

  /** As a service manager or a DaemonSet does: the old one ends, then the new one starts. */
  async function replace(node: Lab['nodes'][0]): Promise<void> {
    const { pid } = await daemonStatus(node.socket);
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => isRunning(pid), { interval: 10 }).toBe(false);
    await daemonReady(startDaemon(node, program));
  }

  it('keeps every connection, in both families, on one node and between any two', async () => {
    const connections = await Promise.all(
      lab.pods.flatMap((from) =>
        lab.pods
          .filter((to) => to !== from)
          .flatMap((to) =>
            to.ips.map(async (address) => {
              const agent = agentOf(from);
              const { connection } = await agent.open({ address, port: echoPort });
              const name = `${from.name} → ${address}`;
              const beat = async (timeoutMs: number) =>
                (await agent.beat({ connection, timeoutMs })).answered;
              return { name, beat };
            }),
          ),
      ),
    );
    expect(connections).toHaveLength(60);
    const [first, second] = lab.pods;
    if (!first || !second) return expect.fail('no pods');
    const bytes = 300 << 20;
    let isOver = false;
    const stream = agentOf(first)
      .send({ address: second.ips[0] ?? '', port: sinkPort, bytes, hash: true })
      .finally(() => {
        isOver = true;
      });
    const isUnderLoad: boolean[] = [];
    for (const node of lab.nodes) {
      await replace(node);
      isUnderLoad.push(!isOver);
      // What was lost meanwhile is sent again after a while that doubles: seconds for a pause of seconds.
      const silent: string[] = [];
      await Promise.all(
        connections.map(async ({ name, beat }) => {
          if (!(await beat(30_000))) silent.push(name);
        }),
      );
      expect(silent, labLogs(lab)).toEqual([]);
    }
    expect(isUnderLoad[0], 'the first restart came under load').toBe(true);
    expect(await stream).toMatchObject({ bytes, intact: true });
    for (const node of lab.nodes) expect((await daemonStatus(node.socket)).flows.kept, node.name).toBe(true);
  });
});
