/**
 * A node as its daemon would run it, without its kernel: the tables of a configuration and of manifests, in a memory
 * with one worker, every pod of the node attached.
 */
import {
  CONTROL_FLOWS,
  CONTROL_FLOWS_SIZE,
  CONTROL_SEED,
  CONTROL_SOCKET_KINDS,
  FIRST_SOCKET_SLOT,
} from '../../asm/layout/memory.ts';
import {
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_IPIP6_6,
  SOCKET_VXLAN,
} from '../../asm/layout/tables.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { changesBetween } from '../control/changes.ts';
import { type Cluster, clusterOf } from '../control/cluster.ts';
import { type Desired, desiredOf, podMac } from '../control/desired.ts';
import type { Tunnel } from '../control/topology.ts';
import { FIRST_POD_SLOT, nodeTapMac, nodeTaps } from '../daemon/outside/node-ports.ts';
import { createMemory, type Memory, planMemory } from '../dataplane/memory.ts';
import {
  type ControlExports,
  compileDataPath,
  instantiate,
  type WorkerExports,
} from '../dataplane/module.ts';
import { Publisher } from '../dataplane/publisher.ts';
import { fillTables, type TablePort } from '../dataplane/tables.ts';
import { overhead } from '../dataplane/tunnel-header.ts';
import type { TunnelFacts } from '../dataplane/tunnel-rows.ts';
import { ServiceCompiler } from '../service/compile.ts';
import { declaredHostPorts } from '../service/declared-host-ports.ts';
import { readObjects } from '../store/file-store.ts';

/** MTU of the underlay: a capture does not tell it. */
const UNDERLAY_MTU = 1500;

/** Slots of the sockets that receive, one a kind. */
export const socketSlots = {
  vxlan: FIRST_SOCKET_SLOT,
  geneve: FIRST_SOCKET_SLOT + 1,
  ipip4: FIRST_SOCKET_SLOT + 2,
  ipip6with4: FIRST_SOCKET_SLOT + 3,
  ipip6with6: FIRST_SOCKET_SLOT + 4,
} as const;
const FIRST_SENDING_SLOT = FIRST_SOCKET_SLOT + 8;
/** Port of the first socket that sends (RFC 7348 §5: the dynamic range). */
const FIRST_SOURCE_PORT = 49_152;

const socketKinds = {
  vxlan: SOCKET_VXLAN,
  geneve: SOCKET_GENEVE,
  ipip4: SOCKET_IPIP4,
  ipip6with4: SOCKET_IPIP6_4,
  ipip6with6: SOCKET_IPIP6_6,
} as const;

/** Source port of a socket that sends. */
export const sourcePort = (slot: number): number => FIRST_SOURCE_PORT + slot - FIRST_SENDING_SLOT;

/** A node with live tables. */
export interface ReplayNode {
  readonly config: Config;
  readonly desired: Desired;
  readonly ports: readonly TablePort[];
  /** Tunnels by their number in the tables. */
  readonly tunnels: readonly Tunnel[];
  readonly memory: Memory;
  readonly dataPath: WorkerExports;
}

/**
 * Builds a node from its daemon's configuration file and a directory of manifests; without one, that of the
 * configuration's own store.
 * @throws ConfigError, or an error that lists what is wrong with the manifests
 */
export async function loadNode(
  configFile: string,
  directory?: string,
  module?: WebAssembly.Module,
): Promise<ReplayNode> {
  const written = loadConfig(configFile);
  const objects = await readObjects(directory ?? ownDirectory(written));
  const cluster = clusterOf(objects, undefined, written.dns?.service);
  const config = { ...withOwnAddresses(written, cluster), workers: 1 };
  const services = new ServiceCompiler(config.node, config.dns?.service);
  services.apply(
    changesBetween(undefined, objects),
    cluster.nodes.find(({ name }) => name === config.node),
    declaredHostPorts(objects, cluster, config.node),
  );
  const desired = desiredOf(cluster, config, services);
  const mtu = UNDERLAY_MTU - Math.max(0, ...desired.tunnels.map((tunnel) => overhead(tunnel, config)));
  return startNode(config, desired, { mtu, module });
}

