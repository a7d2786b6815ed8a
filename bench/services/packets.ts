/** Times packets to pods, and to Services of the same pods. */
import { costsOf, PACKETS, type PassCosts, type Subject, subjectOf } from '../passes.ts';
import type { Twin } from '../twin.ts';
import { isolation, PODS, podAddress, World } from '../world.ts';
import { clusterIP, PORT, services, TARGET } from './cluster.ts';

export interface PacketResult extends PassCosts {
  readonly title: string;
}

export function measurePackets(count: number, rounds: number, twin: Twin): PacketResult[] {
  const worlds = [0, 1, count].map((n) => worldOf(n, twin)) as [World, World, World];
  const subjects: [string, Subject][] = [
    ['to pods, no Services', toPods(worlds[0])],
    [`to pods, ${count} Services`, toPods(worlds[2])],
    ['to 1 Service', toServices(worlds[1], 1)],
    [`to ${count} Services`, toServices(worlds[2], count)],
  ];
  const costs = costsOf(
    subjects.map(([, subject]) => subject),
    rounds,
  );
  return costs.map((cost, i) => ({ title: subjects[i]?.[0] ?? '', ...cost }));
}

const worldOf = (count: number, twin: Twin): World =>
  new World(
    { encapsulation: 'geneve', objects: [isolation, ...services(count)], tables: { flows: 8 * PACKETS } },
    twin,
  );

const toPods = (world: World): Subject =>
  subjectOf(world, (next, family) => ({ address: podAddress(2, next(PODS), family), port: TARGET }));

const toServices = (world: World, count: number): Subject =>
  subjectOf(world, (next, family) => ({ address: clusterIP(next(count), family), port: PORT }));
