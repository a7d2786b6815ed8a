import { describe, expect, it } from 'vitest';
import { type Case, cases } from '../../src/bench/cases.ts';
import { chart } from '../../src/bench/chart.ts';
import { markdown } from '../../src/bench/markdown.ts';
import { resultOf } from '../../src/bench/results.ts';
import type { RunResult } from '../../src/bench/session.ts';

const named = (name: string): Case => {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`no case ${name}`);
  return found;
};

/** Six rounds in which Overweft is at 2 Gbit/s and 2 s/GB, the kernel at 1 to 2 Gbit/s, wireguard-go at 1. */
const run: RunResult = {
  taken: [
    {
      case: named('tcp/plain/geneve/ipv4'),
      values: new Map([
        ['overweft', Array.from({ length: 6 }, () => ({ rate: 2e9, cpu: 2 }))],
        ['kernel', [1, 1.2, 1.4, 1.6, 1.8, 2].map((gigabits) => ({ rate: gigabits * 1e9, cpu: 1 }))],
        ['wireguard', Array.from({ length: 6 }, () => ({ rate: 1e9, cpu: 4 }))],
      ]),
    },
  ],
  idle: { cpu: [0.001, 0.002, 0.003, 0.004, 0.0045, 0.0048], resident: [120e6, 160e6], shared: [5e6, 5e6] },
  versions: new Map([
    ['kernel', 'Linux 6.18'],
    ['wireguard', 'v1'],
  ]),
  missing: new Map([['nebula', 'not installed: bench/peers/build']]),
};

describe('results of the bench', () => {
  const result = resultOf(run, 6);
  const [rate, cpu] = result.figures;

  it('divides round by round and holds the near end of the interval against the target', () => {
    expect(rate?.comparisons).toEqual([
      {
        peer: 'kernel',
        value: 1.5e9,
        ratio: { median: expect.closeTo((2 / 1.4 + 2 / 1.6) / 2), low: 1, high: 2 },
        target: 1.25,
        met: false,
      },
      { peer: 'wireguard', value: 1e9, ratio: { median: 2, low: 2, high: 2 }, target: 1.5, met: true },
    ]);
  });

  it('reports what has no target', () => {
    expect(cpu?.name).toBe('tcp/plain/geneve/ipv4/cpu');
    expect(cpu?.comparisons.map(({ target, met }) => [target, met])).toEqual([
      [null, null],
      [null, null],
    ]);
  });

  it('judges the idle daemon by its dearest window and its largest process', () => {
    expect(result.idle.map(({ name, met }) => [name, met])).toEqual([
      ['idle/cpu', true],
      ['idle/resident', false],
    ]);
  });

  it('become a table that names what is missing', () => {
    const lines = markdown(result, 'lab.svg').split('\n');
    expect(lines).toContain(
      '| TCP, one stream (`tcp/plain/geneve/ipv4`) | 2.00 Gbit/s | kernel VXLAN | 1.50 Gbit/s | 1.34 | 1.00–2.00 | ≥ 1.25 missed |',
    );
    expect(lines).toContain('- wireguard-go: v1; encrypts');
    expect(lines).toContain('- not measured: nebula: not installed: bench/peers/build');
  });

  it('become a chart with a dot for each ratio, where right is better', () => {
    const dots = [...chart(result).matchAll(/<circle class="(\w+)" cx="([\d.]+)"/g)];
    expect(dots.map(([, state]) => state)).toEqual(['missed', 'met', 'reported', 'reported']);
    const [kernelRate = 0, wireguardRate = 0, kernelCpu = 0, wireguardCpu = 0] = dots.map(([, , x]) =>
      Number(x),
    );
    expect(kernelRate).toBeLessThan(wireguardRate);
    // Twice the kernel's CPU is to the left of half wireguard-go's.
    expect(kernelCpu).toBeLessThan(wireguardCpu);
  });
});
