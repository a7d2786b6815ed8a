// `overweft bench`: that it measures everybody it names and cleans up; what it measures is for people to judge.
import { describe, expect, it } from 'vitest';
import { cases } from '../../src/bench/cases.ts';
import { leftovers } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { overweft } from '../support/run.ts';

const byName = (name: string) => cases.find((one) => one.name === name);

describeWith([root, tun, command('cc'), command('ethtool')], 'bench', () => {
  it('measures throughput, small packets and round trips beside the kernel', {
    timeout: 120_000,
  }, async () => {
    const names = [
      'tcp/plain/geneve/ipv4',
      'udp16/unlimited/plain/1-flow',
      'latency/beside-bulk',
      'same-node/tcp',
    ];
    const args = ['--pairs', '1', '--only', `^(${names.join('|')})$`, '--json'];
    const { status, stdout, stderr } = await overweft(['bench', ...args], { timeoutMs: 110_000 });
    expect(status, stderr).toBe(0);
    const { machine, contestants, figures, idle } = JSON.parse(stdout);
    expect(machine.cores).toBeGreaterThan(0);
    expect(idle).toEqual([]);
    for (const name of names) {
      const [figure] = figures.filter((one: { name: string }) => one.name === name);
      expect(figure.unit).toBe(byName(name)?.figures[0]?.unit);
      for (const { peer, ratio, met } of figure.comparisons) {
        const [own, theirs] = [figure.values.overweft, figure.values[peer]];
        expect(own).toHaveLength(1);
        expect(ratio.median).toBeCloseTo(own[0] / theirs[0]);
        // One pair tells nothing about how far it can be trusted.
        expect([ratio.low, ratio.high, met]).toEqual([null, null, null]);
      }
    }
    const present = contestants.map((one: { name: string }) => one.name);
    expect(present).toEqual(expect.arrayContaining(['kernel', 'bridge']));
    expect(leftovers()).toEqual([]);
  });

  it('names its cases', async () => {
    const { stdout } = await overweft(['bench', '--list', '--only', 'latency']);
    expect(stdout.trimEnd().split('\n')).toEqual(
      cases.map(({ name }) => name).filter((name) => name.startsWith('latency/')),
    );
  });

  it('says that no case matches', async () => {
    const { status, stderr } = await overweft(['bench', '--only', 'nothing-of-the-kind']);
    expect(status).toBe(1);
    expect(stderr).toContain('no case matches');
  });
});

describe('cases of the bench', () => {
  it('have names of their own', () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });
});
