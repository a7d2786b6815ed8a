import { expect, it } from 'vitest';
import { bandwidthOf } from '../../src/cni/bandwidth.ts';

it('takes rates and bursts in bits, each direction by itself', () => {
  expect(bandwidthOf({ ingressRate: 10e6, ingressBurst: 1e6 })).toEqual({
    ingress: { rate: 10e6, burst: 1e6 },
  });
  expect(bandwidthOf({ egressRate: 1e9, egressBurst: 5e6, ingressRate: 0, ingressBurst: 0 })).toEqual({
    egress: { rate: 1e9, burst: 5e6 },
  });
});

it('limits nothing where no rate is asked for', () => {
  for (const nothing of [undefined, null, {}, { ingressRate: 0, egressRate: null }, { ingressBurst: 1000 }])
    expect(bandwidthOf(nothing)).toBeUndefined();
});

it.each([undefined, 0, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 63])(
  'chooses a burst itself where the runtime sends %s',
  (ingressBurst) => {
    expect(bandwidthOf({ ingressRate: 1e9, ingressBurst })).toEqual({ ingress: { rate: 1e9, burst: 1e7 } });
    expect(bandwidthOf({ ingressRate: 1e6, ingressBurst })).toEqual({
      ingress: { rate: 1e6, burst: 524_288 },
    });
  },
);
