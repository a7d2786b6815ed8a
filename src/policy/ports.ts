/**
 * Port classes: the 3 × 65536 ports and "every other protocol", cut where a rule's answer can change.
 *
 *     rules      80            443 ────── 450
 *     cuts    0  80 81         443        451            65536
 *     class   0   1  0          2          0                      (equal answers share a class)
 *
 * Class pages are shared: most pages of 256 ports hold one class only.
 */
import type { Protocol } from '../control/objects.ts';
import type { PortTerm, Rule } from './rules.ts';

const PORTS = 65_536;
const PAGE = 256;

/** One port that stands for all of its class; undefined: another protocol. */
export type Representative = { readonly protocol: Protocol; readonly port: number } | undefined;

export interface PortClasses {
  /** By number. */
  readonly representatives: readonly Representative[];
  readonly maps: Readonly<Record<Protocol, readonly number[]>>;
  readonly other: number;
}

/** Pages of class numbers that many maps share. */
export class Pages {
  readonly list: Uint16Array[] = [];
  readonly #indexes = new Map<string, number>();

  add(page: Uint16Array): number {
    const [first] = page;
    const key = page.every((entry) => entry === first) ? `${first}` : page.join();
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    this.#indexes.set(key, this.list.length);
    return this.list.push(page) - 1;
  }
}

/**
 * @param rules those of one set
 * @param numbersOf every number that a port name stands for on some peer
 */
export function classifyPorts(
  rules: readonly Rule[],
  numbersOf: (term: PortTerm & { kind: 'name' }) => readonly number[],
  pages: Pages,
): PortClasses {
  const representatives: Representative[] = [undefined];
  const numbers = new Map<string, number>([['', 0]]);
  const terms = rules.flatMap(({ ports }) => ports ?? []);
  const map = (protocol: Protocol): number[] => {
    const ranges = terms
      .filter((term) => term.protocol === protocol)
      .flatMap((term, i) =>
        term.kind === 'range'
          ? [{ id: `${i}`, from: term.from, to: term.to }]
          : // Each number of a name is a question of its own: peers differ in which one they mean.
            numbersOf(term).map((port) => ({ id: `${i}:${port}`, from: port, to: port })),
      );
    const cuts = [...new Set([0, ...ranges.flatMap(({ from, to }) => [from, to + 1]), PORTS])].sort(
      (a, b) => a - b,
    );
    const entries = new Uint16Array(PORTS);
    for (let i = 0; i + 1 < cuts.length; i++) {
      const [from = 0, end = PORTS] = cuts.slice(i, i + 2);
      const answer = ranges.filter((range) => range.from <= from && from <= range.to).map(({ id }) => id);
      const key = answer.length === 0 ? '' : `${protocol} ${answer.join()}`;
      let number = numbers.get(key);
      if (number === undefined) {
        number = representatives.push({ protocol, port: from }) - 1;
        numbers.set(key, number);
      }
      entries.fill(number, from, end);
    }
    return Array.from({ length: PORTS / PAGE }, (_, page) =>
      pages.add(entries.subarray(page * PAGE, (page + 1) * PAGE)),
    );
  };
  const maps = { TCP: map('TCP'), UDP: map('UDP'), SCTP: map('SCTP') };
  return { representatives, maps, other: 0 };
}
