/**
 * Times changes one after another, each from changed objects to the epoch that is live.
 *
 *     objects ─► cluster ─► desired, policy ─► the area that no worker reads ─► epoch
 *     └──────────────────────────────── a time ─────────────────────────────────────┘
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { changesBetween, noChanges, type ObjectChanges } from '../../src/control/changes.ts';
import type { Objects } from '../../src/control/objects.ts';
import type { TableUse } from '../../src/dataplane/tables.ts';
import { quantile } from '../measure.ts';
import {
  APPS,
  appOf,
  type ClusterSize,
  clusterObjects,
  namespaceObject,
  nodeName,
  nodeObject,
  PODS_OF_APP,
  type PodPlace,
  podObject,
  policyObject,
} from './cluster.ts';
import { Pipeline } from './pipeline.ts';

export interface Change {
  readonly name: string;
  /** Milliseconds. */
  readonly median: number;
  readonly p99: number;
  /** Milliseconds of processor time, all threads together: what others do on the machine changes it little. */
  readonly cpu: number;
  /** Selectors evaluated, rows of cells computed, addresses written: of one change, the median. */
  readonly selectors: number;
  readonly rows: number;
  readonly addresses: number;
}

export interface ControlResult {
  readonly size: ClusterSize;
  /** From nothing to live tables, milliseconds. */
  readonly full: number;
  /** Of processor time. */
  readonly fullCpu: number;
  /** Highest resident memory while that ran over what it was before, bytes. */
  readonly resident: number;
  readonly classes: number;
  readonly sets: number;
  readonly use: TableUse;
  readonly changes: readonly Change[];
}

export async function measure(size: ClusterSize, rounds: number): Promise<ControlResult> {
  const objects = clusterObjects(size);
  const pipeline = new Pipeline(nodeName(0));
  const baseline = resetPeak();
  const begin = performance.now();
  const cpuBegin = process.cpuUsage();
  const { use } = await pipeline.apply(changesBetween(undefined, objects));
  const full = performance.now() - begin;
  const fullCpu = milliseconds(process.cpuUsage(cpuBegin));
  const resident = peakResident() - baseline;
  const { classes, sets } = pipeline.desired.policy;
  // The other area is filled for the first time, too.
  await pipeline.apply(noChanges);
  const changes: Change[] = [];
  for (const { name, at } of kindsOfChange(size, objects)) {
    changes.push(
      await timed(name, at, pipeline, name.includes('comes into force') ? Math.ceil(rounds / 5) : rounds),
    );
  }
  return { size, full, fullCpu, resident, classes, sets: sets.length, use, changes };
}

async function timed(
  name: string,
  at: (round: number) => ObjectChanges,
  pipeline: Pipeline,
  rounds: number,
): Promise<Change> {
  const times: number[] = [];
  const cpu: number[] = [];
  const selectors: number[] = [];
  const rows: number[] = [];
  const addresses: number[] = [];
  // Compiled code first.
  for (let round = -4; round < rounds; round++) {
    const changes = at(round + 4);
    const cpuBegin = process.cpuUsage();
    const begin = performance.now();
    const { delta } = await pipeline.apply(changes);
    const time = performance.now() - begin;
    const cpuTime = milliseconds(process.cpuUsage(cpuBegin));
    if (round < 0) continue;
    cpu.push(cpuTime);
    times.push(time);
    selectors.push(delta?.work.selectors ?? 0);
    rows.push(delta?.work.rows ?? 0);
    addresses.push(delta?.endpoints.size ?? 0);
  }
  return {
    name,
    median: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpu: quantile(cpu, 0.5),
    selectors: quantile(selectors, 0.5),
    rows: quantile(rows, 0.5),
    addresses: quantile(addresses, 0.5),
  };
}

interface KindOfChange {
  readonly name: string;
  /** Changes of a round; odd ones undo what the even ones before them have done. */
  readonly at: (round: number) => ObjectChanges;
}

/** Places of pods that there are not. */
const NEW = 10_000_000;

