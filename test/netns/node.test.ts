// A node, its own pods and everybody else's: through the node's TAP, without address translation.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { must } from '../support/run.ts';

describeWith([root, tun], 'a node and the pods', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it.each([
    ['its own node', '192.0.2.1', '2001:db8::1'],
    ['its own node in the pod network', '10.244.1.1', 'fd00:244:1::1'],
    ['another node', '192.0.2.2', '2001:db8::2'],
    ['another node in the pod network', '10.244.2.1', 'fd00:244:2::1'],
  ])('a pod reaches %s', async (_, ...addresses) => {
    for (const address of addresses) expect(await answersPing('ow-pod1', address), address).toBe(true);
  });

  it.each([
    ['its own pod', '10.244.1.2', 'fd00:244:1::2'],
    ["another node's pod", '10.244.2.3', 'fd00:244:2::3'],
  ])('a node reaches %s', async (_, ...addresses) => {
    for (const address of addresses) expect(await answersPing('ow-node1', address), address).toBe(true);
  });

  it('a node reaches another in the pod network, though neither knows its neighbours', async () => {
    for (const address of ['10.244.2.1', 'fd00:244:2::1']) {
      for (const netns of ['ow-node1', 'ow-node2']) await must('ip', ['neigh', 'flush', 'all'], { netns });
      expect(await answersPing('ow-node1', address), address).toBe(true);
    }
  });

  it('carries TCP from a node to a pod of another node and back, intact', async () => {
    const port = 5001;
    const bytes = 16 << 20;
    await using node = trafficIn('ow-node1');
    await using pod = trafficIn('ow-pod2');
    await node.listen({ port, mode: 'sink' });
    await pod.listen({ port, mode: 'sink' });
    for (const address of ['10.244.2.3', 'fd00:244:2::3']) {
      const transfer = await node.send({ address, port, bytes, hash: true });
      expect(transfer, address).toMatchObject({ bytes, intact: true });
    }
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      const transfer = await pod.send({ address, port, bytes, hash: true });
      expect(transfer, address).toMatchObject({ bytes, intact: true });
    }
  });

  it('leaves nothing behind of another configuration', async () => {
    const [node] = lab.nodes;
    if (!node) throw new Error('no node');
    const shown = async () =>
      (
        await Promise.all(
          ['rule show', 'route show table all', 'address show dev ow-node'].flatMap((what) =>
            ['-4', '-6'].map((family) => must('ip', [family, ...what.split(' ')], { netns: node.netns })),
          ),
        )
      )
        .join('\n')
        .replaceAll(/ state \w+/g, '')
        .split('\n')
        .sort()
        .join('\n');
    const before = await shown();
    const text = readFileSync(node.config, 'utf8');
    const config = parse(text);
    const restart = async (content: string, pid: number) => {
      process.kill(pid, 'SIGTERM');
      await expect.poll(() => existsSync(`/proc/${pid}/cwd`)).toBe(false);
      writeFileSync(node.config, content);
      const daemon = startDaemon(node, program);
      await daemonReady(daemon);
      return daemon.pid;
    };
    const podNetwork = {
      ...config.podNetwork,
      routeTable: 24_501,
      rulePreference: 4501,
      clusterCIDRs: ['10.244.0.0/15', 'fd00:244::/31'],
    };
    const pid = await restart(stringify({ ...config, podNetwork }), node.pid);
    // Tables are live a moment before the interfaces follow them.
    await expect.poll(shown).not.toMatch(/4401|4402|24401|24402|10\.244\.0\.0\/16|fd00:244::\/32/);
    const other = await shown();
    expect(other).toContain('4501:\tfrom all iif lo lookup 24501');
    expect(other).toContain('10.244.0.0/15 via 169.254.1.1 dev ow-node table 24501');
    expect(await answersPing(node.netns, '10.244.2.3')).toBe(true);
    await restart(text, pid);
    await expect.poll(shown).toBe(before);
  });

  it('leaves settings that concern every interface as they were', async () => {
    const all = await must('sysctl', ['-a', '--pattern', 'net.ipv[46].conf.all'], { netns: 'ow-node1' });
    expect(all).toBe(
      await must('sysctl', ['-a', '--pattern', 'net.ipv[46].conf.all'], { netns: 'ow-underlay' }),
    );
  });
});
