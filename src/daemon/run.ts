/**
 * `overweft run`: puts the daemon together, in the order in which its parts need each other.
 *
 *     store ─► controller ─► tables ─► epoch ─► workers ─► TAPs, sockets
 *                  ▲                               │
 *     API ─► ports ┘          counters, failures ◄─┘
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { dirname, join } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import {
  CONTROL_MAX_BATCH,
  CONTROL_OFFLOADS,
  CONTROL_QUEUES,
  CONTROL_SEED,
} from '../../asm/layout/memory.ts';
import { AttachedPods } from '../cni/attached-pods.ts';
import { installConfiguration } from '../cni/install.ts';
import { CniService } from '../cni/service.ts';
import { apiSocket } from '../config/api-socket.ts';
import { type Config, type Encapsulation, encapsulationField } from '../config/schema.ts';
import { connectivity } from '../connectivity/connectivity.ts';
import { noChanges } from '../control/changes.ts';
import { routerMac } from '../control/topology.ts';
import { CounterRows } from '../dataplane/counters.ts';
import { createMemory, type Memory, type MemoryPlan, planMemory } from '../dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../dataplane/module.ts';
import { WorkerPool } from '../dataplane/pool.ts';
import { Publisher } from '../dataplane/publisher.ts';
import { DnsThread } from '../dns/thread.ts';
import { Ledger } from '../ipam/ledger.ts';
import { formatMac } from '../net/mac.ts';
import { type Addon, loadAddon } from '../phy/addon.ts';
import { RawSocket } from '../phy/raw.ts';
import type { Inherited } from '../rootless/underlay.ts';
import { openStore } from '../store/open.ts';
import { faultText } from '../store/store.ts';
import { UnderlayWatch } from '../underlay/watch.ts';
import { version } from '../version.ts';
import { Api } from './api.ts';
import { Controller } from './controller.ts';
import { FlowLog } from './flow-log.ts';
import { Health } from './health.ts';
import { metricsOf } from './metrics.ts';
import { claimNamespace } from './only-one.ts';
import { HostAddresses } from './outside/host-addresses.ts';
import { Masquerade } from './outside/masquerade.ts';
import { NodePorts } from './outside/node-ports.ts';
import { ServicesOutside } from './outside/services-outside.ts';
import { DirectPeers } from './peers/direct.ts';
import { Fallback } from './peers/fallback.ts';
import { Liveness } from './peers/liveness.ts';
import { PathMtus } from './peers/path-mtu.ts';
import { Registrar } from './peers/registrar.ts';
import { routesHere, Underlay } from './peers/underlay.ts';
import { Injection } from './ports/injection.ts';
import { chooseOffloads, maxBatch, offloadBits } from './ports/offloads.ts';
import { PortFile, portFileIn } from './ports/port-file.ts';
import { Ports } from './ports/ports.ts';
import { OpenedHere } from './ports/socket-source.ts';
import { UnderlaySockets } from './ports/sockets.ts';
import { ServiceManager } from './service-manager.ts';
import { statusOf } from './status.ts';

/** How often routes of the underlay are looked up again. */
const ROUTES_MS = 10_000;

/** How often pods are looked for that went away without a word. */
const SWEEP_MS = 3_000;

/**
 * Runs until a signal asks it to stop.
 * @param inherited the underlay, where it lies in another network namespace than this process
 * @param written the configuration without what was found at this host, for a look now and then whether it would still be
 * @returns the exit status, or that it is to be run anew: another underlay would be found now
 */
export async function runDaemon(
  config: Config,
  inherited?: Inherited,
  written?: Config,
): Promise<number | 'anew'> {
  process.umask(0o077);
  // Written at once: what is said last before a crash matters most.
  const log = pino(
    { level: config.logLevel, base: { node: config.node } },
    destination({ fd: 2, sync: true }),
  );
  let end: (ending: number | 'anew') => void = () => {};
  const ended = new Promise<number | 'anew'>((resolve) => {
    end = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      end(0);
    });
  }
  let daemon: Daemon;
  try {
    daemon = await startDaemon(config, inherited, log, {
      died: (error) => {
        log.fatal({ err: error }, 'a worker has died');
        end(1);
      },
      watch: new UnderlayWatch(written, config, log),
      moved: () => end('anew'),
    });
  } catch (error) {
    log.debug({ err: error }, 'cannot start');
    log.fatal(`cannot start: ${(error as Error).message}`);
    return 1;
  }
  const ending = await ended;
  await daemon.stop(ending !== 'anew');
  log.info('stopped');
  return ending;
}

