/**
 * The Services' part of a table area (asm/layout/services.ts draws it):
 *
 *     CompiledPort ──► pools, a block each      claims ──► frontends, which lead to pools
 *
 * Each Service is written by itself: what a change does not touch stays where it is.
 */
import {
  BACKEND_PORT,
  BACKEND_SIZE,
  FRONTEND_ADDRESS_ONLY,
  FRONTEND_CLUSTER_IP,
  FRONTEND_EXTERNAL_IP,
  FRONTEND_HOST_PORT,
  FRONTEND_LOAD_BALANCER,
  FRONTEND_NODE_PORT,
  POOL_AFFINITY,
  POOL_BACKENDS,
  POOL_BACKENDS_COUNT,
  POOL_EMPTY,
  POOL_KEY,
  POOL_KEY_PORT,
  POOL_RANGES,
  POOL_RANGES_COUNT,
  POOL_RANGES_HAVE_NODE,
  POOL_SIZE,
  POOL_SLOTS,
  POOL_SLOTS_COUNT,
  POOL_USED_COUNT,
  RANGE_ADDRESS,
  RANGE_MASK,
  RANGE_SIZE,
} from '../../asm/layout/services.ts';
import { TABLES_HOST_PORTS } from '../../asm/layout/tables.ts';
import { Verdict } from '../../asm/verdict.ts';
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../../asm/wire/protocol.ts';
import type { Protocol } from '../control/object-fields.ts';
import { type Address, words } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { CompiledPort, Pool, ServiceCompiler } from '../service/compile.ts';
import { isNodeInRange } from '../service/decide.ts';
import type { Endpoint } from '../service/endpoints.ts';
import type { Frontend, ServicePort } from '../service/ports.ts';
import type { AreaWriter } from './area-writer.ts';
import { Heap } from './heap.ts';
import type { ControlExports } from './module.ts';
import { TablesFull } from './table-fault.ts';

/** What is asked of the Services of a node. */
export type Services = Pick<ServiceCompiler, 'services' | 'frontends' | 'hasHostPorts' | 'node'>;

const kinds: Record<Frontend['kind'], number> = {
  'cluster-ip': FRONTEND_CLUSTER_IP,
  'node-port': FRONTEND_NODE_PORT,
  'load-balancer': FRONTEND_LOAD_BALANCER,
  'external-ip': FRONTEND_EXTERNAL_IP,
  'host-port': FRONTEND_HOST_PORT,
};

const protocols: Record<Protocol, number> = { TCP: PROTOCOL_TCP, UDP: PROTOCOL_UDP, SCTP: PROTOCOL_SCTP };

interface Block {
  readonly at: number;
  readonly bytes: number;
}

/** What stands in the area of one port of a Service. */
interface Place {
  readonly port: CompiledPort;
  readonly Cluster: Block | undefined;
  readonly Local: Block | undefined;
}

/** How much of the Services' part is in use. */
export interface ServiceUse {
  readonly services: number;
  readonly frontends: number;
  readonly serviceBytes: number;
}

export class ServiceTables {
  readonly #wasm: ControlExports;
  readonly #to: AreaWriter;
  readonly #heap: Heap;
  readonly #capacity: { readonly frontends: number; readonly serviceBytes: number };
  /** By key of the Service, then by `portKey`. */
  readonly #places = new Map<string, Map<string, Place>>();
  /** Those in the hash, by what they are looked up by. */
  readonly #frontends = new Set<string>();

  /** Takes room from where the area is free now. */
  constructor(
    wasm: ControlExports,
    to: AreaWriter,
    capacity: { readonly frontends: number; readonly serviceBytes: number },
  ) {
    this.#wasm = wasm;
    this.#to = to;
    this.#capacity = capacity;
    if (!wasm.frontendsAlloc(to.area, capacity.frontends))
      throw new RangeError('a table area does not hold its own frontends');
    this.#heap = new Heap(to.reserve(capacity.serviceBytes), capacity.serviceBytes);
  }

  get use(): ServiceUse {
    return {
      services: this.#places.size,
      frontends: this.#frontends.size,
      serviceBytes: this.#heap.used,
    };
  }

