// Real tables in a real memory, filled by the real builder, and read the way the data path reads them.
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IDENTITY,
  ENDPOINT_IS_NODE,
  POLICY_CELL_ALLOW,
  POLICY_CELL_DECISION,
  PORT_EGRESS_SET,
  PORT_INGRESS_SET,
} from '../../asm/layout/tables.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Desired, DesiredDelta } from '../../src/control/desired.ts';
import { createMemory, type Memory, type MemoryPlan, planMemory } from '../../src/dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../../src/dataplane/module.ts';
import {
  fillTables,
  TableArea,
  type TableInput,
  type TablePort,
  type TableUse,
} from '../../src/dataplane/tables.ts';
import type { TunnelFacts } from '../../src/dataplane/tunnel-rows.ts';
import { type Address, address } from '../../src/net/address.ts';

/** Finders that the data path exports for inspection. */
interface FinderExports extends ControlExports {
  endpointFind(area: number, address: number): number;
  routeFind(area: number, address: number): number;
  cidrFind(area: number, address: number): number;
  policyCell(set: number, peerClass: number, protocol: number, port: number): number;
}

const SCRATCH = 0x800;
const module = compileDataPath();

/** One memory that is filled again and again: making one costs more than a small compilation. */
export class TestTables {
  readonly plan: MemoryPlan;
  readonly memory: Memory;
  readonly wasm: FinderExports;
  area: number;
  readonly #areas: readonly [TableArea, TableArea];
  readonly #config: Config;
  #desired: Desired | undefined;
  /** Numbers that tunnels keep, by key. */
  readonly #tunnels = new Map<string, number>();
  #epoch = 0;

  constructor(config: Config) {
    this.#config = config;
    this.plan = planMemory(config);
    this.memory = createMemory(this.plan);
    this.wasm = instantiate<FinderExports>(module, this.memory.wasm);
    this.area = this.plan.areas[0];
    const area = (at: number) => new TableArea(this.wasm, this.memory, at, this.plan.areaSize);
    this.#areas = [area(this.plan.areas[0]), area(this.plan.areas[1])];
  }

  /** Fills the area as the daemon would with every local pod attached. */
  fill(desired: Desired): TableUse {
    this.#epoch += 2;
    const { area, wasm, memory, plan } = this;
    return fillTables(wasm, memory, area, plan.areaSize, this.#epoch, this.#input(desired));
  }

  /**
   * Brings the area whose turn it is up to date, as the daemon would, and looks into that one from now on.
   * @param delta since the last time; undefined: everything may have changed
   */
  follow(desired: Desired, delta: DesiredDelta | undefined): TableUse {
    this.#epoch++;
    if (delta) for (const area of this.#areas) area.mark(delta);
    const turn = (this.#epoch & 1) as 0 | 1;
    this.area = this.plan.areas[turn];
    return this.#areas[turn].write(this.#epoch, this.#input(desired));
  }

  #input(desired: Desired): TableInput {
    this.#desired = desired;
    const shared = { mtu: 1450, slot: FIRST_SOCKET_SLOT + 1, slots: 32, isInjected: false };
    const mac = new Uint8Array([2, 0, 0, 0, 0, 1]);
    return {
      desired,
      config: this.#config,
      ports: [
        { slot: 0, kind: 'node', mac, mtu: 1450 },
        ...[...desired.localPods.keys()].map(
          (pod, i): TablePort => ({ slot: 2 + i, kind: 'pod', pod, mac, mtu: 1450 }),
        ),
      ],
      tunnels: new Map(
        desired.tunnels.map(({ key }): [string, TunnelFacts] => {
          const number = this.#tunnels.get(key) ?? this.#tunnels.size;
          this.#tunnels.set(key, number);
          return [key, { number, ...shared }];
        }),
      ),
    };
  }

  /** Key of the tunnel of a number; undefined: none. */
  tunnel(number: number): string | undefined {
    return [...this.#tunnels].find(([, one]) => one === number)?.[0];
  }

  /** What a finder answers: offset of an endpoint's row, value of a route, class of a block; 0: none. */
  find(table: 'endpoint' | 'route' | 'cidr', at: Address | string): number {
    const { bytes } = typeof at === 'string' ? address(at) : at;
    this.memory.bytes.set(bytes, SCRATCH);
    return this.wasm[`${table}Find`](this.area, SCRATCH) >>> 0;
  }

  u32(at: number): number {
    return this.memory.view.getUint32(at, true);
  }

  u16(at: number): number {
    return this.memory.view.getUint16(at, true);
  }

  u8(at: number): number {
    return this.memory.view.getUint8(at);
  }

  hex(at: number, length: number): string {
    return Buffer.from(this.memory.bytes.slice(at, at + length)).toString('hex');
  }

  portRow(pod: string): number {
    const slot = [...(this.#desired?.localPods.keys() ?? [])].indexOf(pod) + 2;
    return this.wasm.portRow(this.area, slot) >>> 0;
  }

  /** Whether a local pod may talk with a peer, one direction alone. */
  allows(
    pod: string,
    direction: 'ingress' | 'egress',
    peer: string,
    protocol: number,
    port: number,
  ): boolean {
    const set = this.u32(this.portRow(pod) + (direction === 'ingress' ? PORT_INGRESS_SET : PORT_EGRESS_SET));
    return set === 0 || (this.cell(set, this.classOf(peer), protocol, port) & POLICY_CELL_ALLOW) !== 0;
  }

  /** Number of the decision behind that answer; 0 where no policy applies. */
  decision(
    pod: string,
    direction: 'ingress' | 'egress',
    peer: string,
    protocol: number,
    port: number,
  ): number {
    const set = this.u32(this.portRow(pod) + (direction === 'ingress' ? PORT_INGRESS_SET : PORT_EGRESS_SET));
    return set === 0 ? 0 : this.cell(set, this.classOf(peer), protocol, port) & POLICY_CELL_DECISION;
  }

  classOf(peer: string): number {
    const endpoint = this.find('endpoint', peer);
    if (endpoint !== 0 && !(this.u16(endpoint + ENDPOINT_FLAGS) & ENDPOINT_IS_NODE))
      return this.u32(endpoint + ENDPOINT_IDENTITY);
    return this.find('cidr', peer);
  }

  cell(set: number, policyClass: number, protocol: number, port: number): number {
    return this.wasm.policyCell(set, policyClass, protocol, port) >>> 0;
  }
}
