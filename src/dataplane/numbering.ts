// Numbers for things that have names: the same name keeps its number as long as it is in use.

/** Counters of the data path are rows by number, so a tunnel or decision must not change its number between snapshots. */
export class Numbering {
  readonly #first: number;
  readonly #limit: number;
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #next: number;

  /** Hands out numbers in [first, limit). */
  constructor(first: number, limit: number) {
    this.#first = first;
    this.#limit = limit;
    this.#next = first;
  }

  get size(): number {
    return this.#numbers.size;
  }

  get capacity(): number {
    return this.#limit - this.#first;
  }

  numberOf(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  nameOf(number: number): string | undefined {
    return this.#names.get(number);
  }

  /**
   * Makes exactly these names numbered.
   * @returns the names that were not before, or undefined when there are too many: then nothing has changed
   */
  assign(names: Iterable<string>): string[] | undefined {
    const wanted = new Set(names);
    if (wanted.size > this.capacity) return undefined;
    for (const [name, number] of this.#numbers) {
      if (wanted.has(name)) continue;
      this.#numbers.delete(name);
      this.#names.delete(number);
    }
    const added = [...wanted].filter((name) => !this.#numbers.has(name));
    for (const name of added) this.#add(name);
    return added;
  }

  /** An independent copy: what is tried out on it can be thrown away. */
  copy(): Numbering {
    const copy = new Numbering(this.#first, this.#limit);
    for (const [name, number] of this.#numbers) {
      copy.#numbers.set(name, number);
      copy.#names.set(number, name);
    }
    copy.#next = this.#next;
    return copy;
  }

  /** Numbers one more name; undefined when none is free. */
  add(name: string): number | undefined {
    return this.#numbers.get(name) ?? (this.size < this.capacity ? this.#add(name) : undefined);
  }

  remove(name: string): void {
    const number = this.#numbers.get(name);
    if (number === undefined) return;
    this.#numbers.delete(name);
    this.#names.delete(number);
  }

  /** The free number that has been free longest, roughly: goes round before it uses one again. */
  #add(name: string): number {
    while (this.#names.has(this.#next)) this.#advance();
    const number = this.#next;
    this.#advance();
    this.#numbers.set(name, number);
    this.#names.set(number, name);
    return number;
  }

  #advance(): void {
    this.#next = this.#next + 1 < this.#limit ? this.#next + 1 : this.#first;
  }
}
