/** One size: both sides up at once over the same objects, and each measure in rounds, one side after the other. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type Path, tcp, udp } from '../../src/bench/traffic.ts';
import { takeDown } from '../../src/lab/down.ts';
import { createNetwork } from '../../src/lab/network.ts';
import { createState } from '../../src/lab/state.ts';
import { Api, type SideName } from './api.ts';
import { kubeProxyVersion, startKubeProxy } from './kube-proxy.ts';
import {
  bulkIP,
  clusterIP,
  endpointsOf,
  movingIP,
  movingSlice,
  objects,
  PORT,
  plan,
  slices,
  TARGETS,
} from './objects.ts';
import { type Ends, Openings, untilMoved, untilOpen } from './openings.ts';
import { startOverweft } from './overweft.ts';
import type { Memory, Side } from './side.ts';

/** A value a round, of each side. */
export type Values = Readonly<Partial<Record<SideName, readonly number[]>>>;

export interface SizeResult {
  readonly services: number;
  /** Connections opened a second. */
  readonly openings: Compared;
  /** Bits a second of one stream of TCP, and 16-byte datagrams of one flow that arrive a second. */
  readonly streams: Compared;
  readonly datagrams: Compared;
  /** Seconds from a changed EndpointSlice to the first connection that comes to the new endpoint. */
  readonly changes: Values;
  /** Seconds from the start of the programs to the first connection through a Service. */
  readonly starts: Values;
  readonly memory: Readonly<Partial<Record<SideName, Memory>>>;
}

/** The same traffic past Services and through one. */
export interface Compared {
  readonly toPods: Values;
  readonly toServices: Values;
}

/** Opened in one round; with all rounds fewer than there are ports. */
const COUNT = 4000;
const FLIGHT = 64;
const WINDOW_MS = 300;
export const mostPairs = 15;

type Sides = Partial<Record<SideName, Side>>;

/** @param say told of each step */
export async function measureSize(
  services: number,
  pairs: number,
  say: (step: string) => void,
  stop: AbortSignal,
): Promise<SizeResult> {
  const lab = plan();
  const directory = mkdtempSync(`${tmpdir()}/overweft-kube-proxy-`);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true }));
  stack.defer(async () => void (await takeDown()));
  await createState(lab);
  await createNetwork(lab, 'none');
  const api = stack.use(await Api.start(directory, objects(lab, services)));
  const endpoints = endpointsOf(lab);
  const listening = (port: number) => endpoints.map((address) => [address, port] as const);
  const throughServices: Ends = {
    targets: Array.from({ length: services }, (_, i) => [clusterIP(i), PORT] as const),
    servers: listening(TARGETS.services),
  };

  const starts: Partial<Record<SideName, number[]>> = {};
  const begin = async (name: SideName, start: () => Promise<Side>): Promise<Side> => {
    say(`${services} Services: ${name} starts`);
    const begun = performance.now();
    const side = await start();
    await untilOpen(side, { ...throughServices, targets: throughServices.targets.slice(-1) });
    starts[name] = [(performance.now() - begun) / 1000];
    return side;
  };
  const sides: Sides = {
    overweft: await begin('overweft', () => startOverweft(lab, api.kubeconfig('overweft'))),
  };
  if ((await kubeProxyVersion()) !== null) {
    sides['kube-proxy'] = await begin('kube-proxy', async () =>
      stack.use(await startKubeProxy(lab, api.kubeconfig('kube-proxy'), directory)),
    );
  }

  /** Everybody in turn, not always the same first. */
  const rounds = async (what: string, each: (name: SideName, side: Side, round: number) => Promise<void>) => {
    const all = Object.entries(sides) as [SideName, Side][];
    for (let round = 0; round < pairs; round++) {
      say(`${services} Services: ${what}, round ${round + 1} of ${pairs}`);
      for (const [name, side] of round % 2 === 0 ? all : all.toReversed()) {
        stop.throwIfAborted();
        await each(name, side, round);
      }
    }
  };
  const compare = async (
    what: string,
    measures: (name: SideName, side: Side) => Record<'toPods' | 'toServices', () => Promise<number>>,
  ): Promise<Compared> => {
    const values = { toPods: collected(), toServices: collected() };
    const made = new Map(
      Object.entries(sides).map(([name, side]) => [name, measures(name as SideName, side)]),
    );
    await rounds(what, async (name) => {
      for (const way of ['toPods', 'toServices'] as const)
        values[way].put(name, (await made.get(name)?.[way]()) ?? Number.NaN);
    });
    return { toPods: values.toPods.values, toServices: values.toServices.values };
  };

  const openings = await compare('new connections', (name, side) => {
    const pods = listening(TARGETS.direct);
    const direct = new Openings(side, { targets: pods, servers: pods }, `${directory}/${name}-direct`);
    const through = new Openings(side, throughServices, `${directory}/${name}-services`);
    return { toPods: () => direct.rate(COUNT, FLIGHT), toServices: () => through.rate(COUNT, FLIGHT) };
  });
  const paths = ({ from, to }: Side): { pod: Path; service: Path } => {
    const pod = { from, to: to[0] ?? '', address: endpoints[0] ?? '' };
    return { pod, service: { ...pod, service: { address: bulkIP, port: PORT, target: TARGETS.bulk } } };
  };
  const stream = async (path: Path) => {
    const { bytes, seconds } = await tcp(path, WINDOW_MS);
    return (bytes * 8) / seconds;
  };
  const streams = await compare('streams', (_, side) => {
    const { pod, service } = paths(side);
    return { toPods: () => stream(pod), toServices: () => stream(service) };
  });
  const datagram = async (path: Path) => {
    const { packets, seconds } = await udp(path, WINDOW_MS, { flows: 1, rate: 0 });
    return packets / seconds;
  };
  const datagrams = await compare('datagrams', (_, side) => {
    const { pod, service } = paths(side);
    return { toPods: () => datagram(pod), toServices: () => datagram(service) };
  });
  const changes = collected();
  const moved: Ends = { targets: [[movingIP, PORT]], servers: listening(TARGETS.moving) };
  await rounds('changes', async (name, side, round) => {
    const wanted = (round + 1) % endpoints.length;
    const change = () => api.change(name, { path: slices, object: movingSlice(endpoints[wanted] ?? '') });
    changes.put(name, await untilMoved(side, moved, wanted, change));
  });
  const memory = Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, side.memory()]));
  return { services, openings, streams, datagrams, changes: changes.values, starts, memory };
}

function collected() {
  const values: Partial<Record<SideName, number[]>> = {};
  return {
    values,
    put: (name: SideName, value: number) => {
      values[name] = [...(values[name] ?? []), value];
    },
  };
}
