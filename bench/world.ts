/**
 * A node with live tables and prepared traffic: everything around the data path but the kernel.
 *
 *     node-1, measured            node-2, the peer
 *     pods 10.244.1.2 … .129      pods 10.244.2.2 … .129
 *
 * Every pod of node-1 is isolated in both directions, so that policy has something to decide.
 */
import { FLOWS_EPOCH, FLOWS_MAGIC } from '../asm/layout/flows.ts';
import {
  CONTROL_CLOCK,
  CONTROL_EPOCH,
  CONTROL_FLOWS,
  CONTROL_MAX_BATCH,
  CONTROL_OFFLOADS,
  CONTROL_SEED,
  CONTROL_SOCKET_KINDS,
  FIRST_SOCKET_SLOT,
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
  WORKER_STRIDE,
  WORKER_VERDICTS,
} from '../asm/layout/memory.ts';
import {
  PORT_EGRESS_SET,
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_VXLAN,
  TABLES_EPOCH,
} from '../asm/layout/tables.ts';
import type { Verdict } from '../asm/verdict.ts';
import { parseConfig } from '../src/config/load.ts';
import type { Config, Encapsulation } from '../src/config/schema.ts';
import { changesBetween } from '../src/control/changes.ts';
import { clusterOf } from '../src/control/cluster.ts';
import { type Desired, desiredOf } from '../src/control/desired.ts';
import { readManifests } from '../src/control/manifests.ts';
import type { Tunnel } from '../src/control/topology.ts';
import { createMemory, type Memory, planMemory, workerBase } from '../src/dataplane/memory.ts';
import {
  type ControlExports,
  compileDataPath,
  instantiate,
  type WorkerExports,
} from '../src/dataplane/module.ts';
import { fillTables, type TablePort, type TableUse } from '../src/dataplane/tables.ts';
import { overhead } from '../src/dataplane/tunnel-header.ts';
import { type Address, address } from '../src/net/address.ts';
import type { Mac } from '../src/net/mac.ts';
import { ServiceCompiler } from '../src/service/compile.ts';
import type { Receiving } from './burst.ts';
import { instantiateStages, type Stages, type Twin } from './twin.ts';

export const PODS = 128;
/** Even: tables lie in area A. */
const EPOCH = 2;
const NODE_PORT = 0;
const FIRST_POD_PORT = 2;
const MTU = 1500;
const SENDING_SLOT = FIRST_SOCKET_SLOT + 1;
const SENDING_SLOTS = 32;
/** Any time will do; expiry must not be near. */
const NOW = 1_000_000;

export interface WorldOptions {
  readonly encapsulation: Encapsulation;
  readonly payload?: 'ethernet' | 'ip';
  readonly underlay?: 'ipv4' | 'ipv6';
  /** Objects beside the nodes and their pods: policies, more pods. */
  readonly objects?: readonly object[];
  readonly tables?: Partial<Config['tables']>;
  /** Workers that the memory has room for; `dataPath` is the first one's. */
  readonly workers?: number;
}

export class World {
  readonly memory: Memory;
  readonly base = workerBase(0);
  readonly dataPath: WorkerExports;
  readonly stages: Stages;
  readonly desired: Desired;
  readonly tunnel: Tunnel;
  readonly tunnelNumber: number;
  /** Largest inner packet of the tunnel. */
  readonly mtu: number;
  readonly twin: Twin;
  readonly config: Config;
  readonly use: TableUse;
  /** From objects to live tables. */
  readonly compileMs: number;
  readonly #flows: { readonly offset: number; readonly size: number };
  readonly #control: ControlExports;
  readonly #area: number;

  constructor(options: WorldOptions, twin: Twin) {
    const { encapsulation, payload = 'ethernet', underlay = 'ipv4', objects = [isolation] } = options;
    const { tables, workers = 1 } = options;
    const config = parseConfig(
      JSON.stringify({
        node: 'node-1',
        store: { type: 'file', directory: '/manifests' },
        encapsulation,
        geneve: { payload },
        underlay: { addresses: ['192.0.2.1', '2001:db8::1'], family: underlay },
        tables: { flows: 16_384, ...tables },
        workers,
      }),
      'bench',
    );
    const plan = planMemory(config);
    this.#flows = plan.flows;
    this.twin = twin;
    this.config = config;
    this.memory = createMemory(plan);
    const read = readManifests([manifest(objects)]).objects;
    const begun = performance.now();
    const cluster = clusterOf(read);
    const services = new ServiceCompiler(config.node);
    services.apply(
      changesBetween(undefined, read),
      cluster.nodes.find(({ name }) => name === config.node),
    );
    this.desired = desiredOf(cluster, config, services);

    const module = compileDataPath();
    this.#control = instantiate<ControlExports>(module, this.memory.wasm);
    this.dataPath = instantiate<WorkerExports>(module, this.memory.wasm);
    const stages = instantiateStages(this.memory.wasm);
    this.dataPath.workerInit(0);
    stages.workerInit(0);
    this.stages = stages;

    const found = this.desired.tunnels.findIndex(({ isPreferred }) => isPreferred);
    this.tunnelNumber = found;
    this.tunnel = this.desired.tunnels[found] as Tunnel;
    this.mtu = MTU - overhead(this.tunnel, config);
    const pods = Array.from({ length: PODS }, (_, i): TablePort => {
      return {
        slot: this.port(i),
        kind: 'pod',
        pod: `default/${podName(1, i)}`,
        mac: podMac(i),
        mtu: this.mtu,
      };
    });
    const ports: TablePort[] = [{ slot: NODE_PORT, kind: 'node', mac: podMac(PODS), mtu: MTU }, ...pods];

    this.#area = plan.areas[0];
    this.use = fillTables(this.#control, this.memory, this.#area, plan.areaSize, EPOCH, {
      desired: this.desired,
      config,
      ports,
      tunnels: new Map(
        this.desired.tunnels.map(({ key }, number) => [
          key,
          { number, mtu: this.mtu, slot: SENDING_SLOT, slots: SENDING_SLOTS, isInjected: false },
        ]),
      ),
    });
    this.compileMs = performance.now() - begun;

