// What the bench beside kube-proxy says of values that are known.
import { expect, it } from 'vitest';
import type { SizeResult } from '../../bench/kube-proxy/measure.ts';
import { lines, markdown, type Result } from '../../bench/kube-proxy/report.ts';

const six = (value: number) => Array.from({ length: 6 }, () => value);
const same = {
  toPods: { overweft: six(20_000), 'kube-proxy': six(40_000) },
  toServices: { overweft: six(10_000), 'kube-proxy': six(10_000) },
};
const size: SizeResult = {
  services: 1000,
  openings: same,
  streams: same,
  datagrams: same,
  changes: { overweft: [0.01, 0.01, 0.02, 0.02, 0.04, 0.04], 'kube-proxy': six(0.1) },
  starts: { overweft: [2], 'kube-proxy': [4] },
  memory: {
    overweft: { process: 100 * 2 ** 20, kernel: 0 },
    'kube-proxy': { process: 50 * 2 ** 20, kernel: undefined },
  },
};
const on = { processor: 'a processor', cores: 2, kernel: '6.18', node: 'v24', compiler: 'cc' };
const both: Result = { pairs: 6, kubeProxy: 'v1.37.1', sizes: [size] };

it('gives medians, ratios of each round, and their interval', () => {
  const text = markdown(both, on);
  expect(text).toContain('| 1000 | new TCP connections to pods, /s | 20000 | 40000 | 0.50 | 0.50–0.50 |');
  expect(text).toContain('| 1000 | a changed endpoint is used, ms | 20.0 | 100.0 | 0.20 | 0.10–0.40 |');
  // One start says nothing about how far it can be trusted.
  expect(text).toContain('| 1000 | from the start to the first connection, s | 2.0 | 4.0 | 0.50 |  |');
});

it('sets what goes through a Service beside what goes past it', () => {
  expect(markdown(both, on)).toContain(
    '| 1000 | new TCP connections | 0.50 | 0.50–0.50 | 0.25 | 0.25–0.25 |',
  );
});

it('tells the memory of the process from that of the kernel', () => {
  const text = markdown(both, on);
  expect(text).toContain('| 1000 | overweft | 100 | 0 |');
  expect(text).toContain('| 1000 | kube-proxy | 50 | not counted here |');
});

it('names kube-proxy as missing where it is, and gives the rest', () => {
  const alone = ({ overweft }: { overweft?: readonly number[] }) => ({ overweft: overweft ?? [] });
  const compared = { toPods: alone(same.toPods), toServices: alone(same.toServices) };
  const { memory, changes, starts } = size;
  const own: SizeResult = {
    ...size,
    openings: compared,
    streams: compared,
    datagrams: compared,
    changes: alone(changes),
    starts: alone(starts),
    memory: memory.overweft ? { overweft: memory.overweft } : {},
  };
  const result: Result = { ...both, kubeProxy: null, sizes: [own] };
  expect(lines(result).at(-1)).toBe('kube-proxy is missing: bench/peers/build builds it');
  expect(markdown(result, on)).toContain('| 1000 | new TCP connections to pods, /s | 20000 |  |  |  |');
});
