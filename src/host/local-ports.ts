// Which ports the kernel gives to this host's own processes.
import { existsSync, readFileSync } from 'node:fs';
import type { PortRange } from '../config/fields.ts';

const RANGE = 'net.ipv4.ip_local_port_range';
const RESERVED = 'net.ipv4.ip_local_reserved_ports';

/** What the kernel says in this network namespace, of both families: ip-sysctl.rst. */
interface LocalPorts {
  /** `32768 60999`. */
  readonly range: string;
  /** `8080,9148-9150`; empty: none. */
  readonly reserved: string;
}

/** Empty where the kernel has no such setting. */
function read(name: string): string {
  const file = `/proc/sys/${name.replaceAll('.', '/')}`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

export const localPorts = (): LocalPorts => ({ range: read(RANGE), reserved: read(RESERVED) });

/** What is wrong with source ports that the host's processes may get as well, and how to mend it; undefined: nothing. */
export function sharedPorts(
  { first, last }: PortRange,
  { range, reserved }: LocalPorts,
): { readonly message: string; readonly advice: string } | undefined {
  const [lowest = 0, highest = 0] = range.split(/\s+/).map(Number);
  const kept = reserved === '' ? [] : reserved.split(',').map(rangeOf);
  const isShared = (port: number) =>
    port >= lowest && port <= highest && !kept.some((one) => port >= one.first && port <= one.last);
  const shared = Array.from({ length: last - first + 1 }, (_, i) => first + i).filter(isShared);
  if (shared.length === 0) return undefined;
  const all = [...(reserved === '' ? [] : [reserved]), `${first}-${last}`].join(',');
  return {
    message:
      `services.sourcePorts is ${first}-${last}, and the kernel gives ${shared.length} of these ports to the ` +
      `host's own processes (${RANGE} is ${lowest} ${highest}, ${RESERVED} is ${reserved || 'empty'})`,
    advice: `sysctl -w ${RESERVED}=${all}, or set services.sourcePorts to others`,
  };
}

function rangeOf(text: string): PortRange {
  const [first = 0, last = first] = text.split('-').map(Number);
  return { first, last };
}
