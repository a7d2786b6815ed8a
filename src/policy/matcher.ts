/**
 * The data path's own matcher, asked without packets: the tables that a daemon with certain pods would load, and
 * policyCell over them.
 */
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IDENTITY,
  ENDPOINT_IS_NODE,
  POLICY_CELL_ALLOW,
  POLICY_CELL_DECISION,
  PORT_EGRESS_SET,
  PORT_INGRESS_SET,
  PORT_NODE_SET,
} from '../../asm/layout/tables.ts';
import type { Cluster } from '../control/cluster.ts';
import { podMac } from '../control/desired.ts';
import { createMemory, type Memory, planMemory } from '../dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../dataplane/module.ts';
import { fillTables } from '../dataplane/tables.ts';
import type { Address } from '../net/address.ts';
import type { CompiledPolicy, Decision, Traffic } from './compiled.ts';
import { standIn } from './stand-in.ts';

interface MatcherExports extends ControlExports {
  endpointFind(area: number, address: number): number;
  cidrFind(area: number, address: number): number;
  policyCell(set: number, peerClass: number, protocol: number, port: number): number;
}

const MTU = 1500;
const ADDRESS_BYTES = 16;

let module: WebAssembly.Module | undefined;

const sets: Readonly<Record<Traffic, number>> = {
  ingress: PORT_INGRESS_SET,
  egress: PORT_EGRESS_SET,
  toNode: PORT_NODE_SET,
};

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
    const { config, desired } = standIn(cluster, keys, { extraBytes: ADDRESS_BYTES });
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
    fillTables(this.#wasm, this.#memory, this.#area, plan.areaSize, 2, {
      desired,
      config,
      ports,
      tunnels: new Map(),
    });
    this.#scratch = this.#wasm.tablesAlloc(this.#area, BigInt(ADDRESS_BYTES)) >>> 0;
  }

  /**
   * @param pod one of the keys
   * @param traffic toNode: egress to the node on which the pod runs
   * @param protocol number in the IP header
   * @param port of the destination, 0 where the protocol has none
   * @returns undefined where no policy applies to the pod in that direction
   */
  match(pod: string, traffic: Traffic, peer: Address, protocol: number, port: number): Decision | undefined {
    const slot = this.#slots.get(pod);
    if (slot === undefined) throw new TypeError(`pod ${pod} is none of those to judge`);
    const row = this.#wasm.portRow(this.#area, slot) >>> 0;
    const set = this.#u32(row + sets[traffic]);
    if (set === 0) return undefined;
    const cell = this.#wasm.policyCell(set, this.#classOf(peer), protocol, port);
    const decision = this.#decisions.get(cell & POLICY_CELL_DECISION);
    const verdict = cell & POLICY_CELL_ALLOW ? 'allow' : 'deny';
    if (decision?.verdict !== verdict)
      throw new TypeError(`cell ${cell >>> 0} names no decision that says ${verdict}`);
    return decision;
  }

  /** As classOf in asm/stage/policy.ts. */
  #classOf({ bytes }: Address): number {
    this.#memory.bytes.set(bytes, this.#scratch);
    const endpoint = this.#wasm.endpointFind(this.#area, this.#scratch) >>> 0;
    if (endpoint !== 0 && !(this.#memory.view.getUint16(endpoint + ENDPOINT_FLAGS, true) & ENDPOINT_IS_NODE))
      return this.#u32(endpoint + ENDPOINT_IDENTITY);
    return this.#wasm.cidrFind(this.#area, this.#scratch) >>> 0;
  }

  #u32(at: number): number {
    return this.#memory.view.getUint32(at, true);
  }
}