interface Daemon {
  /** @param isForGood whoever has started it is told that it ends */
  stop(isForGood: boolean): Promise<void>;
}

interface Events {
  readonly died: (error: Error) => void;
  readonly watch: UnderlayWatch;
  /** The underlay is elsewhere. */
  readonly moved: () => void;
}

async function startDaemon(
  config: Config,
  inherited: Inherited | undefined,
  log: Logger,
  { died, watch, moved }: Events,
): Promise<Daemon> {
  const { runDirectory, underlay: settings } = config;
  mkdirSync(runDirectory, { recursive: true, mode: 0o700 });
  const pidFile = join(runDirectory, 'pid');

  const addon = loadAddon();
  const plan = planMemory(config);
  const memory = createMemory(plan);
  addon.attachMemory(memory.bytes);
  const module = compileDataPath();
  const wasm = instantiate<ControlExports>(module, memory.wasm);
  const flowsKept = openFlows(addon, wasm, memory, plan, join(runDirectory, 'flows'));
  await claimNamespace(addon, log);
  // The flow file is locked now: no other daemon has this directory.
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  const offloads = chooseOffloads(config, addon.probe(), inherited === undefined);
  memory.view.setUint32(CONTROL_OFFLOADS, offloadBits(offloads), true);
  memory.view.setUint32(CONTROL_MAX_BATCH, maxBatch(), true);
  memory.view.setUint32(CONTROL_QUEUES, config.queues, true);

  const portFault = (err: Error) => log.error({ err }, 'a port cannot be taken away');
  const pool = new WorkerPool(addon, memory, {
    died: (_, error) => died(error),
    failures: (_, failures) => void ports.failed(failures, controller).catch(portFault),
  });
  await pool.start(module, config.workers, config.polling.spin);
  // Workers end when they are asked to: without that, one that cannot start would stay.
  await using undo = new AsyncDisposableStack();
  undo.defer(() => pool.stop());
  undo.defer(() => rmSync(pidFile, { force: true }));

  const counters = {
    ports: CounterRows.ports(memory, config.workers),
    tunnels: CounterRows.tunnels(memory, config.workers),
    decisions: CounterRows.decisions(memory, config.workers),
  };
  const underlay = new Underlay(inherited?.lookUp ?? routesHere(settings.interface, settings.addresses));
  const source = inherited ?? new OpenedHere(addon, config, offloads.udpGro.used);
  const sockets = new UnderlaySockets(addon, memory, pool, config, source);
  const ports = new Ports({
    addon,
    pool,
    counters: counters.ports,
    memory,
    node: config.node,
    workers: config.workers,
    queues: config.queues,
    offloads: { csum: true, tso: offloads.tso.used, uso: offloads.uso.used },
    file: new PortFile(portFileIn(runDirectory), log),
    log,
  });
  ports.restore();
  const nodePorts = new NodePorts(config, inherited ? [] : settings.addresses, log);
  const masquerade = new Masquerade(config, log);
  const store = openStore(config);
  const ledger = new Ledger({
    path: join(runDirectory, 'attachments.json'),
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    now: uptime,
    quarantine: config.cni.quarantine,
  });
  const hostAddresses = new HostAddresses(log);
  await hostAddresses.refresh();
  const attachedPods = new AttachedPods(config, ledger, () => hostAddresses.addresses);
  const publisher = new Publisher(memory, config.workers, () => pool.wake());
  const dns =
    config.dns &&
    (await DnsThread.start(config.dns, config.podNetwork, {
      died,
      faults: (faults) => {
        for (const [address, fault] of Object.entries(faults))
          log.error({ address }, `the resolver cannot listen: ${fault}`);
      },
    }));
  const unusable = inherited?.unusable ?? withoutRaw();
  const controller = new Controller({
    config,
    unusable,
    store,
    publisher,
    memory,
    wasm,
    sockets,
    underlay,
    counters,
    log,
    attached: () => attachedPods.attached,
    openPorts: () => ports.open(),
    published: async (live) => {
      await ports.handOver();
      await Promise.all([nodePorts.apply(live.desired, live.interfaceMtu), ports.configure(live)]);
      // Needs ow-node.
      await masquerade.apply(live.desired);
      dns?.listen(live.desired.node.resolverAddresses);
      await outside.follow();
      direct.follow();
      registrar.follow();
    },
  });
  const direct = new DirectPeers({
    config,
    addon,
    pool,
    controller,
    isHere: inherited === undefined,
    changed: () => registrar.follow(),
    log,
  });
  const registrar = new Registrar({
    config,
    store,
    wanted: () =>
      controller.live && {
        encapsulation: config.encapsulation,
        encapsulations: encapsulationField.options.filter((one) => !unusable.has(one)),
        direct: direct.isOpen ? 'subnet' : undefined,
        addresses: settings.addresses,
        mtu: underlay.ownMtu,
        routerMac: config.podNetwork.routerMAC ?? routerMac(config.node),
        version: version(),
      },
    log,
  });
  const liveness = new Liveness(config.liveness, controller, counters.tunnels, log);
  const outside = new ServicesOutside(config, controller, liveness, log);
  const cni = new CniService({ config, store, controller, ports, ledger, outside, log });
  const pathMtus = new PathMtus(config.pathMTU, controller, underlay, log);
  const fallback = new Fallback({ config, controller, liveness, direct, counters: counters.tunnels, log });
  const isWanted = offloads.tunnelGso.used;
  const injection = new Injection({ addon, pool, config, controller, sockets, log, isWanted });

  const flowLog =
    config.flowLog &&
    new FlowLog({
      node: config.node,
      workers: config.workers,
      file: config.flowLog.file,
      memory,
      controller,
      log,
    });

  const health = new Health({
    controller,
    askWorkers: () => pool.counters(),
    storeFaults: () => store.state.faults.map(faultText),
    node: () => store.state.objects?.nodes.find(({ metadata }) => metadata.name === config.node),
  });
  const manager = new ServiceManager({
    addon,
    environment: process.env,
    health,
    summary: () => {
      const peers = controller.live?.desired.peers ?? [];
      const alive = peers.filter(({ name }) => liveness.of(name).state === 'alive').length;
      return `${ports.list.length} pods, ${alive} of ${peers.length} peers alive`;
    },
    log,
  });

  const status = () =>
    statusOf({
      version: version(),
      config,
      controller,
      ports,
      ledger,
      sockets,
      counters,
      liveness,
      pathMtus,
      fallback,
      direct,
      injection,
      masquerade,
      watch,
      outside,
      offloads,
      flowsKept,
      flowsUsed: () => wasm.flowsCount(),
      flowLog,
      dns,
      probeFault: probeFault(),
      controlCapabilities: addon.capabilities(),
      store,
      registrar,
      epoch: () => publisher.epoch,
      workers: () => pool.facts,
      workerCounters: () => pool.counters(),
    });
  const api = new Api(
    {
      attach: async (place) => {
        const { slot, mac, offloads } = await ports.attach(place, controller);
        return { ...place, slot, mac: formatMac(mac), mtu: controller.live?.interfaceMtu, offloads };
      },
      detach: (key) => ports.detach(key, controller),
      cni: (call) => cni.handle(call),
      connectivity: (request) =>
        connectivity(request, { config, controller, ports, objects: () => store.state.objects }),
      status,
      metrics: async () => metricsOf(await status()),
      health,
    },
    log,
  );
  const socket = apiSocket(config);
  await api.listen(socket);
  if (config.metrics) await api.listenMetrics(config.metrics);
  if (config.health) await api.listenHealth(config.health);

  let known = new Set<string>();
  await store.start((changes) => {
    const faults = new Set(store.state.faults.map(faultText));
    for (const fault of faults) if (!known.has(fault)) log.error(`store: ${fault}`);
    known = faults;
    dns?.change(changes);
    void controller.storeChanged(changes);
    registrar.follow();
  });
  await cni.takeNotes(join(dirname(socket), 'cni-deleted'));
  const routes = setInterval(() => void followRoutes(), ROUTES_MS);
  const sweeps = setInterval(() => void sweep().catch(portFault), SWEEP_MS);
  liveness.start();
  outside.start();
  pathMtus.start();
  // Its sockets would be in this namespace, which the underlay is not.
  if (config.liveness.enabled && !inherited) fallback.start();
  await injection.start();
  direct.start();
  await controller.waitFor(() => controller.live, 10_000);
  log.info(
    { socket, epoch: publisher.epoch, flowsKept },
    controller.live ? 'ready' : 'waiting for a good cluster state',
  );
  void whenReady();
  void followRoutes();
  undo.move();

  /** Without an end: a cluster state may become good at any time. */
  async function whenReady(): Promise<void> {
    const { error } = health.ready();
    if (error !== undefined) manager.waiting(error);
    if (!(await controller.waitFor(() => controller.live))) return;
    installCni();
    manager.ready();
  }

  function installCni(): void {
    const { confDirectory } = config.cni;
    if (confDirectory === undefined) return;
    try {
      if (installConfiguration(confDirectory, socket))
        log.info({ confDirectory }, 'the network configuration is installed');
    } catch (error) {
      log.error({ err: error, confDirectory }, 'the network configuration cannot be written');
    }
  }

  async function sweep(): Promise<void> {
    await ports.sweep(controller);
    await cni.sweep();
  }

  async function followRoutes(): Promise<void> {
    try {
      const remotes = controller.live?.desired.tunnels.map(({ remote }) => remote) ?? [];
      if (await underlay.refresh(remotes)) await controller.publish();
      if (await hostAddresses.refresh()) await controller.storeChanged(noChanges);
      await masquerade.check();
      await outside.check();
      await direct.check();
      if (await watch.check(controller.live?.desired.node.internalIPs)) moved();
    } catch (error) {
      log.warn({ err: error }, 'the routes of the underlay cannot be looked up');
    }
  }

  return {
    async stop(isForGood) {
      health.stop();
      if (isForGood) manager.stopping();
      clearInterval(routes);
      clearInterval(sweeps);
      controller.stop();
      liveness.stop();
      pathMtus.stop();
      fallback.stop();
      await direct.stop();
      injection.stop();
      await outside.stop();
      await api.close();
      await registrar.stop();
      await store.stop();
      await dns?.stop();
      await pool.stop();
      await flowLog?.stop();
      rmSync(socket, { force: true });
      rmSync(pidFile, { force: true });
    },
  };
}

