/** What must hold for any packet. A violation is an exception. */
import assert from 'node:assert/strict';
import { WORKER_STATS, WORKER_VERDICTS } from '../../asm/layout/memory.ts';
import { STAT_RECEIVED } from '../../asm/layout/tables.ts';
import { Verdict } from '../../asm/verdict.ts';
import { workerBase } from '../../src/dataplane/memory.ts';
import { verdictNames } from '../../src/dataplane/statistics.ts';
import { type Decoded, readDecoded } from '../../src/replay/decoded.ts';
import { type Inspector, PACKET, type Sample } from '../../src/replay/inspector.ts';
import type { ReplayNode } from '../../src/replay/node.ts';
import type { NodeWay, Outcome } from '../../src/replay/through-node.ts';

const drops = new Set(verdictNames.slice(Verdict.Consumed + 1));
/** Further than any view looks beyond its header. */
const BEHIND = 512;

/** Decodes a packet with other bytes behind it each time: what it is must not depend on them. */
export function decodeTwice(inspector: Inspector, sample: Sample): Decoded {
  const { memory } = inspector.record;
  const end = PACKET + sample.data.length;
  memory.fill(0, end, end + BEHIND);
  const first = readDecoded(inspector.inspect(sample));
  memory.fill(0xff, end, end + BEHIND);
  const second = readDecoded(inspector.inspect(sample));
  assert.deepEqual(second, first);
  assert.equal(first.reason === null, first.verdict === 'forward');
  assert.ok(first.reason === null || drops.has(first.reason), `${first.reason} is no drop`);
  if (sample.data.length < sample.original) assert.equal(first.reason, 'capture-truncated');
  if (first.inner === null && first.tunnel === null) assert.equal(first.outer, null);
  return first;
}

/** Takes a packet through a node: it is counted once, and what is sent is packets. */
export function takeThrough(
  node: ReplayNode,
  way: NodeWay,
  inspector: Inspector,
  sample: Sample,
): Outcome | undefined {
  const before = counted(node);
  const packet = { ...sample, time: null, comments: [] };
  const record = inspector.inspect(packet);
  const outcome = way.take(packet, record, readDecoded(record));
  const after = counted(node);
  assert.equal(after.received - before.received, outcome ? 1n : 0n);
  assert.equal(after.received, after.verdicts, 'received = forwarded + consumed + dropped');
  for (const { data } of outcome?.sent ?? [])
    assert.ok(data.length >= 20 && data.length <= 65536 + 64, `${data.length} bytes sent`);
  return outcome;
}

function counted({ memory }: ReplayNode): { received: bigint; verdicts: bigint } {
  const { view } = memory;
  const base = workerBase(0);
  const verdicts = verdictNames.reduce(
    (sum, _, i) => sum + view.getBigUint64(base + WORKER_VERDICTS + i * 8, true),
    0n,
  );
  return { received: view.getBigUint64(base + WORKER_STATS + STAT_RECEIVED * 8, true), verdicts };
}
