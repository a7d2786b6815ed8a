/**
 * Shape: holds ports to the rates that they were given.
 *
 *     from a port   what was read is charged; in debt, its TAP is not read: frames wait in the pod, whose
 *                   sockets feel it
 *     to a port     in debt, frames wait here, up to the port's limit of bytes; what is more is dropped by name
 *
 * Frames count with their Ethernet header, superframes once.
 */
import {
  RX_FRAME_LENGTH,
  RX_FRAME_PORT,
  RX_FRAME_SIZE,
  TAP_PAUSED,
  TX_BYTES,
  TX_FRAMES,
  TX_MESSAGE_SIZE,
  TX_SLOT,
} from '../layout/burst';
import {
  CONTROL_BUCKETS,
  FIRST_SOCKET_SLOT,
  MAX_IOVS,
  MAX_PORTS,
  MAX_TX_MESSAGES,
  VNET_HEADER,
  WORKER_RX_FRAMES,
  WORKER_SHAPER,
  WORKER_SHAPING,
  WORKER_SWITCH_COUNT,
  WORKER_TIME,
  WORKER_TX_MESSAGES,
} from '../layout/memory';
import {
  BUCKET_EGRESS,
  BUCKET_INGRESS,
  BUCKET_ROW_SIZE,
  MAX_SWITCHES,
  QUEUE_IS_PAUSED,
  SHAPER_HOLDING,
  SHAPER_HOLDING_COUNT,
  SHAPER_PAUSED,
  SHAPER_PAUSED_COUNT,
  SHAPER_SWITCHES,
} from '../layout/shaper';
import {
  PORT_COST_SHIFT,
  PORT_DROPS,
  PORT_EGRESS_BURST,
  PORT_EGRESS_COST,
  PORT_INGRESS_BURST,
  PORT_INGRESS_COST,
  PORT_INGRESS_LIMIT,
  PORT_MAC,
  TABLES_SHAPED,
} from '../layout/tables';
import { bucketIsOpen, bucketTake } from '../table/bucket';
import { countPortOne, countVerdict } from '../table/counters';
import { portRow } from '../table/snapshot';
import {
  HELD_ENTRIES,
  heldBytes,
  heldDrop,
  heldFirst,
  heldLength,
  heldPush,
  heldQueue,
  hold,
  queueOf,
} from '../transmit/held';
import {
  iovs,
  messages,
  messagesEnd,
  messagesKeep,
  messagesReset,
  messageToQueue,
} from '../transmit/message';
import { Verdict } from '../verdict';
import { area, base, burstBegin } from '../worker';

/** Charges ports for the first `frames` rows of WORKER_RX_FRAMES. */
export function shapeFromPorts(frames: u32): void {
  store<u32>(base, 0, WORKER_SWITCH_COUNT);
  if (load<u32>(area, TABLES_SHAPED) === 0) return;
  const time = timeNow();
  let descriptor = base + WORKER_RX_FRAMES;
  for (let i: u32 = 0; i < frames; i++, descriptor += RX_FRAME_SIZE) {
    const port = <u32>load<u16>(descriptor, RX_FRAME_PORT);
    const row = portRow(area, port);
    const cost = row === 0 ? 0 : load<u64>(row, PORT_EGRESS_COST);
    if (cost === 0) continue;
    const bytes = load<u32>(descriptor, RX_FRAME_LENGTH) - VNET_HEADER;
    take(port, BUCKET_EGRESS, time, load<u64>(row, PORT_EGRESS_BURST), cost, bytes);
    if (!bucketIsOpen(bucketOf(port, BUCKET_EGRESS), time)) pause(port);
  }
}

/** Takes from the burst's messages those that have to wait for their port. */
export function shapeToPorts(): void {
  if (load<u32>(area, TABLES_SHAPED) === 0) return;
  const time = timeNow();
  const first = base + WORKER_TX_MESSAGES;
  const end = first + messages * TX_MESSAGE_SIZE;
  let to = first;
  for (let m = first; m < end; m += TX_MESSAGE_SIZE) {
    if (!passes(m, time)) continue;
    if (to !== m) memory.copy(to, m, TX_MESSAGE_SIZE);
    to += TX_MESSAGE_SIZE;
  }
  messagesKeep(<u32>(to - first) / TX_MESSAGE_SIZE);
}

/**
 * Lets go what has waited long enough: to be called every millisecond while WORKER_SHAPING is not 0.
 * @returns messages in WORKER_TX_MESSAGES
 */
export function shape(): u32 {
  messagesReset();
  store<u32>(base, 0, WORKER_SWITCH_COUNT);
  if (burstBegin()) {
    const time = timeNow();
    resume(time);
    letGo(time);
  }
  return messagesEnd();
}

/** Nanoseconds of CLOCK_MONOTONIC. */
function timeNow(): i64 {
  return load<i64>(base, WORKER_TIME) * 1000;
}

function bucketOf(port: u32, direction: u32): usize {
  return CONTROL_BUCKETS + port * BUCKET_ROW_SIZE + direction;
}

function take(port: u32, direction: u32, time: i64, burst: u64, cost: u64, bytes: u32): void {
  const taken = (cost * <u64>bytes) >> PORT_COST_SHIFT;
  bucketTake(bucketOf(port, direction), time, <i64>burst, <i64>taken);
}

// ---- from a port ------------------------------------------------------------------------------

