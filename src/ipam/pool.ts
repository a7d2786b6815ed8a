/**
 * Which addresses of a block can be a pod's, and in which order they are handed out. Pure.
 *
 *     10.244.1.0/24      .0 the block's own   .1 the node   .2 … .254 pods        .255 broadcast
 *     fd00:244:1::/64    ::0 any router       ::1 the node  ::2 … ::ffff:ffff pods
 */
import type { Address } from '../net/address.ts';
import { contains, nth, type Prefix } from '../net/prefix.ts';

/** Of a larger block only the first 2³² addresses are handed out. */
const LARGEST = 2 ** 32;

/** Offset of the first pod: behind the block's own address (RFC 4291 §2.6.1 in IPv6) and the node's. */
const FIRST = 2;

/** Offset of the last pod, less than FIRST where there is none. */
function last({ address, length }: Prefix): number {
  const size = Math.min(2 ** ((address.family === 4 ? 32 : 128) - length), LARGEST);
  // RFC 922 §7: the highest address of an IPv4 block is its broadcast.
  return address.family === 4 ? size - 2 : size - 1;
}

/** How many pods a block has room for. */
export const capacity = (block: Prefix): number => Math.max(0, last(block) - FIRST + 1);

/** Whether an address of a block can be a pod's. */
export function isForPods(block: Prefix, address: Address): boolean {
  if (!contains(block, address)) return false;
  const reserved = [0, 1, ...(address.family === 4 ? [last(block) + 1] : [])];
  return !reserved.some((offset) => nth(block, offset).text === address.text);
}

/**
 * The first address behind an offset, around the end of the block, that is free: what was released last comes last.
 * @param after offset from which to go on; 0 at first
 */
export function nextFree(
  block: Prefix,
  after: number,
  isFree: (address: Address) => boolean,
): { readonly address: Address; readonly offset: number } | undefined {
  const count = capacity(block);
  const start = after < FIRST || after > last(block) ? 0 : after - FIRST + 1;
  for (let i = 0; i < count; i++) {
    const offset = FIRST + ((start + i) % count);
    const address = nth(block, offset);
    if (isFree(address)) return { address, offset };
  }
  return undefined;
}