  /**
   * Brings the area up to date.
   * @param touched keys of the Services that are not as they were when it was last written; undefined: all
   * @throws TablesFull: the area is of no use until all is written
   */
  write(services: Services, touched?: Iterable<string>): void {
    this.#to.u32(this.#to.area + TABLES_HOST_PORTS, services.hasHostPorts ? 1 : 0);
    if (touched && this.#update(services, touched)) return;
    this.#clear();
    if (!this.#update(services, services.services.keys()))
      throw new TablesFull('serviceBytes', this.#capacity.serviceBytes, bytesOf(services));
  }

  #clear(): void {
    for (const places of this.#places.values())
      for (const { port } of places.values()) for (const one of port.frontends) this.#remove(port, one);
    this.#places.clear();
    this.#heap.clear();
  }

  /** @returns false where there is not room enough */
  #update(services: Services, touched: Iterable<string>): boolean {
    const stale: { readonly port: ServicePort; readonly frontends: readonly Frontend[] }[] = [];
    for (const key of touched) {
      const before = this.#places.get(key);
      for (const { port, Cluster, Local } of before?.values() ?? []) {
        stale.push({ port, frontends: port.frontends });
        for (const block of [Cluster, Local]) if (block) this.#heap.give(block.at, block.bytes);
      }
      const ports = services.services.get(key)?.ports ?? [];
      if (ports.length === 0) {
        this.#places.delete(key);
        continue;
      }
      const places = new Map<string, Place>();
      this.#places.set(key, places);
      for (const port of ports) {
        const Cluster = port.Cluster && this.#writePool(port, port.Cluster, services);
        const Local = port.Local && this.#writePool(port, port.Local, services);
        if ((port.Cluster && !Cluster) || (port.Local && !Local)) return false;
        places.set(portKey(port), { port, Cluster, Local });
        stale.push({ port, frontends: port.frontends });
      }
    }
    for (const { port, frontends } of stale)
      for (const one of frontends) this.#settle(services, port.protocol, one);
    return true;
  }

  /** Whoever has the address and port now: it may be a Service that was not touched. */
  #settle(services: Services, protocol: Protocol, { address, port: number }: Frontend): void {
    const { find, isClusterIP } = bound(services);
    const claim = find(protocol, address, number);
    const place = claim && this.#places.get(claim.port.service)?.get(portKey(claim.port));
    if (claim && place) {
      const { inside, outside } = poolsOf(place, claim.frontend);
      this.#put(address, protocols[protocol], number, kinds[claim.frontend.kind], inside, outside);
    } else this.#take(address, protocols[protocol], number);
    if (isClusterIP(address)) this.#put(address, 0, 0, FRONTEND_ADDRESS_ONLY, 0, 0);
    else this.#take(address, 0, 0);
  }

  #remove({ protocol }: ServicePort, { address, port }: Frontend): void {
    this.#take(address, protocols[protocol], port);
    this.#take(address, 0, 0);
  }

