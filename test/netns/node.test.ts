// A node, its own pods and everybody else's: through the node's TAP, without address translation.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ping, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp } from '../support/lab.ts';
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
    for (const address of addresses) expect(await ping('ow-pod1', address), address).not.toBeNull();
  });

  it.each([
    ['its own pod', '10.244.1.2', 'fd00:244:1::2'],
    ["another node's pod", '10.244.2.3', 'fd00:244:2::3'],
  ])('a node reaches %s', async (_, ...addresses) => {
    for (const address of addresses) expect(await ping('ow-node1', address), address).not.toBeNull();
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

  it('leaves settings that concern every interface as they were', async () => {
    const all = await must('sysctl', ['-a', '--pattern', 'net.ipv[46].conf.all'], { netns: 'ow-node1' });
    expect(all).toBe(
      await must('sysctl', ['-a', '--pattern', 'net.ipv[46].conf.all'], { netns: 'ow-underlay' }),
    );
  });
});
