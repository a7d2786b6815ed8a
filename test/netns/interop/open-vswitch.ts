/** Open vSwitch as the foreign end of topology.ts. */
import { ground } from '../../../src/bench/ground.ts';
import { openVswitch } from '../../../src/bench/peers/open-vswitch.ts';
import { type Family, names } from './setup.ts';
import { far, near, podMTU, vni } from './topology.ts';

export async function openVswitchEnd(type: 'geneve' | 'vxlan', family: Family): Promise<AsyncDisposable> {
  const place = ground();
  try {
    const tunnel = { type, vni, family, mtu: podMTU[family] };
    await openVswitch(names.peer, names.far, far, near, tunnel, place);
    return place;
  } catch (error) {
    const logs = place.logs();
    await place[Symbol.asyncDispose]();
    throw new Error(`${error instanceof Error ? error.message : error}\n${logs}`);
  }
}