  #put(
    address: Address,
    protocol: number,
    port: number,
    kind: number,
    inside: number,
    outside: number,
  ): void {
    const { area } = this.#to;
    if (!this.#wasm.frontendPut(area, ...words(address), protocol, port, kind, inside, outside))
      throw new TablesFull('frontends', this.#capacity.frontends, this.#frontends.size + 1);
    this.#frontends.add(`${address.text} ${protocol} ${port}`);
  }

  #take(address: Address, protocol: number, port: number): void {
    if (!this.#frontends.delete(`${address.text} ${protocol} ${port}`)) return;
    this.#wasm.frontendRemove(this.#to.area, ...words(address), protocol, port);
  }

  /** @returns undefined where there is not room enough */
  #writePool(port: CompiledPort, pool: Pool, { node }: Services): Block | undefined {
    const backends = [...pool.backends, ...keptBy(pool)];
    const ranges = rangesOf(port);
    const slotsAt = POOL_SIZE;
    const backendsAt = slotsAt + Math.ceil((2 * pool.slots.length) / 8) * 8;
    const rangesAt = backendsAt + backends.length * BACKEND_SIZE;
    const bytes = rangesAt + ranges.length * RANGE_SIZE;
    const at = this.#heap.take(bytes);
    if (at === undefined) return undefined;
    const block = new Uint8Array(bytes);
    const view = new DataView(block.buffer);
    const u32 = (offset: number, value: number) => view.setUint32(offset, value, true);
    u32(POOL_SLOTS, at + slotsAt);
    u32(POOL_SLOTS_COUNT, pool.slots.length);
    u32(POOL_BACKENDS, at + backendsAt);
    u32(POOL_BACKENDS_COUNT, backends.length);
    u32(POOL_USED_COUNT, pool.backends.length);
    u32(POOL_AFFINITY, (port.affinitySeconds ?? 0) * 1000);
    u32(POOL_EMPTY, port.hasAny ? Verdict.ServiceNoLocalEndpoint : Verdict.ServiceNoEndpoint);
    const own = port.frontends.find(({ kind }) => kind === 'cluster-ip');
    if (own) {
      u32(POOL_KEY_PORT, (protocols[port.protocol] << 16) | own.port);
      block.set(own.address.bytes, POOL_KEY);
    }
    if (port.sourceRanges.length > 0) {
      u32(POOL_RANGES, at + rangesAt);
      u32(POOL_RANGES_COUNT, ranges.length);
      u32(POOL_RANGES_HAVE_NODE, isNodeInRange(port, node) ? 1 : 0);
    }
    for (const [i, { address, bits }] of ranges.entries()) {
      block.set(address.bytes, rangesAt + i * RANGE_SIZE + RANGE_ADDRESS);
      block.set(maskOf(bits), rangesAt + i * RANGE_SIZE + RANGE_MASK);
    }
    block.set(new Uint8Array(pool.slots.buffer, pool.slots.byteOffset, pool.slots.byteLength), slotsAt);
    for (const [i, { address, port: number }] of backends.entries()) {
      const row = backendsAt + i * BACKEND_SIZE;
      block.set(address.bytes, row);
      view.setUint16(row + BACKEND_PORT, number, true);
    }
    this.#to.bytes(at, block);
    return { at, bytes };
  }
}

/** Ranges of the other family say nothing here, but that there are ranges. */
const rangesOf = ({ sourceRanges, family }: CompiledPort): readonly Prefix[] =>
  sourceRanges.filter(({ address }) => address.family === family);

/** 16 bytes of which the first bits are set. */
const maskOf = (bits: number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, i) => 0xff00 >> Math.min(8, Math.max(0, bits - 8 * i)));

/** Left out, but serving: UDP clients that they have stay with them. */
const keptBy = ({ leftOut }: Pool): Endpoint[] =>
  leftOut.flatMap(({ endpoint }) =>
    endpoint.state === 'ready' || endpoint.state === 'draining' ? [endpoint] : [],
  );

/** Pods and the node reach external addresses under the policy Cluster, as decide.ts has it. */
function poolsOf({ port, Cluster, Local }: Place, { kind }: Frontend): { inside: number; outside: number } {
  const at = (policy: 'Cluster' | 'Local') => (policy === 'Cluster' ? Cluster : Local)?.at ?? 0;
  return kind === 'cluster-ip' || kind === 'host-port'
    ? { inside: at(port.internalPolicy), outside: at(port.internalPolicy) }
    : { inside: at('Cluster'), outside: at(port.externalPolicy) };
}

const portKey = ({ family, name, protocol }: ServicePort): string => `${family} ${protocol} ${name}`;

const bound = ({ frontends }: Services) => ({
  find: frontends.find.bind(frontends),
  isClusterIP: frontends.isClusterIP.bind(frontends),
});

/** Bytes that all pools take. */
function bytesOf({ services }: Services): number {
  let bytes = 0;
  for (const { ports } of services.values())
    for (const { Cluster, Local } of ports)
      for (const pool of [Cluster, Local])
        if (pool)
          bytes +=
            POOL_SIZE +
            2 * pool.slots.length +
            BACKEND_SIZE * (pool.backends.length + keptBy(pool).length) +
            POOL_SIZE;
  return bytes;
}