function kindsOfChange(
  { namespaces, nodes, localPods }: ClusterSize,
  { pods, policies }: Objects,
): KindOfChange[] {
  /** In a namespace of local pods; numbers of pods name their namespaces and workloads. */
  const neighbour = (round: number) => {
    // Those of the first workload no policy lets talk with anybody.
    const local = PODS_OF_APP + (Math.floor(round / 2) % (localPods - PODS_OF_APP));
    return { number: namespaces + local, app: `app-${(appOf(local) + 1) % APPS}` };
  };
  const pod = (place: PodPlace, isThere = true): ObjectChanges => {
    const object = podObject(place);
    const { name, namespace } = object.metadata;
    return { ...noChanges, pods: new Map([[`${namespace}/${name}`, isThere ? object : undefined]]) };
  };
  const relabelled = (number: number, labels: Record<string, string> | undefined): ObjectChanges => {
    const before = pods[number];
    if (!before) throw new RangeError(`there is no pod ${number}`);
    const { name, namespace } = before.metadata;
    const metadata = labels
      ? { ...before.metadata, labels: { ...before.metadata.labels, ...labels } }
      : before.metadata;
    return { ...noChanges, pods: new Map([[`${namespace}/${name}`, { ...before, metadata }]]) };
  };
  const isOdd = (round: number) => round % 2 === 1;
  const policy = (namespace: number, i: number, change: boolean): ObjectChanges => {
    const object = policyObject(namespace, i, change);
    return {
      ...noChanges,
      policies: new Map([[`${object.metadata.namespace}/${object.metadata.name}`, object]]),
    };
  };
  const podless = namespaces - 1;
  return [
    {
      name: 'a label of a pod elsewhere, seen by policies',
      at: (round) => {
        const { number, app } = neighbour(round);
        return relabelled(number, isOdd(round) ? undefined : { app });
      },
    },
    {
      name: 'a label of a pod elsewhere, seen by none',
      at: (round) => relabelled(neighbour(round).number, isOdd(round) ? undefined : { note: `${round}` }),
    },
    {
      name: 'a label of a local pod',
      at: (round) =>
        relabelled(
          Math.floor(round / 2) % localPods,
          isOdd(round) ? undefined : { app: `app-${round % APPS}` },
        ),
    },
    {
      name: 'a pod elsewhere comes or goes',
      at: (round) =>
        pod({ number: NEW + Math.floor(round / 2), namespace: 1, node: 1, host: 200 }, !isOdd(round)),
    },
    {
      name: 'a local pod comes or goes',
      at: (round) =>
        pod({ number: NEW + Math.floor(round / 2), namespace: 2, node: 0, host: 200 }, !isOdd(round)),
    },
    {
      name: 'a label of a namespace',
      at: (round) => {
        const object = namespaceObject(podless, isOdd(round) ? {} : { team: `team-${round % 25}` });
        return { ...noChanges, namespaces: new Map([[object.metadata.name, object]]) };
      },
    },
    {
      name: 'a policy of a namespace without local pods',
      at: (round) => policy(podless, 1, !isOdd(round)),
    },
    {
      name: 'a port in a policy of local pods',
      at: (round) => policy(0, 1, !isOdd(round)),
    },
    {
      name: 'a selector comes into force or goes',
      at: (round) => {
        const [first] = policies;
        if (!first) throw new RangeError('there is no policy');
        const metadata = { ...first.metadata, name: 'another' };
        const from = [{ podSelector: { matchLabels: { 'pod-template-hash': (round % 3000).toString(36) } } }];
        const spec = { podSelector: {}, ingress: [{ from }] };
        const object = isOdd(round) ? undefined : { ...first, metadata, spec };
        return { ...noChanges, policies: new Map([[`${metadata.namespace}/another`, object]]) };
      },
    },
    {
      name: 'a node comes or goes',
      at: (round) => ({
        ...noChanges,
        nodes: new Map([[nodeName(nodes), isOdd(round) ? undefined : nodeObject(nodes)]]),
      }),
    },
  ];
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const milliseconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** @returns resident bytes now; from here on the peak counts (proc_pid_clear_refs(5), value 5) */
function resetPeak(): number {
  collectGarbage();
  writeFileSync('/proc/self/clear_refs', '5');
  return process.memoryUsage.rss();
}

function peakResident(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
