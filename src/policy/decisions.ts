// Decisions and the numbers under which the data path counts them.
import { MAX_DECISIONS } from '../../asm/layout/memory.ts';
import { Numbering } from '../dataplane/numbering.ts';
import type { Decision } from './compiled.ts';

/** More decisions than there are numbers; the tables that are live stay. */
class TooManyDecisions extends Error {
  override readonly name = 'TooManyDecisions';

  constructor(most: number) {
    super(
      `the rules that can decide about this node's pods are more than ${most}, which is how many can be counted`,
    );
  }
}

/** A decision keeps its number for as long as it is in use. */
export class DecisionNumbers {
  readonly #numbering: Numbering;
  readonly #decisions = new Map<number, Decision>();

  /** @param limit first number that there is not */
  constructor(limit = MAX_DECISIONS) {
    this.#numbering = new Numbering(1, limit);
  }

  /** @throws TooManyDecisions */
  of(decision: Decision): number {
    const key = JSON.stringify(decision);
    const number = this.#numbering.add(key);
    if (number === undefined) throw new TooManyDecisions(this.#numbering.capacity);
    if (!this.#decisions.has(number)) this.#decisions.set(number, decision);
    return number;
  }

  /** Gives up all others. */
  keep(used: ReadonlySet<number>): void {
    for (const number of this.#decisions.keys()) {
      if (used.has(number)) continue;
      this.#numbering.remove(this.#numbering.nameOf(number) ?? '');
      this.#decisions.delete(number);
    }
  }

  /** By number. */
  snapshot(): ReadonlyMap<number, Decision> {
    return new Map(this.#decisions);
  }
}
