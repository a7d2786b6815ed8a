// Which pods have addresses near to each other, so that a block of addresses finds its pods without asking all.
import type { Pod } from '../control/pods.ts';
import { type Address, MAPPED_BITS } from '../net/address.ts';
import { contains, type Prefix } from '../net/prefix.ts';

/** First bits of an address that name its bucket. */
const BUCKET_BITS = 16;

interface Bucket {
  /** Of the bucket's addresses, any. */
  readonly address: Address;
  readonly pods: Set<Pod>;
}

export class AddressIndex {
  readonly #buckets = new Map<number, Bucket>();

  add(pod: Pod): void {
    for (const address of pod.addresses) {
      const key = keyOf(address);
      const bucket = this.#buckets.get(key);
      if (bucket) bucket.pods.add(pod);
      else this.#buckets.set(key, { address, pods: new Set([pod]) });
    }
  }

  remove(pod: Pod): void {
    for (const address of pod.addresses) {
      const key = keyOf(address);
      const pods = this.#buckets.get(key)?.pods;
      if (pods?.delete(pod) && pods.size === 0) this.#buckets.delete(key);
    }
  }

  /** Keys of the pods with an address in a block. */
  *inside(prefix: Prefix): Iterable<string> {
    const { family } = prefix.address;
    const bits = prefix.bits - (family === 4 ? MAPPED_BITS : 0);
    for (const { address, pods } of this.#candidates(prefix, bits)) {
      if (address.family !== family) continue;
      for (const { key, addresses } of pods) if (addresses.some((one) => contains(prefix, one))) yield key;
    }
  }

  *#candidates(prefix: Prefix, bits: number): Iterable<Bucket> {
    if (bits < BUCKET_BITS) {
      yield* this.#buckets.values();
      return;
    }
    const bucket = this.#buckets.get(keyOf(prefix.address));
    if (bucket) yield bucket;
  }
}

function keyOf({ family, bytes }: Address): number {
  const at = family === 4 ? MAPPED_BITS / 8 : 0;
  return (family << BUCKET_BITS) | ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