    const { view } = this.memory;
    view.setUint32(CONTROL_SEED, 0x5eed5eed, true);
    this.forgetFlows();
    view.setUint32(CONTROL_EPOCH, EPOCH, true);
    view.setUint32(CONTROL_CLOCK, NOW, true);
    view.setUint32(CONTROL_MAX_BATCH, PODS, true);
    const offloads = OFFLOAD_TSO | OFFLOAD_USO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE;
    view.setUint32(CONTROL_OFFLOADS, offloads, true);
    const kinds = {
      vxlan: SOCKET_VXLAN,
      geneve: SOCKET_GENEVE,
      ipip: underlay === 'ipv4' ? SOCKET_IPIP4 : SOCKET_IPIP6_4,
    };
    view.setUint8(CONTROL_SOCKET_KINDS, kinds[encapsulation]);
  }

  /** Turns the C twin to this world's memory. */
  attach(): void {
    this.twin.attach(this.memory.bytes, this.base);
  }

  /** What the peer sends. */
  get receiving(): Receiving {
    return { source: this.tunnel.remote, slot: FIRST_SOCKET_SLOT };
  }

  /** Port of a pod of node-1. */
  port(pod: number): number {
    return FIRST_POD_PORT + pod;
  }

  /** Policy set for what a pod of node-1 sends. */
  egressSet(pod: number): number {
    const row = this.#control.portRow(this.#area, this.port(pod)) >>> 0;
    return this.memory.view.getUint32(row + PORT_EGRESS_SET, true);
  }

  /** Calls the same tables new, so that every flow has to be decided again; epochs must be even. */
  setEpoch(epoch: number): void {
    this.memory.view.setUint32(CONTROL_EPOCH, epoch, true);
    this.memory.view.setUint32(this.#area + TABLES_EPOCH, epoch, true);
  }

  /** Empties the table of connections. */
  forgetFlows(): void {
    const { view } = this.memory;
    const region = view.getUint32(CONTROL_FLOWS, true);
    view.setUint32(region + FLOWS_MAGIC, 0, true);
    this.#control.flowsOpen();
    view.setUint32(region + FLOWS_EPOCH, EPOCH, true);
  }

  /** Packets so far that met a fate. */
  counted(verdict: Verdict): number {
    return Number(this.memory.view.getBigUint64(this.base + WORKER_VERDICTS + verdict * 8, true));
  }

  /** Everything that a burst can write. */
  snapshot(): Uint8Array {
    const { bytes } = this.memory;
    return new Uint8Array(bytes.subarray(this.base, this.#flows.offset + this.#flows.size));
  }

  restore(snapshot: Uint8Array): void {
    this.memory.bytes.set(snapshot, this.base);
  }

  /** The flow region's bytes. */
  flows(): Uint8Array {
    const { offset, size } = this.#flows;
    return this.memory.bytes.slice(offset, offset + size);
  }

  /** Bytes of this worker's region. */
  region(offset: number, length: number): Uint8Array {
    if (offset + length > WORKER_STRIDE)
      throw new RangeError(`${offset} + ${length} is not in the worker's region`);
    return this.memory.bytes.slice(this.base + offset, this.base + offset + length);
  }
}

export const podMac = (pod: number): Mac => new Uint8Array([2, 0, 0, 0, 1, pod]);

const podName = (node: number, pod: number) => `pod-${node}-${pod}`;

/** Address of a pod; pods count from 0. */
export function podAddress(node: 1 | 2, pod: number, family: 4 | 6): Address {
  return address(family === 4 ? `10.244.${node}.${pod + 2}` : `fd00:244:${node}::${(pod + 2).toString(16)}`);
}

function manifest(objects: readonly object[]): { file: string; text: string } {
  const nodes = ([1, 2] as const).map((i) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `node-${i}` },
    spec: { podCIDRs: [`10.244.${i}.0/24`, `fd00:244:${i}::/64`] },
    status: {
      addresses: [
        { type: 'InternalIP', address: `192.0.2.${i}` },
        { type: 'InternalIP', address: `2001:db8::${i}` },
      ],
    },
  }));
  const pods = ([1, 2] as const).flatMap((i) =>
    Array.from({ length: PODS }, (_, k) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName(i, k), namespace: 'default', labels: { group: `g${k % 8}` } },
      spec: { nodeName: `node-${i}`, containers: [{ name: 'main' }] },
      status: { podIPs: ([4, 6] as const).map((family) => ({ ip: podAddress(i, k, family).text })) },
    })),
  );
  const list = { apiVersion: 'v1', kind: 'List', items: [...nodes, ...pods, ...objects] };
  return { file: 'bench.json', text: JSON.stringify(list) };
}

const isolatedPeers = [{ podSelector: { matchLabels: { group: 'g0' } } }, { podSelector: {} }];
const isolatedPorts = [
  { protocol: 'TCP', port: 5000, endPort: 5999 },
  { protocol: 'UDP', port: 5000, endPort: 5999 },
];
/** Isolates every pod in both directions; each may talk to every other on ports 5000 to 5999. */
export const isolation = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'isolate', namespace: 'default' },
  spec: {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from: isolatedPeers, ports: isolatedPorts }],
    egress: [{ to: isolatedPeers, ports: isolatedPorts }, { to: [{ ipBlock: { cidr: '192.168.0.0/16' } }] }],
  },
};
