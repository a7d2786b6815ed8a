// Times changes of Services, each from changed objects to the epoch that is live.
import { changesBetween, noChanges, type ObjectChanges } from '../../src/control/changes.ts';
import { readManifests } from '../../src/control/manifests.ts';
import type { Objects } from '../../src/control/objects.ts';
import type { TableUse } from '../../src/dataplane/tables.ts';
import { Pipeline } from '../control/pipeline.ts';
import { quantile } from '../measure.ts';
import { serviceObject, services, sliceObject } from './cluster.ts';

export interface ChangeResult {
  /** From nothing to live tables, milliseconds. */
  readonly full: number;
  readonly use: TableUse;
  readonly changes: readonly { readonly name: string; readonly median: number; readonly p99: number }[];
}

const read = (items: readonly object[]): Objects => {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  return readManifests([{ file: 'bench.json', text }]).objects;
};

export async function measureChanges(count: number, rounds: number): Promise<ChangeResult> {
  const pipeline = new Pipeline('node-1');
  const objects = read(services(count));
  const begin = performance.now();
  const { use } = await pipeline.apply(changesBetween(undefined, objects));
  const full = performance.now() - begin;
  // The other area is filled for the first time, too.
  await pipeline.apply(noChanges);
  const changed = (items: readonly object[]): ObjectChanges => changesBetween(undefined, read(items));
  const kinds: readonly [string, (round: number) => ObjectChanges][] = [
    ['an endpoint is replaced', (round) => changed([sliceObject(round % count, 4, round % 2 === 0 ? 1 : 0)])],
    [
      'a Service comes or goes',
      (round) => {
        const key = `default/service-${count}`;
        return round % 2 === 0
          ? changed([serviceObject(count), sliceObject(count, 4), sliceObject(count, 6)])
          : { ...noChanges, services: new Map([[key, undefined]]) };
      },
    ],
  ];
  const changes: { name: string; median: number; p99: number }[] = [];
  for (const [name, at] of kinds) {
    const times: number[] = [];
    for (let round = -4; round < rounds; round++) {
      const change = at(round + 4);
      const start = performance.now();
      await pipeline.apply(change);
      if (round >= 0) times.push(performance.now() - start);
    }
    changes.push({ name, median: quantile(times, 0.5), p99: quantile(times, 0.99) });
  }
  return { full, use, changes };
}
