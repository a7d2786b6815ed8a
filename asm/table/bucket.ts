/**
 * Bucket: how much of its rate a port has used, as the time until which it is in debt.
 *
 *     now − burst ◄─────── credit ───────► now ◄────── debt ──────►
 *          └ no earlier than this            └ up to here frames may pass
 *
 * It is the virtual scheduling form of the generic cell rate algorithm (ITU-T I.371), with one difference: a frame may
 * pass as long as there is no debt, however long it is, so that no burst is too short for a superframe. One word a
 * direction, which all workers change atomically.
 */

/** Whether a frame may pass. */
export function bucketIsOpen(bucket: usize, time: i64): bool {
  return atomic.load<i64>(bucket) <= time;
}

/**
 * Takes `cost` nanoseconds.
 * @param burst nanoseconds of credit at most
 */
export function bucketTake(bucket: usize, time: i64, burst: i64, cost: i64): void {
  const least = time - burst;
  let before = atomic.load<i64>(bucket);
  for (;;) {
    const seen = atomic.cmpxchg<i64>(bucket, before, max<i64>(before, least) + cost);
    if (seen === before) return;
    before = seen;
  }
}
