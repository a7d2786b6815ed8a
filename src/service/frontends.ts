// Which port of which Service stands behind an address and port.
import { compare } from '../control/compare.ts';
import type { Protocol } from '../control/object-fields.ts';
import type { Address } from '../net/address.ts';
import { socketText } from './endpoints.ts';
import { type Frontend, frontendKinds, type ServicePort } from './ports.ts';

export interface Claim {
  readonly frontend: Frontend;
  readonly port: ServicePort;
  /** Of the Service, RFC 3339. */
  readonly created: string;
}

/**
 * Several Services may name one external address and port. A cluster IP goes before a node port, a load balancer's
 * address and an external IP in turn: nobody takes another's traffic by naming its address (CVE-2020-8554). Among equals
 * the older Service has it.
 */
export class Frontends {
  readonly #claims = new Map<string, readonly Claim[]>();
  /** By address: how many ports have it as their cluster IP. */
  readonly #clusterIPs = new Map<string, number>();

  add(ports: readonly ServicePort[], created: string): void {
    for (const port of ports) {
      for (const frontend of port.frontends) {
        const key = keyOf(port.protocol, frontend.address, frontend.port);
        const claims = [...(this.#claims.get(key) ?? []), { frontend, port, created }];
        this.#claims.set(key, claims.length === 1 ? claims : claims.sort(inOrder));
        if (frontend.kind === 'cluster-ip') this.#count(frontend.address, 1);
      }
    }
  }

  remove(ports: readonly ServicePort[]): void {
    for (const port of ports) {
      for (const frontend of port.frontends) {
        const key = keyOf(port.protocol, frontend.address, frontend.port);
        const left = this.#claims.get(key)?.filter((claim) => claim.frontend !== frontend) ?? [];
        if (left.length > 0) this.#claims.set(key, left);
        else this.#claims.delete(key);
        if (frontend.kind === 'cluster-ip') this.#count(frontend.address, -1);
      }
    }
  }

  find(protocol: Protocol, address: Address, port: number): Claim | undefined {
    return this.#claims.get(keyOf(protocol, address, port))?.[0];
  }

  /** Whether the address is a cluster IP, whatever the port. */
  isClusterIP({ text }: Address): boolean {
    return this.#clusterIPs.has(text);
  }

  /** Every cluster IP, as text. */
  clusterIPs(): Iterable<string> {
    return this.#clusterIPs.keys();
  }

  #count({ text }: Address, more: number): void {
    const count = (this.#clusterIPs.get(text) ?? 0) + more;
    if (count > 0) this.#clusterIPs.set(text, count);
    else this.#clusterIPs.delete(text);
  }
}

const keyOf = (protocol: Protocol, address: Address, port: number): string =>
  `${protocol} ${socketText(address, port)}`;

const inOrder = (a: Claim, b: Claim): number =>
  frontendKinds.indexOf(a.frontend.kind) - frontendKinds.indexOf(b.frontend.kind) ||
  compare(a.created, b.created) ||
  compare(a.port.service, b.port.service);
