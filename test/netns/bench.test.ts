// `overweft bench`: that it measures both paths and cleans up; what it measures is for people to judge.
import { expect, it } from 'vitest';
import { leftovers } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { overweft } from '../support/run.ts';

describeWith([root, tun, command('iperf3'), command('ethtool')], 'bench', () => {
  it.each(['on', 'off'])('compares with kernel VXLAN, offloads of the underlay %s', async (offloads) => {
    const args = ['--rounds', '1', '--seconds', '1', '--underlay-offloads', offloads, '--json'];
    const { status, stdout, stderr } = await overweft(['bench', ...args]);
    expect(status, stderr).toBe(0);
    const figures = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(figures.map(({ name, unit }) => [name, unit])).toEqual([
      ['tcp', 'bit/s'],
      ['udp16', 'packets/s'],
    ]);
    for (const { overweft: own, kernel, ratio } of figures) {
      for (const values of [own, kernel]) {
        expect(values).toHaveLength(1);
        expect(values[0]).toBeGreaterThan(1000);
      }
      expect(ratio).toBeCloseTo(own[0] / kernel[0]);
    }
    expect(leftovers()).toEqual([]);
  });
});
