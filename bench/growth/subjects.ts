/**
 * What grows, and what stays as it is.
 *
 *     curve       grows                          stays
 *     flows       connections                    128 pods of the peer
 *     endpoints   pods of the peer               32 768 connections, each to a random one of them
 *     tunnels     peers that have the pods       32 768 connections, each to a random one of 10 000 pods
 *
 * Connections start from the 128 pods of the measured node and carry UDP over IPv4 in GENEVE.
 */
import type { Tunnel } from '../../src/control/topology.ts';
import { type Address, address } from '../../src/net/address.ts';
import type { Flow } from '../frames.ts';
import { type Random, random } from '../random.ts';
import type { Twin } from '../twin.ts';
import { isolation, PODS, podAddress, World } from '../world.ts';

export interface Subject {
  readonly world: World;
  readonly flows: readonly Flow[];
  /** Behind which an address of the other side is. */
  tunnelTo(destination: Address): Tunnel;
}

export interface Curve {
  readonly name: 'flows' | 'endpoints' | 'tunnels';
  readonly title: string;
  /** Ascending; the first for comparison. */
  readonly sizes: readonly number[];
  /** Datagrams that a message from a socket holds: only one peer's are joined by the kernel. */
  readonly merged: number;
  subject(size: number, twin: Twin): Subject;
}

/** Packets that a pass has at least, and connections where they are not what grows. */
export const PACKETS = 32_768;
/** Room for connections; the same everywhere, four times what the largest size needs. */
const FLOWS = 1 << 19;
const TUNNEL_PODS = 10_000;
const FIRST_PORT = 5_000;
const PORTS = 1_000;
/** Ports that a pod sends from; with those it sends to, more than connections are needed. */
const SOURCE_PORTS = 40_000;

/** Connection number i: no two are alike. */
const flowTo = (i: number, destination: Address, next: Random): Flow => ({
  source: podAddress(1, i % PODS, 4),
  destination,
  sport: 20_000 + (Math.floor(i / PODS) % SOURCE_PORTS),
  dport: FIRST_PORT + next(PORTS),
});

const flows: Curve = {
  name: 'flows',
  title: 'connections',
  sizes: [1, 10, 100, 1_000, 10_000, 100_000],
  merged: 8,
  subject(size, twin) {
    const next = random(1);
    const world = new World({ encapsulation: 'geneve', tables: { flows: FLOWS } }, twin);
    return {
      world,
      flows: Array.from({ length: size }, (_, i) => flowTo(i, podAddress(2, next(PODS), 4), next)),
      tunnelTo: () => world.tunnel,
    };
  },
};

const endpoints: Curve = {
  name: 'endpoints',
  title: 'endpoints',
  sizes: [10, 100, 1_000, 10_000, 150_000],
  merged: 8,
  subject(size, twin) {
    const world = worldOf(
      Array.from({ length: size }, (_, i) => pod(i, 'node-2')),
      twin,
    );
    return { world, flows: flowsToPods(size), tunnelTo: () => world.tunnel };
  },
};

const tunnels: Curve = {
  name: 'tunnels',
  title: 'tunnels',
  sizes: [2, 10, 100, 1_000, 5_000],
  merged: 1,
  subject(size, twin) {
    const nodes = Array.from({ length: size }, (_, i) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName(i) },
      spec: { podCIDRs: [`10.${64 + (i >> 8)}.${i & 255}.0/24`] },
      status: { addresses: [{ type: 'InternalIP', address: `198.18.${i >> 8}.${i & 255}` }] },
    }));
    const pods = Array.from({ length: TUNNEL_PODS }, (_, i) => pod(i, nodeName(i % size)));
    const world = worldOf([...nodes, ...pods], twin);
    const of = new Map(world.desired.tunnels.map((tunnel) => [tunnel.peer.name, tunnel]));
    const tunnelOfPod = new Map(
      pods.map((_, i) => [podText(i), of.get(nodeName(i % size)) as Tunnel] as const),
    );
    return {
      world,
      flows: flowsToPods(TUNNEL_PODS),
      tunnelTo: ({ text }) => tunnelOfPod.get(text) as Tunnel,
    };
  },
};

export const curves: readonly Curve[] = [flows, endpoints, tunnels];

const nodeName = (i: number) => `peer-${i}`;
const podText = (i: number) => `10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

const pod = (i: number, nodeName: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `pod-${i}`, namespace: 'default' },
  spec: { nodeName, containers: [{ name: 'main' }] },
  status: { podIPs: [{ ip: podText(i) }] },
});

function flowsToPods(pods: number): Flow[] {
  const next = random(1);
  return Array.from({ length: PACKETS }, (_, i) => flowTo(i, address(podText(next(pods))), next));
}

const worldOf = (objects: readonly object[], twin: Twin): World =>
  new World(
    {
      encapsulation: 'geneve',
      objects: [isolation, ...objects],
      tables: { endpoints: 1 << 18, routes: 1 << 14, tunnels: 8_192, flows: FLOWS },
    },
    twin,
  );
