/** Settles a burst that the kernel did not take whole: refused frames become drops by name. */

import { NO_TUNNEL, TX_FRAMES, TX_MESSAGE_SIZE, TX_SLOT, TX_STATUS, TX_TUNNEL } from '../layout/burst';
import { WORKER_TX_MESSAGES } from '../layout/memory';
import { PORT_DROPS, STAT_MESSAGES_LOST, TUNNEL_DROPS } from '../layout/tables';
import { countPortOne, countStat, countTunnelOne, countVerdict } from '../table/counters';
import { Verdict } from '../verdict';
import { base } from '../worker';

/** Errors of Linux, asm-generic/errno.h. */
const EIO = 5;
const EAGAIN = 11;
const ENOMEM = 12;
const ENODEV = 19;
const EBADFD = 77;
const EMSGSIZE = 90;
const ENETDOWN = 100;
const ENETUNREACH = 101;
const ENOBUFS = 105;
const ECONNREFUSED = 111;
const EHOSTUNREACH = 113;

function verdictOf(errno: i32): Verdict {
  switch (errno) {
    case EAGAIN:
    case ENOMEM:
    case ENOBUFS:
      return Verdict.TxQueueFull;
    case EMSGSIZE:
      return Verdict.TxMessageSize;
    case ENETUNREACH:
    case ECONNREFUSED:
    case EHOSTUNREACH:
      return Verdict.TxUnreachable;
    case EIO:
    case ENODEV:
    case EBADFD:
    case ENETDOWN:
      return Verdict.TxDeviceDown;
    default:
      return Verdict.TxRefused;
  }
}

/** To be called after a transmission in which some of the `count` messages failed. */
export function settle(count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const m = base + WORKER_TX_MESSAGES + i * TX_MESSAGE_SIZE;
    const status = load<i32>(m, TX_STATUS);
    if (status === 0) continue;
    const frames = <i64>load<u16>(m, TX_FRAMES);
    countStat(STAT_MESSAGES_LOST, 1);
    if (frames === 0) continue;
    countVerdict(Verdict.Forward, -frames);
    countVerdict(verdictOf(status), frames);
    const tunnel = load<u32>(m, TX_TUNNEL);
    if (tunnel === NO_TUNNEL) countPortOne(<u32>load<u16>(m, TX_SLOT), PORT_DROPS, <u32>frames);
    else countTunnelOne(tunnel, TUNNEL_DROPS, <u32>frames);
  }
}
