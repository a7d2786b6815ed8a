// From objects to the live epoch as the daemon does it, in real linear memory, without sockets and workers.

import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { ObjectChanges } from '../../src/control/changes.ts';
import type { Desired, DesiredDelta } from '../../src/control/desired.ts';
import { podMac } from '../../src/control/desired.ts';
import { NodeView } from '../../src/control/node-view.ts';
import { createMemory, type Memory, planMemory } from '../../src/dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../../src/dataplane/module.ts';
import { Publisher } from '../../src/dataplane/publisher.ts';
import { TableArea, type TablePort, type TableUse } from '../../src/dataplane/tables.ts';
import type { TunnelFacts } from '../../src/dataplane/tunnel-rows.ts';

const FIRST_POD_SLOT = 2;
const MTU = 1450;
const nothing = { pods: [], admitUnknown: false };

/** What one change did. */
export interface Applied {
  readonly delta: DesiredDelta | undefined;
  readonly use: TableUse;
  readonly epoch: number;
}

export class Pipeline {
  readonly config: Config;
  readonly memory: Memory;
  readonly #view: NodeView;
  readonly #areas: readonly TableArea[];
  readonly #publisher: Publisher;
  #tunnels: { readonly of: Desired['tunnels']; readonly facts: ReadonlyMap<string, TunnelFacts> } | undefined;
  #slots = new Map<string, number>();

  constructor(node: string) {
    this.config = configSchema.parse({
      node,
      store: { type: 'file', directory: '/' },
      underlay: { addresses: ['172.16.0.0'] },
      podNetwork: { clusterCIDRs: ['10.0.0.0/8', 'fd00::/32'] },
    });
    const plan = planMemory(this.config);
    this.memory = createMemory(plan);
    const wasm = instantiate<ControlExports>(compileDataPath(), this.memory.wasm);
    this.#view = new NodeView(this.config);
    this.#areas = plan.areas.map((area) => new TableArea(wasm, this.memory, area, plan.areaSize));
    this.#publisher = new Publisher(this.memory, 0, () => {});
  }

  get desired(): Desired {
    const { desired, fault } = this.#view;
    if (!desired) throw fault ?? new Error('nothing has been applied');
    return desired;
  }

  /** Returns when the change is live. */
  async apply(changes: ObjectChanges): Promise<Applied> {
    const delta = this.#view.apply(changes, nothing);
    if (this.#view.fault) throw this.#view.fault;
    const { desired } = this;
    if (delta) for (const area of this.#areas) area.mark(delta);
    const ports = this.#ports();
    const tunnels = this.#facts();
    return this.#publisher.publish((_area, _size, epoch) => {
      const area = this.#areas[epoch & 1] as TableArea;
      return { delta, epoch, use: area.write(epoch, { desired, config: this.config, ports, tunnels }) };
    });
  }

  /** Every local pod is attached, and keeps its slot. */
  #ports(): TablePort[] {
    const { localPods } = this.desired;
    for (const key of this.#slots.keys()) if (!localPods.has(key)) this.#slots.delete(key);
    const taken = new Set(this.#slots.values());
    let slot = FIRST_POD_SLOT;
    const ports = [...localPods].map(([key, pod]): TablePort => {
      while (!this.#slots.has(key) && taken.has(slot)) slot++;
      const own = this.#slots.get(key) ?? slot++;
      this.#slots.set(key, own);
      return { slot: own, kind: 'pod', pod: key, mac: podMac(pod), mtu: MTU };
    });
    return [{ slot: 0, kind: 'node', mac: new Uint8Array([2, 0, 0, 0, 0, 1]), mtu: MTU }, ...ports];
  }

  #facts(): ReadonlyMap<string, TunnelFacts> {
    const { tunnels } = this.desired;
    if (this.#tunnels?.of !== tunnels) {
      const shared = { mtu: MTU, slot: FIRST_SOCKET_SLOT, slots: 32, isInjected: false };
      this.#tunnels = {
        of: tunnels,
        facts: new Map(tunnels.map(({ key }, number) => [key, { number, ...shared }])),
      };
    }
    return this.#tunnels.facts;
  }
}
