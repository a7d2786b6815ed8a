// Pods of containerd, made through its CRI as a kubelet makes them, on two machines that Overweft joins.
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { describeWith, go, root, tun } from '../support/requires.ts';
import { type Answer, allAnswers, answersOf, translated } from './support/answers.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import { image } from './support/image.ts';
import { bootMachines, type Machines } from './support/machine.ts';
import { type Overweft, startOverweft } from './support/overweft.ts';
import { traces } from './support/traces.ts';
import { until } from './support/until.ts';

interface Node {
  readonly machine: Machines['machines'][0];
  readonly containerd: Containerd;
  readonly overweft: Overweft;
}

interface Pod {
  readonly sandbox: string;
  readonly config: object;
  /** IPv4 first. */
  readonly ips: readonly string[];
}

describeWith([root, tun, go], 'pods of containerd', () => {
  let all: Machines;
  let first: Node;
  let second: Node;
  let manifests: string;

  beforeAll(async () => {
    all = await bootMachines(2);
    manifests = `${all.machines[0]?.folder}/manifests`;
    mkdirSync(manifests);
    for (const { name, ips, podCIDRs } of all.machines)
      manifest(`node-${name}`, {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name },
        spec: { podCIDRs },
        status: { addresses: ips.map((address) => ({ type: 'InternalIP', address })) },
      });
    const [one, two] = await Promise.all(all.machines.map(start));
    if (!one || !two) throw new Error('two machines have no two nodes');
    first = one;
    second = two;
  }, 1_800_000);
  afterAll(() => all?.[Symbol.asyncDispose](), 120_000);
  beforeEach(() => onTestFailed(() => console.error(all.logs())));

  const manifest = (name: string, object: object) =>
    writeFileSync(`${manifests}/${name}.json`, JSON.stringify(object));

  const start = async (machine: Node['machine']): Promise<Node> => {
    const containerd = await startContainerd(machine);
    const overweft = await startOverweft(machine, {
      store: { type: 'file', directory: manifests },
      cni: { unknownPods: 'admit' },
    });
    await until('containerd loads the network', () => networkReady(containerd));
    return { machine, containerd, overweft };
  };

  const networkReady = async (containerd: Containerd): Promise<boolean> =>
    (await containerd.call('RuntimeService/Status')).status.conditions.find(
      ({ type }: { type: string }) => type === 'NetworkReady',
    ).status === true;

  const runPod = async ({ containerd }: Node, name: string, linux: object = {}): Promise<Pod> => {
    const config = {
      metadata: { name, namespace: 'default', uid: `uid-${name}` },
      linux: { cgroup_parent: '/pods', ...linux },
    };
    const { podSandboxId: sandbox } = await containerd.call('RuntimeService/RunPodSandbox', { config });
    const { status } = await containerd.call('RuntimeService/PodSandboxStatus', { podSandboxId: sandbox });
    const { ip, additionalIps = [] } = status.network ?? {};
    return { sandbox, config, ips: [ip, ...additionalIps.map(({ ip }: { ip: string }) => ip)] };
  };

  const runContainer = async ({ containerd }: Node, pod: Pod, ...args: string[]): Promise<string> => {
    const { containerId } = await containerd.call('RuntimeService/CreateContainer', {
      podSandboxId: pod.sandbox,
      config: { metadata: { name: args.join('-') }, image: { image }, args },
      sandboxConfig: pod.config,
    });
    await containerd.call('RuntimeService/StartContainer', { containerId });
    return containerId;
  };

  const removePod = async ({ containerd }: Node, { sandbox: podSandboxId }: Pod): Promise<void> => {
    await containerd.call('RuntimeService/StopPodSandbox', { podSandboxId });
    await containerd.call('RuntimeService/StopPodSandbox', { podSandboxId });
    await containerd.call('RuntimeService/RemovePodSandbox', { podSandboxId });
  };

  const ask = async (node: Node, container: string, servers: readonly string[]): Promise<Answer[]> =>
    allAnswers(async () =>
      answersOf(await node.containerd.exec(container, ['/tool', 'ask', '8080', ...servers])),
    );

  /** TCP and UDP to each are answered, by servers that see the address which the client has. */
  const expectUntranslated = (answers: readonly Answer[], servers: readonly string[]): void => {
    expect(answers).toHaveLength(2 * servers.length);
    expect(translated(answers)).toEqual([]);
  };

  it('pods of two nodes see each other under the addresses that they have themselves', async () => {
    const a = await runPod(first, 'a');
    const b = await runPod(second, 'b');
    expect(a.ips).toHaveLength(2);
    const inA = await runContainer(first, a, 'serve', '8080');
    const inB = await runContainer(second, b, 'serve', '8080');
    const everybody = [...a.ips, ...b.ips];
    for (const [node, container, ips] of [
      [first, inA, a.ips],
      [second, inB, b.ips],
    ] as const) {
      const answers = await ask(node, container, everybody);
      expectUntranslated(answers, everybody);
      for (const { seen, server } of answers)
        expect(seen).toContain(server.includes(':') ? `[${ips[1]}]:` : `${ips[0]}:`);
    }
    await removePod(first, a);
    await removePod(second, b);
  });

  it('containers of a pod share its addresses', async () => {
    const pod = await runPod(first, 'shared');
    const server = await runContainer(first, pod, 'serve', '8080');
    const client = await runContainer(first, pod, 'pause');
    for (const container of [server, client])
      expect(
        (await first.containerd.exec(container, ['/tool', 'addresses'])).trim().split('\n').sort(),
      ).toEqual([...pod.ips].sort());
    expectUntranslated(await ask(first, client, ['127.0.0.1', '::1']), ['127.0.0.1', '::1']);
    await removePod(first, pod);
  });

  it("a node's own processes and pods on its network reach pods of every node", async () => {
    const here = await runPod(first, 'here');
    const there = await runPod(second, 'there');
    await runContainer(first, here, 'serve', '8080');
    await runContainer(second, there, 'serve', '8080');
    const agent = await runPod(first, 'agent', {
      security_context: { namespace_options: { network: 'NODE' } },
    });
    const inAgent = await runContainer(first, agent, 'pause');
    const pods = [...here.ips, ...there.ips];
    expectUntranslated(await ask(first, inAgent, pods), pods);
    for (const address of pods)
      await first.machine.must(['ping', '-c', '3', '-i', '0.2', '-W', '10', address]);
    for (const [node, pod] of [
      [first, here],
      [second, there],
      [first, agent],
    ] as const)
      await removePod(node, pod);
  });

  it('a pod that is gone leaves nothing, and its address is used again', async () => {
    const before = await traces(first);
    const pods = await Promise.all([...'abcdefgh'].map((name) => runPod(first, `many-${name}`)));
    expect(new Set(pods.flatMap(({ ips }) => ips)).size).toBe(2 * pods.length);
    await Promise.all(pods.map((pod) => removePod(first, pod)));
    await expect.poll(() => traces(first), { timeout: 30_000 }).toEqual(before);
  });
});
