/**
 * The data path's own matcher, asked without packets: the tables that a daemon with certain pods would load, and
 * policyCell over them.
 */
import {
  CLASS_UNKNOWN,
  ENDPOINT_FLAGS,
  ENDPOINT_IDENTITY,
  ENDPOINT_IS_NODE,
  POLICY_CELL_ALLOW,
  POLICY_CELL_DECISION,
  POLICY_SET_SIZE,
  PORT_EGRESS_SET,
  PORT_INGRESS_SET,
  PREFIX_TARGET,
} from '../../asm/layout/tables.ts';
import { type Config, configSchema } from '../config/schema.ts';
import type { Cluster } from '../control/cluster.ts';
import { type Desired, desiredOf, podMac } from '../control/desired.ts';
import { createMemory, type Memory, planMemory } from '../dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../dataplane/module.ts';
import { fillTables } from '../dataplane/tables.ts';
import type { Address } from '../net/address.ts';
import type { CompiledPolicy, Decision, Direction } from './compiled.ts';

interface MatcherExports extends ControlExports {
  endpointFind(area: number, address: number): number;
  cidrFind(area: number, address: number): number;
  policyCell(set: number, peerClass: number, protocol: number, port: number): number;
}

/** What a pod's policies say of a peer, a protocol and a port. */
export interface Match {
  readonly isAllowed: boolean;
  readonly decision: Decision;
}

/** Node that has the pods; Kubernetes allows no node this name. */
const NODE = '.';
const MTU = 1500;
/** Room in front of each part of the tables, for its alignment. */
const ALIGNMENT = 64;
const ADDRESS_BYTES = 16;

let module: WebAssembly.Module | undefined;

export class Matcher {
  /** How many pods one matcher can judge: fewer than there are ports, so that decisions stay few enough to number. */
  static readonly capacity = 256;

  readonly #wasm: MatcherExports;
  readonly #memory: Memory;
  readonly #area: number;
  /** Where an address stands that is looked up. */
  readonly #scratch: number;
  readonly #slots: ReadonlyMap<string, number>;
  readonly #decisions: CompiledPolicy['decisions'];

  /** @param keys the pods to judge and to find as peers */
  constructor(cluster: Cluster, keys: ReadonlySet<string>) {
    const pods = cluster.pods.map((pod) => ({ ...pod, node: keys.has(pod.key) ? NODE : undefined }));
    const desired = desiredOf({ ...cluster, nodes: [], pods }, settings);
    if (desired.policy.decisions.length > POLICY_CELL_DECISION)
      throw new RangeError(`${keys.size} pods have more than ${POLICY_CELL_DECISION} policy decisions`);
    const config = { ...settings, tables: { ...settings.tables, ...needs(desired) } };
    const plan = planMemory(config);
    this.#memory = createMemory(plan);
    module ??= compileDataPath();
    this.#wasm = instantiate<MatcherExports>(module, this.#memory.wasm);
    this.#area = plan.areas[0];
    this.#slots = new Map([...desired.localPods.keys()].map((pod, slot) => [pod, slot]));
    this.#decisions = desired.policy.decisions;
    const ports = [...desired.localPods].map(
      ([key, pod], slot) => ({ slot, kind: 'pod', pod: key, mac: podMac(pod), mtu: MTU }) as const,
    );
    const decisions = desired.policy.decisions.map((_, number) => number);
    fillTables(this.#wasm, this.#memory, this.#area, plan.areaSize, 2, {
      desired,
      config,
      ports,
      tunnels: new Map(),
      decisions,
    });
    this.#scratch = this.#wasm.tablesAlloc(this.#area, BigInt(ADDRESS_BYTES)) >>> 0;
  }

  /**
   * @param pod one of the keys
   * @param protocol number in the IP header
   * @param port of the destination, 0 where the protocol has none
   * @returns undefined where no policy isolates the pod in that direction
   */
  match(pod: string, direction: Direction, peer: Address, protocol: number, port: number): Match | undefined {
    const slot = this.#slots.get(pod);
    if (slot === undefined) throw new TypeError(`pod ${pod} is none of those to judge`);
    const row = this.#wasm.portRow(this.#area, slot) >>> 0;
    const set = this.#u32(row + (direction === 'egress' ? PORT_EGRESS_SET : PORT_INGRESS_SET));
    if (set === 0) return undefined;
    const cell = this.#wasm.policyCell(set, this.#classOf(peer), protocol, port);
    const decision = this.#decisions[cell & POLICY_CELL_DECISION];
    if (!decision) throw new TypeError(`cell ${cell >>> 0} names no decision`);
    return { isAllowed: (cell & POLICY_CELL_ALLOW) !== 0, decision };
  }

  /** As classOf in asm/stage/policy.ts. */
  #classOf({ bytes }: Address): number {
    this.#memory.bytes.set(bytes, this.#scratch);
    const endpoint = this.#wasm.endpointFind(this.#area, this.#scratch) >>> 0;
    if (endpoint !== 0 && !(this.#memory.view.getUint16(endpoint + ENDPOINT_FLAGS, true) & ENDPOINT_IS_NODE))
      return this.#u32(endpoint + ENDPOINT_IDENTITY);
    const block = this.#wasm.cidrFind(this.#area, this.#scratch) >>> 0;
    return block === 0 ? CLASS_UNKNOWN : this.#u32(block + PREFIX_TARGET);
  }

  #u32(at: number): number {
    return this.#memory.view.getUint32(at, true);
  }
}

/** Only the policy and the pods of these tables are asked for: a node without peers, and few flows. */
const settings: Config = {
  ...configSchema.parse({
    node: 'node',
    store: { type: 'file', directory: '/' },
    underlay: { addresses: ['::1'] },
    tables: { flows: 1024, tunnels: 1, routes: 16 },
  }),
  node: NODE,
};

/** Sizes that hold the tables whatever the policies. */
function needs({ endpoints, policy: { rows, pages, sets, blocks } }: Desired) {
  const bytes = (list: { readonly byteLength: number }) => list.byteLength + ALIGNMENT;
  const setBytes = ({ rows, maps }: CompiledPolicy['sets'][number]) =>
    POLICY_SET_SIZE +
    4 * (rows.length + maps.TCP.length + maps.UDP.length + maps.SCTP.length) +
    5 * ALIGNMENT;
  const parts = [...rows.map(bytes), ...pages.map(bytes), ...sets.map(setBytes), ADDRESS_BYTES + ALIGNMENT];
  return {
    endpoints: endpoints.length,
    cidrs: blocks.length,
    policyBytes: parts.reduce((sum, part) => sum + part, 0),
  };
}