function pause(port: u32): void {
  const queue = queueOf(port);
  if (load<u32>(queue, QUEUE_IS_PAUSED) !== 0) return;
  store<u32>(queue, 1, QUEUE_IS_PAUSED);
  listAdd(SHAPER_PAUSED, SHAPER_PAUSED_COUNT, port);
  switchTap(port | TAP_PAUSED);
}

function resume(time: i64): void {
  const list = base + WORKER_SHAPER;
  for (let i: u32 = 0; i < load<u32>(list, SHAPER_PAUSED_COUNT); ) {
    const port = load<u32>(list + (i << 2), SHAPER_PAUSED);
    if (bucketIsOpen(bucketOf(port, BUCKET_EGRESS), time)) {
      store<u32>(queueOf(port), 0, QUEUE_IS_PAUSED);
      listRemove(SHAPER_PAUSED, SHAPER_PAUSED_COUNT, i);
      switchTap(port);
    } else i++;
  }
}

function switchTap(entry: u32): void {
  const count = load<u32>(base, WORKER_SWITCH_COUNT);
  if (count >= MAX_SWITCHES) return;
  store<u32>(base + WORKER_SHAPER + (count << 2), entry, SHAPER_SWITCHES);
  store<u32>(base, count + 1, WORKER_SWITCH_COUNT);
}

// ---- to a port --------------------------------------------------------------------------------

/** Whether a message is to be sent now; otherwise it is held or dropped. */
function passes(message: usize, time: i64): bool {
  const port = <u32>load<u16>(message, TX_SLOT);
  if (port >= FIRST_SOCKET_SLOT) return true;
  const row = portRow(area, port);
  const cost = row === 0 ? 0 : load<u64>(row, PORT_INGRESS_COST);
  if (cost === 0) return true;
  const isFirst = heldFirst(port) === 0;
  const bytes = load<u32>(message, TX_BYTES) - VNET_HEADER;
  if (isFirst && bucketIsOpen(bucketOf(port, BUCKET_INGRESS), time)) {
    take(port, BUCKET_INGRESS, time, load<u64>(row, PORT_INGRESS_BURST), cost, bytes);
    return true;
  }
  if (!hold(message, port, load<u32>(row, PORT_INGRESS_LIMIT))) refuse(message, port);
  else if (isFirst) listAdd(SHAPER_HOLDING, SHAPER_HOLDING_COUNT, port);
  return false;
}

/** What was forwarded turns out to be dropped. */
function refuse(message: usize, port: u32): void {
  const frames = <u32>load<u16>(message, TX_FRAMES);
  countVerdict(Verdict.Forward, -(<i64>frames));
  countVerdict(Verdict.RateExceeded, frames);
  countPortOne(port, PORT_DROPS, frames);
}

function letGo(time: i64): void {
  const list = base + WORKER_SHAPER;
  for (let i: u32 = 0; i < load<u32>(list, SHAPER_HOLDING_COUNT); ) {
    const port = load<u32>(list + (i << 2), SHAPER_HOLDING);
    const row = portRow(area, port);
    while (heldFirst(port) !== 0) {
      if (!isFor(heldBytes(port), row)) heldDrop(port);
      else if (messages >= MAX_TX_MESSAGES || iovs + HELD_ENTRIES > MAX_IOVS) return;
      else if (!send(row, port, time)) break;
    }
    if (heldFirst(port) === 0) listRemove(SHAPER_HOLDING, SHAPER_HOLDING_COUNT, i);
    else i++;
  }
}

/** Whether the port is still that of the pod for which a frame waits. */
function isFor(frame: usize, row: usize): bool {
  const mac = frame + VNET_HEADER;
  return (
    row !== 0 &&
    load<u32>(mac) === load<u32>(row, PORT_MAC) &&
    load<u16>(mac, 4) === load<u16>(row, PORT_MAC + 4)
  );
}

/** False while the port is in debt. */
function send(row: usize, port: u32, time: i64): bool {
  const cost = load<u64>(row, PORT_INGRESS_COST);
  if (cost !== 0 && !bucketIsOpen(bucketOf(port, BUCKET_INGRESS), time)) return false;
  const bytes = heldLength(port) - VNET_HEADER;
  take(port, BUCKET_INGRESS, time, load<u64>(row, PORT_INGRESS_BURST), cost, bytes);
  // Its fate was settled when it was taken in.
  heldPush(messageToQueue(port, heldQueue(port), 0), port);
  heldDrop(port);
  return true;
}

// ---- lists of ports, each port at most once -----------------------------------------------------

function listAdd(list: u32, count: u32, port: u32): void {
  const state = base + WORKER_SHAPER;
  const n = load<u32>(state + count);
  if (n >= MAX_PORTS) return;
  store<u32>(state + list + (n << 2), port);
  store<u32>(state + count, n + 1);
  store<u32>(base, load<u32>(base, WORKER_SHAPING) + 1, WORKER_SHAPING);
}

function listRemove(list: u32, count: u32, index: u32): void {
  const state = base + WORKER_SHAPER;
  const last = load<u32>(state + count) - 1;
  store<u32>(state + list + (index << 2), load<u32>(state + list + (last << 2)));
  store<u32>(state + count, last);
  store<u32>(base, load<u32>(base, WORKER_SHAPING) - 1, WORKER_SHAPING);
}
