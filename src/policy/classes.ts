/**
 * Policy classes: what no rule in force can tell apart has one number.
 *
 * A class is the set of terms that hold. Pods' addresses and blocks of addresses share the numbers. Class 0
 * (CLASS_UNKNOWN) is the one for which nothing holds. A number stays with its set for as long as that is in use.
 */
import { CLASS_UNKNOWN } from '../../asm/layout/tables.ts';

export interface PolicyClass {
  readonly number: number;
  /** Numbers of the terms that hold, ascending. */
  readonly terms: readonly number[];
}

interface Entry extends PolicyClass {
  readonly key: string;
  uses: number;
}

export class Classes {
  readonly #byKey = new Map<string, Entry>();
  readonly #byNumber: (Entry | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #idle = new Set<Entry>();
  #fresh: Entry[] = [];

  constructor() {
    this.use([]);
  }

  /** Classes in use, CLASS_UNKNOWN among them. */
  get size(): number {
    return this.#byKey.size;
  }

  values(): Iterable<PolicyClass> {
    return this.#byKey.values();
  }

  /**
   * The class for which these terms hold; to be released once for each time.
   * @param terms each once, in any order
   */
  use(terms: readonly number[]): PolicyClass {
    const sorted = terms.length > 1 ? [...terms].sort((a, b) => a - b) : terms;
    const key = sorted.join();
    let entry = this.#byKey.get(key);
    if (!entry) {
      const number = this.#free.pop() ?? this.#byNumber.length;
      entry = { number, terms: sorted, key, uses: 0 };
      this.#byNumber[number] = entry;
      this.#byKey.set(key, entry);
      this.#fresh.push(entry);
    }
    entry.uses++;
    return entry;
  }

  /** CLASS_UNKNOWN is never given up. */
  release(number: number): void {
    const entry = this.#byNumber[number];
    if (entry && number !== CLASS_UNKNOWN && --entry.uses === 0) this.#idle.add(entry);
  }

  /**
   * Frees the numbers of classes that nothing uses any more.
   * @returns the classes that are new since the last time and in use
   */
  settle(): PolicyClass[] {
    for (const entry of this.#idle) {
      if (entry.uses > 0) continue;
      this.#byKey.delete(entry.key);
      this.#byNumber[entry.number] = undefined;
      this.#free.push(entry.number);
    }
    this.#idle.clear();
    const fresh = this.#fresh.filter((entry) => this.#byNumber[entry.number] === entry);
    this.#fresh = [];
    return fresh;
  }
}
