// What is measured: each case is one call that WebAssembly and C make over the same memory.
import { WORKER_DATAGRAM_ARENA } from '../asm/layout/memory.ts';
import { type Burst, type Merged, socketBurst, type TapFrame, tapBurst } from './burst.ts';
import { encapsulated } from './encapsulated.ts';
import { ethernetFrame, type Flow, reversed, tapFrame, tcpHeaders, tcpPacket, udpPacket } from './frames.ts';
import { burstOutput, type Output, rowsOutput } from './output.ts';
import type { Twin } from './twin.ts';
import { PODS, podAddress, podMac, World, type WorldOptions } from './world.ts';

export interface Case {
  readonly name: string;
  /** What one unit of the result is. */
  readonly unit: 'packet' | 'sum';
  /** Units in one call. */
  readonly units: number;
  /** Bytes in one unit, where bytes are what costs. */
  readonly bytes?: number;
  /** Once, before the first call. */
  begin(): void;
  /** Untimed, before each call. */
  prepare(): void;
  wasm(): number;
  c(): number;
  avx2?: (() => number) | undefined;
  /** What the call that returned `result` left behind. */
  output(result: number): Output;
  readonly world: World;
}

/** Cases with one world in common, made when their turn comes. */
export interface Group {
  readonly title: string;
  cases(twin: Twin): Case[];
}

const FRAME = 64;
const VECTOR = PODS;
/** Datagrams in each message of an ingress burst. */
const MERGED = 8;
const CHECKSUM_SIZES = [20, 40, 64, 128, 256, 576, 1460, 9000, 65_535];
const SUPERFRAME = 61_000;
/** Segments in one merged datagram; more would not fit its buffer. */
const RECEIVED = 40;

export const groups: readonly Group[] = [
  { title: 'Checksum', cases: checksums },
  { title: 'Stages, 64-byte frames', cases: stages },
  { title: 'Encapsulation', cases: encapsulations },
  { title: 'Whole way, 64-byte frames', cases: wholeWays },
  { title: 'Superframes', cases: superframes },
];

function checksums(twin: Twin): Case[] {
  const world = new World({ encapsulation: 'geneve' }, twin);
  const at = world.base + WORKER_DATAGRAM_ARENA;
  world.memory.bytes.set(
    Uint8Array.from({ length: 1 << 18 }, (_, i) => (i * 131 + (i >> 8)) & 0xff),
    at,
  );
  return CHECKSUM_SIZES.map((bytes): Case => {
    // Odd strides meet every alignment.
    const stride = bytes + 3;
    const count = Math.max(2, Math.floor(65_536 / stride));
    return {
      name: `${bytes} bytes`,
      unit: 'sum',
      units: count,
      bytes,
      world,
      begin() {},
      prepare() {},
      wasm: () => world.stages.sums(at, bytes, stride, count),
      c: () => twin.sums(at, bytes, stride, count),
      avx2: twin.sumsAvx2 && (() => twin.sumsAvx2?.(at, bytes, stride, count) ?? 0),
      output: () => new Map(),
    };
  });
}

function stages(twin: Twin): Case[] {
  const world = new World({ encapsulation: 'geneve' }, twin);
  const set = world.egressSet(0);
  const stage = (name: string, wasm: () => number, c: () => number, family: 4 | 6 = 4): Case => ({
    name,
    unit: 'packet',
    units: VECTOR,
    world,
    begin() {
      // A single stage starts from the rows of a burst that went the whole way.
      const burst = tapBurst(world, podFrames(world, VECTOR, family));
      burst.restore();
      world.dataPath.egress(burst.count);
      burst.restore();
      world.stages.begin();
      twin.begin();
      world.stages.parse(VECTOR);
    },
    prepare() {},
    wasm,
    c,
    output: () => rowsOutput(world, VECTOR),
  });
  return [
    stage(
      'parse, IPv4 and UDP',
      () => world.stages.parse(VECTOR),
      () => twin.parse(VECTOR),
    ),
    stage(
      'parse, IPv6 and UDP',
      () => world.stages.parse(VECTOR),
      () => twin.parse(VECTOR),
      6,
    ),
    stage(
      'flow hit',
      () => world.stages.track(VECTOR),
      () => twin.track(VECTOR),
    ),
    stage(
      'policy cell',
      () => world.stages.cells(VECTOR, set),
      () => twin.cells(VECTOR, set),
    ),
    stage(
      'endpoint look-up',
      () => world.stages.endpoints(VECTOR),
      () => twin.endpoints(VECTOR),
    ),
    stage(
      'route look-up',
      () => world.stages.routes(VECTOR),
      () => twin.routes(VECTOR),
    ),
  ];
}

const tunnels: readonly (readonly [string, WorldOptions])[] = [
  ['GENEVE', { encapsulation: 'geneve' }],
  ['GENEVE, IP payload', { encapsulation: 'geneve', payload: 'ip' }],
  ['VXLAN', { encapsulation: 'vxlan' }],
  ['IPIP over IPv4', { encapsulation: 'ipip' }],
  ['IPIP over IPv6', { encapsulation: 'ipip', underlay: 'ipv6' }],
];

