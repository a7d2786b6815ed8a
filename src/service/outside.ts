// Where clients from outside the cluster knock: what a node must take before its own kernel does.
import type { Protocol } from '../control/object-fields.ts';
import type { Address } from '../net/address.ts';
import type { CompiledService } from './compile.ts';
import type { Frontend } from './ports.ts';

/** Of both families, as nftables writes them. */
export interface Knocks {
  /** Address, protocol and port: `192.0.2.1 . tcp . 30080`. */
  readonly frontends: { readonly 4: ReadonlySet<string>; readonly 6: ReadonlySet<string> };
  /** Addresses that belong to Services alone: nothing else of the node may answer there. */
  readonly addresses: { readonly 4: ReadonlySet<string>; readonly 6: ReadonlySet<string> };
}

/**
 * Every frontend of the services that is no cluster IP: those have no way to a node from outside.
 * @param reserved addresses that belong to Services alone
 * @param isOwn what the node needs for itself: nobody may take it by naming it in a Service
 */
export function knocksOf(
  services: Iterable<CompiledService>,
  reserved: readonly Address[],
  isOwn: (protocol: Protocol, frontend: Frontend) => boolean,
): Knocks {
  const frontends = { 4: new Set<string>(), 6: new Set<string>() };
  for (const { ports } of services)
    for (const { family, protocol, frontends: list } of ports)
      for (const frontend of list)
        if (frontend.kind !== 'cluster-ip' && !isOwn(protocol, frontend))
          frontends[family].add(`${frontend.address.text} . ${protocol.toLowerCase()} . ${frontend.port}`);
  const addresses = { 4: new Set<string>(), 6: new Set<string>() };
  for (const { family, text } of reserved) addresses[family].add(text);
  return { frontends, addresses };
}
