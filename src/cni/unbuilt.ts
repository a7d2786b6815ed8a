// What a runtime may ask for that Overweft does not do: an error rather than silence.
import type { NetworkConfig } from './call.ts';
import { isDelegated } from './call.ts';
import { CniError, codes } from './error.ts';

/** Capability to what is missing. */
const unbuilt: Readonly<Record<string, string>> = {
  deviceID: 'Overweft makes its interfaces itself',
  infinibandGUID: 'Overweft makes Ethernet interfaces only',
};

/**
 * Nothing that is asked for may be left out in silence; what does not concern the network is no one's loss.
 * @throws CniError naming field and value
 */
export function refuseUnbuilt(config: NetworkConfig): void {
  const { runtimeConfig = {} } = config;
  const asked = { ...runtimeConfig } as Record<string, unknown>;
  const reasons = isDelegated(config)
    ? unbuilt
    : { ...unbuilt, ipRanges: "the daemon hands out addresses of the node's podCIDRs only" };
  for (const [name, reason] of Object.entries(reasons)) {
    const value = asked[name];
    if (isNothing(value)) continue;
    throw new CniError(codes.unsupportedField, `runtimeConfig.${name}: ${JSON.stringify(value)}: ${reason}`);
  }
}

/** Runtimes send empty lists, and rates of zero, where nothing is asked for. */
function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0) return true;
  return typeof value === 'object' && Object.values(value).every(isNothing);
}
