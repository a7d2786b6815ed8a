/**
 * Which node answers for each load balancer's address on the local network. Every node works it out by itself; nodes
 * that know the same of the cluster come to the same answer.
 *
 *     address in a pool ─► nodes alive and not excluded, where the policy is Local with a ready endpoint ─► rendezvous hash ─► one node
 *
 * With a node that comes or goes only the addresses move that it gets or had (Thaler, Ravishankar, 1998).
 */
import { createHash } from 'node:crypto';
import type { Labels } from '../control/selectors.ts';
import type { Address } from '../net/address.ts';
import { contains, type Prefix } from '../net/prefix.ts';
import type { CompiledPort, CompiledService } from './compile.ts';

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

/**
 * Whether a node may speak for load balancers' addresses. The label keeps it out by being there, whatever its value
 * (https://kubernetes.io/docs/reference/labels-annotations-taints/).
 */
export const maySpeak = (labels: Labels): boolean => !Object.hasOwn(labels, EXCLUDED);

export interface Speaker {
  readonly address: Address;
  /** `namespace/name` of those whose address it is. */
  readonly services: readonly string[];
  /** Undefined: no node could do anything with what comes there. */
  readonly node: string | undefined;
}

/**
 * @param pools addresses that the cluster has to itself on the local network
 * @param alive names of the nodes that may speak
 */
export function speakersOf(
  services: Iterable<CompiledService>,
  pools: readonly Prefix[],
  alive: readonly string[],
): Speaker[] {
  const claims = new Map<string, { address: Address; services: Set<string>; ports: CompiledPort[] }>();
  for (const { key, ports } of services) {
    for (const port of ports) {
      for (const { kind, address } of port.frontends) {
        if (kind !== 'load-balancer' || !pools.some((pool) => contains(pool, address))) continue;
        const claim = claims.get(address.text) ?? { address, services: new Set(), ports: [] };
        claims.set(address.text, claim);
        claim.services.add(key);
        claim.ports.push(port);
      }
    }
  }
  return [...claims.values()].map(({ address, services: keys, ports }) => ({
    address,
    services: [...keys].sort(),
    node: winner(address, ports, alive),
  }));
}

/** Where several ports share the address, a node that can serve all of them, or else one that can serve some. */
function winner(
  address: Address,
  ports: readonly CompiledPort[],
  alive: readonly string[],
): string | undefined {
  const able = ports.map((port) => {
    if (!port.hasAny) return new Set<string>();
    return port.externalPolicy === 'Cluster' ? new Set(alive) : nodesWithEndpoints(port);
  });
  const all = alive.filter((node) => able.every((nodes) => nodes.has(node)));
  const some = alive.filter((node) => able.some((nodes) => nodes.has(node)));
  return highest(address, all.length > 0 ? all : some);
}

/** Nodes of the endpoints that may be used somewhere: what hints keep from this node, others use. */
function nodesWithEndpoints({ Cluster }: CompiledPort): Set<string> {
  const near = Cluster?.backends ?? [];
  const far = (Cluster?.leftOut ?? [])
    .filter(({ reason }) => reason === 'other-node' || reason === 'other-zone')
    .map(({ endpoint }) => endpoint);
  const usable = [...near, ...far];
  const ready = usable.filter(({ state }) => state === 'ready');
  const nodes = (ready.length > 0 ? ready : usable).map(({ node }) => node);
  return new Set(nodes.filter((node) => node !== undefined));
}

function highest({ text }: Address, nodes: readonly string[]): string | undefined {
  let best: { readonly node: string; readonly score: string } | undefined;
  for (const node of nodes) {
    const score = createHash('sha256').update(`${text}\n${node}`).digest('hex');
    if (!best || score > best.score) best = { node, score };
  }
  return best?.node;
}
