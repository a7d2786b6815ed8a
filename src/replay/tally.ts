import type { Decoded } from './decoded.ts';

/** Packets counted by what became of them: every packet is in exactly one row. */
export class Tally {
  readonly #counts = new Map<string, number>();
  packets = 0;

  count({ verdict, reason }: Decoded): void {
    const key = reason ?? verdict;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.packets++;
  }

  /** One line for the sum and one a verdict, the most frequent first. */
  toString(): string {
    const rows = [...this.#counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
    const width = String(this.packets).length;
    const lines = rows.map(([name, count]) => `${String(count).padStart(width)} ${name}`);
    return `${[`${this.packets} packets`, ...lines].join('\n')}\n`;
  }
}