/** Maps the flow file; true when the connections in it go on. */
function openFlows(
  addon: Addon,
  wasm: ControlExports,
  memory: Memory,
  plan: MemoryPlan,
  file: string,
): boolean {
  try {
    addon.mapFile(plan.flows.offset, plan.flows.size, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN') throw new Error(`${file} is in use: another daemon runs with this runDirectory`);
    if (code !== 'ENOSPC') throw error;
    const size = `${Math.ceil(plan.flows.size / 2 ** 20)} MiB`;
    throw new Error(`${file}: no room for ${size} of connections: tables.flows says how many these are`);
  }
  // Any start will do, and a stranger must not know it; a kept file brings its own.
  memory.view.setUint32(CONTROL_SEED, randomBytes(4).readUInt32LE(), true);
  return wasm.flowsOpen() === 1;
}

/** What cannot be used without raw sockets, and why there are none. */
function withoutRaw(): ReadonlyMap<Encapsulation, string> {
  const fault = probeFault();
  return new Map(fault === undefined ? [] : [['ipip', fault]]);
}

/** Why probes cannot be sent; undefined when they can. */
function probeFault(): string | undefined {
  try {
    RawSocket.open({ family: 4 }).close();
    return undefined;
  } catch (error) {
    return `raw-socket: ${(error as Error).message}`;
  }
}
