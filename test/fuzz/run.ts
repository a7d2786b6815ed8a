/**
 * `npm run fuzz [-- SECONDS]`: mutates packets for as long, and keeps those that take the data path a new way.
 *
 * The work is done in a thread; this one sees when a packet hangs it. A packet that hangs, traps or breaks a property
 * is left in build/fuzz-failure.pcapng, and the exit status is 1.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { CaptureWriter } from '../../src/capture-file/writer.ts';
import { Inspector, type Sample, wellKnownPorts } from '../../src/replay/inspector.ts';
import { NodeWay } from '../../src/replay/through-node.ts';
import { Coverage, instrument } from './coverage.ts';
import { type Edit, editKinds, mutated } from './mutate.ts';
import { nodeSamples } from './node-samples.ts';
import { fuzzedNode } from './nodes.ts';
import { decodeTwice, takeThrough } from './properties.ts';
import { seeds } from './seeds.ts';

const DEFAULT_SECONDS = 60;
const HANG_MS = 10_000;
const REPORT_MS = 5_000;
const LONGEST = 9_000;
const FAILURE = 'build/fuzz-failure.pcapng';

/** What both threads see: runs so far, and the packet at hand. */
interface Shared {
  readonly runs: BigUint64Array<SharedArrayBuffer>;
  /** Link type, length, original length. */
  readonly facts: Uint32Array<SharedArrayBuffer>;
  readonly data: Uint8Array<SharedArrayBuffer>;
}

interface Target {
  readonly name: string;
  readonly counters: Uint8Array;
  readonly samples: Sample[];
  readonly run: (sample: Sample) => void;
}

async function supervise(seconds: number): Promise<number> {
  const shared: Shared = {
    runs: new BigUint64Array(new SharedArrayBuffer(8)),
    facts: new Uint32Array(new SharedArrayBuffer(12)),
    data: new Uint8Array(new SharedArrayBuffer(LONGEST + 64)),
  };
  const worker = new Worker(new URL(import.meta.url), { workerData: { shared, seconds } });
  let before = -1n;
  const watch = setInterval(() => {
    const now = Atomics.load(shared.runs, 0);
    if (now === before && now > 0n) fail('hangs');
    before = now;
  }, HANG_MS);
  const fail = (what: string) => {
    const [linkType = 0, length = 0, original = 0] = shared.facts;
    using writer = new CaptureWriter(FAILURE, [{ linkType }]);
    writer.write({ data: shared.data.slice(0, length), original, time: 0n, comments: [what] });
    console.error(`${what}\nthe packet is in ${FAILURE}`);
    if (what === 'hangs') process.exit(1);
  };
  worker.on('error', (error) => fail((error as Error).stack ?? String(error)));
  const status = await new Promise<number>((resolve) => worker.on('exit', resolve));
  clearInterval(watch);
  return status;
}

async function work({ shared, seconds }: { shared: Shared; seconds: number }): Promise<void> {
  const targets = await makeTargets();
  const coverage = new Coverage();
  const started = performance.now();
  let reported = started;
  const attempt = (target: Target, sample: Sample): boolean => {
    shared.facts.set([sample.linkType, sample.data.length, sample.original]);
    shared.data.set(sample.data);
    target.run(sample);
    Atomics.add(shared.runs, 0, 1n);
    return coverage.take(target.counters);
  };
  for (const target of targets)
    target.samples.splice(0, Infinity, ...target.samples.filter((sample) => attempt(target, sample)));
  for (let now = started; now - started < seconds * 1000; now = performance.now()) {
    for (const target of targets) {
      for (let i = 0; i < 200; i++) {
        const sample = mutated(pick(target.samples), Array.from({ length: 1 + random(5) }, randomEdit));
        if (sample.data.length <= LONGEST && attempt(target, sample)) target.samples.push(sample);
      }
    }
    if (now - reported < REPORT_MS) continue;
    reported = now;
    report();
  }
  report();

  function report(): void {
    const kept = targets.map(({ name, samples }) => `${name} ${samples.length}`).join(', ');
    const elapsed = Math.round((performance.now() - started) / 1000);
    console.log(
      `${elapsed} s: ${Atomics.load(shared.runs, 0)} packets, ${coverage.size} ways; kept: ${kept}`,
    );
  }
}

async function makeTargets(): Promise<Target[]> {
  const { module, counters } = instrument();
  const inspector = new Inspector(wellKnownPorts, module);
  const decode: Target = {
    name: 'decode',
    counters: counters(inspector.memory),
    samples: seeds(true),
    run: (sample) => void decodeTwice(inspector, sample),
  };
  const nodes = await Promise.all(
    (['vxlan', 'geneve', 'ipip'] as const).map(async (encapsulation): Promise<Target> => {
      const node = await fuzzedNode(encapsulation, module);
      const way = new NodeWay(node);
      const plain = new Inspector();
      return {
        name: encapsulation,
        counters: counters(node.memory.wasm),
        samples: nodeSamples(node),
        run: (sample) => void takeThrough(node, way, plain, sample),
      };
    }),
  );
  return [decode, ...nodes];
}

const random = (below: number): number => Math.floor(Math.random() * below);
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
const randomEdit = (): Edit => ({
  kind: pick(editKinds),
  at: random(4) > 0 ? random(100) : random(2048),
  value: random(0x10000),
});

if (isMainThread) process.exitCode = await supervise(Number(process.argv[2] ?? DEFAULT_SECONDS));
else await work(workerData as { shared: Shared; seconds: number });
