// More than one peer: every pair of pods, over a table with several tunnels.
import { expect, it } from 'vitest';
import { trafficIn } from '../../src/lab/traffic.ts';
import { labUp } from '../support/lab.ts';
import { describeWith, root, tun } from '../support/requires.ts';

describeWith([root, tun], 'three nodes', () => {
  it('carry TCP between all of six pods at once', async () => {
    await using lab = await labUp('--nodes', '3', '--pods-per-node', '2');
    await using stack = new AsyncDisposableStack();
    const bytes = 2 << 20;
    const port = 5001;
    const traffic = lab.pods.map((pod) => stack.use(trafficIn(pod.netns)));
    await Promise.all(traffic.map((pod) => pod.listen({ port, mode: 'sink' })));
    const transfers = lab.pods.flatMap((target, to) =>
      traffic
        .filter((_, from) => from !== to)
        .flatMap((pod) => target.ips.map((address) => pod.send({ address, port, bytes, hash: true }))),
    );
    expect(transfers).toHaveLength(6 * 5 * 2);
    for (const transfer of await Promise.all(transfers))
      expect(transfer).toMatchObject({ bytes, intact: true });
  });
});
