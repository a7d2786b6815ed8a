/**
 * Whose an address is. A younger pod owns an address that an older one still names: addresses are reused.
 *
 *     claim    pod a (older)  10.244.1.2, fd00::2        pod b (younger)  10.244.1.2
 *     pod      a: fd00::2                                b: 10.244.1.2
 */
import { compare } from './compare.ts';
import type { Pod } from './pods.ts';

/** A live pod with every address that it names. */
export interface Claim {
  readonly pod: Pod;
  /** RFC 3339. */
  readonly created: string;
}

export class AddressClaims {
  readonly #claims = new Map<string, Claim>();
  /** By address; most have one claimant, which then stands alone to spare an array each. */
  readonly #claimants = new Map<string, Claim | Claim[]>();
  #reserved: ReadonlyMap<string, string> = new Map();
  readonly #conflicts = new Map<string, string[]>();

  /** A line for each address that a pod has lost. */
  *warnings(): Iterable<string> {
    for (const lines of this.#conflicts.values()) yield* lines;
  }

  /**
   * @param claim undefined: the pod is no more
   * @returns keys of the other pods whose addresses may have become more or fewer
   */
  set(key: string, claim: Claim | undefined): Set<string> {
    const rivals = new Set<string>();
    const before = this.#claims.get(key);
    if (before) for (const { text } of before.pod.addresses) this.#leave(text, before, rivals);
    if (claim) {
      this.#claims.set(key, claim);
      for (const { text } of claim.pod.addresses) this.#enter(text, claim, rivals);
    } else this.#claims.delete(key);
    return rivals;
  }

  /** The pod with the addresses that are its own; undefined where there is no such pod. */
  pod(key: string): Pod | undefined {
    this.#conflicts.delete(key);
    const claim = this.#claims.get(key);
    if (!claim) return undefined;
    const { pod } = claim;
    const lost: string[] = [];
    const addresses = pod.addresses.filter(({ text }) => {
      const owner = this.owner(text);
      if (owner === undefined || owner === key) return true;
      lost.push(`Pod ${key}: address ${text} is taken by pod ${owner}`);
      return false;
    });
    if (lost.length === 0) return pod;
    this.#conflicts.set(key, lost);
    return { ...pod, addresses };
  }

  /** Key of the pod that owns an address, by the address's text. */
  owner(text: string): string | undefined {
    const reserved = this.#reserved.get(text);
    if (reserved !== undefined) return reserved;
    const claimants = this.#claimants.get(text);
    return (Array.isArray(claimants) ? claimants.reduce(younger) : claimants)?.pod.key;
  }

  /**
   * Gives addresses to pods whatever others claim.
   * @param owners keys by address, in place of those before
   * @returns keys of the pods that claim an address of which the owner is or was given so
   */
  reserve(owners: ReadonlyMap<string, string>): Set<string> {
    const rivals = new Set<string>();
    for (const text of [...this.#reserved.keys(), ...owners.keys()]) {
      if (this.#reserved.get(text) === owners.get(text)) continue;
      for (const { pod } of [this.#claimants.get(text) ?? []].flat()) rivals.add(pod.key);
    }
    this.#reserved = owners;
    return rivals;
  }

  #enter(text: string, claim: Claim, rivals: Set<string>): void {
    const present = this.#claimants.get(text);
    if (present === undefined) {
      this.#claimants.set(text, claim);
      return;
    }
    const all = Array.isArray(present) ? present : [present];
    for (const { pod } of all) rivals.add(pod.key);
    this.#claimants.set(text, [...all, claim]);
  }

  #leave(text: string, claim: Claim, rivals: Set<string>): void {
    const present = this.#claimants.get(text);
    const rest = Array.isArray(present) ? present.filter((one) => one !== claim) : [];
    for (const { pod } of rest) rivals.add(pod.key);
    const [first, ...more] = rest;
    if (first === undefined) this.#claimants.delete(text);
    else this.#claimants.set(text, more.length === 0 ? first : rest);
  }
}

const younger = (a: Claim, b: Claim): Claim =>
  (compare(b.created, a.created) || compare(a.pod.key, b.pod.key)) <= 0 ? a : b;
