// One thread of bench/growth/cores.ts: an instance of its own, asked for a turn by a message and answering with its rate.
import { parentPort, workerData } from 'node:worker_threads';
import { WORKER_VERDICTS } from '../../asm/layout/memory.ts';
import { Verdict } from '../../asm/verdict.ts';
import { viewMemory, workerBase } from '../../src/dataplane/memory.ts';
import { instantiate, type WorkerExports } from '../../src/dataplane/module.ts';
import { socketBurst, tapBurst } from '../burst.ts';
import { quantile } from '../measure.ts';
import type { CoreData, Turn } from './cores.ts';

const data = workerData as CoreData;
const place = {
  memory: viewMemory(data.memory),
  base: workerBase(data.index),
  receiving: data.receiving,
};
const dataPath = instantiate<WorkerExports>(data.module, data.memory);
dataPath.workerInit(data.index);
const out = data.frames.map((frames) => tapBurst(place, frames));
const back = data.messages.map((messages) => socketBurst(place, messages));
const forwarded = () =>
  Number(place.memory.view.getBigUint64(place.base + WORKER_VERDICTS + Verdict.Forward * 8, true));

/** @returns million packets a second, by the median bursts, which others that want the processor do not touch */
function turn({ begin, end }: Turn): number {
  while (Date.now() < begin) {}
  const before = forwarded();
  const times = { egress: [] as number[], ingress: [] as number[] };
  let packets = 0;
  do {
    for (const [path, bursts] of [
      ['egress', out],
      ['ingress', back],
    ] as const) {
      for (const burst of bursts) {
        burst.restore();
        const began = performance.now();
        dataPath[path](burst.count);
        times[path].push((performance.now() - began) / burst.packets);
        packets += burst.packets;
      }
    }
  } while (Date.now() < end);
  const found = forwarded() - before;
  if (found !== packets) throw new Error(`of ${packets} packets ${found} were forwarded`);
  return 2 / (quantile(times.egress, 0.5) + quantile(times.ingress, 0.5)) / 1000;
}

parentPort?.on('message', (asked: Turn) => parentPort?.postMessage(turn(asked)));
parentPort?.postMessage('ready');