function encapsulations(twin: Twin): Case[] {
  return tunnels.map(([name, options]): Case => {
    const world = new World(options, twin);
    const burst = tapBurst(world, podFrames(world, VECTOR, 4));
    return {
      name: `encap and group, ${name}`,
      unit: 'packet',
      units: VECTOR,
      world,
      begin() {
        burst.restore();
        world.dataPath.egress(burst.count);
        world.stages.begin();
        twin.begin();
      },
      prepare() {},
      wasm: () => world.stages.encap(VECTOR, world.tunnelNumber),
      c: () => twin.encap(VECTOR, world.tunnelNumber),
      output: (messages) => burstOutput(world, messages),
    };
  });
}

function wholeWays(twin: Twin): Case[] {
  const ways = (label: string, world: World, flows: number, family: 4 | 6 = 4) =>
    bothWays([`egress, ${label}`, `ingress, ${label}`], world, {
      frames: podFrames(world, flows, family),
      messages: peerMessages(world, flows, family),
      packets: [VECTOR, VECTOR],
    });
  const world = new World({ encapsulation: 'geneve' }, twin);
  return [
    ...tunnels.flatMap(([name, options]) =>
      ways(`${name}, ${VECTOR} flows`, new World(options, twin), VECTOR),
    ),
    ...ways('GENEVE, 1 flow', world, 1),
    ...ways(`GENEVE, IPv6, ${VECTOR} flows`, world, VECTOR, 6),
    ...ways('GENEVE, every flow decided anew', world, VECTOR).map(redecided),
  ];
}

function superframes(twin: Twin): Case[] {
  return tunnels
    .filter(([, { underlay }]) => underlay !== 'ipv6')
    .flatMap(([name, options]) => {
      const world = new World(options, twin);
      const flow = flowOf(0, 4);
      const headers = tcpHeaders(flow);
      const size = world.mtu - headers;
      const whole = tcpPacket(flow, headers + SUPERFRAME, 1);
      const frame = tapFrame(ethernetFrame(world.desired.node.routerMac, podMac(0), whole), { size, flow });
      const datagrams = Array.from({ length: RECEIVED }, (_, i) =>
        encapsulated(world, world.tunnel, tcpPacket(reversed(flow), headers + size, 1 + i * size)),
      );
      return bothWays([`segment, ${name}, TCP`, `coalesce, ${name}, TCP`], world, {
        frames: [{ port: world.port(0), bytes: frame }],
        messages: [datagrams],
        packets: [Math.ceil(SUPERFRAME / size), RECEIVED],
      });
    });
}

// ---- traffic ---------------------------------------------------------------------------------------

/** Flow number i: from a pod of node-1 to one of node-2. */
const flowOf = (i: number, family: 4 | 6): Flow => ({
  source: podAddress(1, i % PODS, family),
  destination: podAddress(2, (i * 7) % PODS, family),
  sport: 40_000 + i,
  dport: 5_000 + (i % 100),
});

/** A vector of small frames from this many flows in turn. */
function podFrames(world: World, flows: number, family: 4 | 6) {
  const bytes = family === 4 ? FRAME - 14 : FRAME + 6;
  return Array.from({ length: VECTOR }, (_, i) => {
    const packet = udpPacket(flowOf(i % flows, family), bytes);
    const pod = i % flows;
    return {
      port: world.port(pod),
      bytes: tapFrame(ethernetFrame(world.desired.node.routerMac, podMac(pod), packet)),
    };
  });
}

/** The answers to them, as the peer sends them. */
function peerMessages(world: World, flows: number, family: 4 | 6): Merged[] {
  const bytes = family === 4 ? FRAME - 14 : FRAME + 6;
  return Array.from({ length: VECTOR / MERGED }, (_, i) =>
    Array.from({ length: MERGED }, (_, j) =>
      encapsulated(world, world.tunnel, udpPacket(reversed(flowOf((i * MERGED + j) % flows, family)), bytes)),
    ),
  );
}

// ---- whole bursts ------------------------------------------------------------------------------------

interface Traffic {
  readonly frames: readonly TapFrame[];
  /** Of the same flows. */
  readonly messages: readonly Merged[];
  /** Packets that leave and that arrive. */
  readonly packets: readonly [number, number];
}

function bothWays(names: readonly [string, string], world: World, traffic: Traffic): Case[] {
  const out = tapBurst(world, traffic.frames);
  const back = socketBurst(world, traffic.messages);
  const way = (direction: 'egress' | 'ingress', name: string, burst: Burst, packets: number): Case => ({
    name,
    unit: 'packet',
    units: packets,
    world,
    begin() {
      // Makes the flows and answers them, so that every later burst hits established ones.
      out.restore();
      world.dataPath.egress(out.count);
      back.restore();
      world.dataPath.ingress(back.count);
    },
    prepare: burst.restore,
    wasm: () => world.dataPath[direction](burst.count),
    c: () => world.twin[direction](burst.count),
    output: (messages) => burstOutput(world, messages),
  });
  return [
    way('egress', names[0], out, traffic.packets[0]),
    way('ingress', names[1], back, traffic.packets[1]),
  ];
}

/** The same under tables that are new each time: route and policy are looked up for every packet. */
function redecided(one: Case): Case {
  let epoch = 2;
  return {
    ...one,
    prepare() {
      one.prepare();
      epoch += 2;
      one.world.setEpoch(epoch);
    },
  };
}
