// The capability `bandwidth`, as https://www.cni.dev/plugins/current/meta/bandwidth/ has it.
import { z } from 'zod';
import { type Bandwidth, defaultBurst, type Rate } from '../dataplane/rates.ts';

const bits = (what: string) =>
  z
    .number({ error: `must be a number of ${what}` })
    .min(0)
    .nullish();

export const bandwidthField = z.looseObject({
  ingressRate: bits('bits a second'),
  ingressBurst: bits('bits'),
  egressRate: bits('bits a second'),
  egressBurst: bits('bits'),
});

/**
 * Runtimes that know a rate only send the largest int32 or uint32 as burst, at which a pod would go without a limit for
 * half a gigabyte: it says that nobody has asked for one.
 */
const NO_BURST = 2 ** 31 - 1;

/** What a runtime asks for; undefined where that is nothing. A burst without a rate limits nothing. */
export function bandwidthOf(
  asked: z.output<typeof bandwidthField> | null | undefined,
): Bandwidth | undefined {
  const ingress = rateOf(asked?.ingressRate, asked?.ingressBurst);
  const egress = rateOf(asked?.egressRate, asked?.egressBurst);
  return ingress || egress ? { ingress, egress } : undefined;
}

function rateOf(rate: number | null | undefined, burst: number | null | undefined): Rate | undefined {
  if (!rate) return undefined;
  return { rate, burst: burst && burst < NO_BURST ? burst : defaultBurst(rate) };
}