/** Where the daemon would look at its host, the Node object says what it has found. */
function withOwnAddresses(config: Config, { nodes }: Cluster): Config {
  if (config.underlay.addresses.length > 0) return config;
  const own = nodes.find(({ name }) => name === config.node)?.addresses ?? [];
  const addresses = ([4, 6] as const).flatMap(
    (family) => own.find((address) => address.family === family) ?? [],
  );
  return { ...config, underlay: { ...config.underlay, addresses } };
}

function ownDirectory({ store }: Config): string {
  if (store.type === 'file') return store.directory;
  throw new Error(
    `the store of the configuration is ${store.type}: name a directory of manifests with --manifests`,
  );
}

interface StartOptions {
  /** Of every port. */
  readonly mtu: number;
  /** The same node under other tables: its connections go on, as they do when a daemon starts again. */
  readonly before?: ReplayNode | undefined;
  readonly module?: WebAssembly.Module | undefined;
}

/**
 * Starts a node with what its data path should know.
 * @param config with one worker
 */
export async function startNode(
  config: Config,
  desired: Desired,
  { mtu, before, module = dataPath() }: StartOptions,
): Promise<ReplayNode> {
  const plan = planMemory(config);
  const memory = createMemory(plan);
  const wasm = instantiate<ControlExports & WorkerExports>(module, memory.wasm);
  // The same input is to have the same result, so what a daemon draws at random is fixed.
  memory.view.setUint32(CONTROL_SEED, 1, true);
  for (const [name, slot] of Object.entries(socketSlots)) {
    const kind = socketKinds[name as keyof typeof socketKinds];
    memory.view.setUint8(CONTROL_SOCKET_KINDS + slot - FIRST_SOCKET_SLOT, kind);
  }
  if (before) memory.bytes.set(flowRegion(before.memory), plan.flows.offset);
  wasm.flowsOpen();
  wasm.workerInit(0);
  const ports = portsOf(desired, mtu);
  await new Publisher(memory, 1, () => {}).publish((area, size, epoch) =>
    fillTables(wasm, memory, area, size, epoch, {
      desired,
      config,
      ports,
      tunnels: new Map(
        desired.tunnels.map((tunnel, number) => [tunnel.key, factsOf(tunnel, number, config)]),
      ),
    }),
  );
  return { config, desired, ports, tunnels: desired.tunnels, memory, dataPath: wasm };
}

let compiled: WebAssembly.Module | undefined;

function dataPath(): WebAssembly.Module {
  compiled ??= compileDataPath();
  return compiled;
}

function flowRegion({ bytes, view }: Memory): Uint8Array {
  const offset = view.getUint32(CONTROL_FLOWS, true);
  return bytes.subarray(offset, offset + view.getUint32(CONTROL_FLOWS_SIZE, true));
}

function portsOf({ node, localPods }: Desired, mtu: number): TablePort[] {
  const own = nodeTaps.map(
    ({ kind, slot }): TablePort => ({ kind, slot, mac: nodeTapMac(kind, node.name), mtu }),
  );
  const pods = [...localPods].map(
    ([key, pod], i): TablePort => ({
      kind: 'pod',
      slot: FIRST_POD_SLOT + i,
      pod: key,
      mac: podMac(pod),
      mtu,
    }),
  );
  return [...own, ...pods];
}

function factsOf(tunnel: Tunnel, number: number, config: Config): TunnelFacts {
  const slots = tunnel.encapsulation === 'ipip' ? 1 : config.underlay.entropyPorts;
  return {
    number,
    mtu: UNDERLAY_MTU - overhead(tunnel, config),
    slot: FIRST_SENDING_SLOT,
    slots,
    isInjected: false,
  };
}
