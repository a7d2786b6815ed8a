/** Sweep: tells of flows that have ended though no packet says so, and frees them. Only for the flow log. */
import {
  FLOW_IS_CLOSED,
  FLOW_SEEN,
  FLOW_SIZE,
  FLOW_STATE,
  FLOW_TAG_BUSY,
  FLOW_WAYS,
  FLOWS_HEADER_SIZE,
  FLOWS_MASK,
} from '../layout/flows';
import { burstBegin, flows, now } from '../worker';
import { eventClosed } from './events';
import { isConnection, isExpired } from './flow';

/** Milliseconds that one round through the table takes. */
const ROUND: u32 = 5_000;
/** Milliseconds after which nothing more is awaited of a connection that has been closed. */
const LINGER: u32 = 1_000;

/** Entry that is next. */
let cursor: u32 = 0;
let last: u32 = 0;

/** Looks at as many entries as the time since the last call is worth. To be called often, by one worker. */
export function sweep(): void {
  burstBegin();
  const entries = (load<u32>(flows, FLOWS_MASK) + 1) * FLOW_WAYS;
  const elapsed = min(now - last, ROUND);
  const count = <u32>((<u64>entries * <u64>elapsed) / <u64>ROUND);
  if (count === 0) return;
  last = now;
  const tags = flows + FLOWS_HEADER_SIZE;
  for (let i: u32 = 0; i < count; i++) {
    if (cursor >= entries) cursor = 0;
    sweepOne(tags + (cursor << 2), tags + (entries << 2) + cursor * FLOW_SIZE);
    cursor++;
  }
}

function sweepOne(at: usize, entry: usize): void {
  const tag = load<u32>(at);
  if (tag === 0 || tag === FLOW_TAG_BUSY) return;
  if (isExpired(entry)) {
    if (atomic.cmpxchg<u32>(at, tag, FLOW_TAG_BUSY) !== tag) return;
    if (isConnection(entry)) eventClosed(entry, true);
    store<u8>(entry, 0, FLOW_STATE);
    atomic.store<u32>(at, 0);
  } else if (
    <u32>load<u8>(entry, FLOW_STATE) >= FLOW_IS_CLOSED &&
    now - load<u32>(entry, FLOW_SEEN) > LINGER
  ) {
    eventClosed(entry, false);
  }
}
