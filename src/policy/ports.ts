/**
 * Port classes: the 3 × 65536 ports and "every other protocol", cut where a rule's answer can change.
 *
 *     ranges        80            443 ────── 450
 *     cuts    0     80 81         443        451            65536
 *     class   0      1  0          2          0                      (the same ranges: the same class)
 *
 * Class pages are shared: most pages of 256 ports hold one class only.
 */
import type { Protocol } from '../control/object-fields.ts';

const PORTS = 65_536;
const PAGE = 256;
/** What a page's u16 can number. */
const MOST_CLASSES = 65_536;
const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

export interface PortRange {
  readonly protocol: Protocol;
  readonly from: number;
  readonly to: number;
}

/** Class of what lies in no range, and of every other protocol. */
export const OTHER_PORTS = 0;

export interface PortClasses {
  readonly count: number;
  readonly maps: Readonly<Record<Protocol, readonly Uint16Array[]>>;
  /** Classes that a range consists of. */
  readonly of: (range: PortRange) => readonly number[];
}

/** Pages of class numbers, each kept once. */
export class Pages {
  readonly #pages = new Map<string, Uint16Array>();

  /** @param isUniform all of its ports are of one class */
  share(page: Uint16Array, isUniform: boolean): Uint16Array {
    const key = isUniform ? `${page[0]}` : page.join();
    const known = this.#pages.get(key) ?? page.slice();
    this.#pages.set(key, known);
    return known;
  }

  /** Forgets all others. */
  keep(used: ReadonlySet<Uint16Array>): void {
    for (const [key, page] of this.#pages) if (!used.has(page)) this.#pages.delete(key);
  }
}

/**
 * @param ranges in any order, more than once or not
 * @throws RangeError where they cut the ports into more classes than there are numbers
 */
export function classifyPorts(ranges: Iterable<PortRange>, pages: Pages): PortClasses {
  const distinct = new Map<string, PortRange>();
  for (const range of ranges) distinct.set(keyOf(range), range);
  const members = new Map<string, number[]>([...distinct.keys()].map((key) => [key, []]));
  const numbers = new Map<string, number>([['', OTHER_PORTS]]);
  const map = (protocol: Protocol): Uint16Array[] => {
    const own = [...distinct].filter(([, range]) => range.protocol === protocol);
    const entries = new Uint16Array(PORTS);
    /** Numbers of pages in the midst of which a stretch begins. */
    const cut = new Set<number>();
    for (const { from, end, inside } of intervals(own)) {
      const key = inside.length === 0 ? '' : `${protocol} ${inside.join()}`;
      let number = numbers.get(key);
      if (number === undefined) {
        number = numbers.size;
        if (number >= MOST_CLASSES)
          throw new RangeError(`the ports of the policies of one pod make more than ${MOST_CLASSES} classes`);
        numbers.set(key, number);
        for (const range of inside) members.get(range)?.push(number);
      }
      entries.fill(number, from, end);
      if (from % PAGE !== 0) cut.add(Math.floor(from / PAGE));
    }
    return Array.from({ length: PORTS / PAGE }, (_, page) =>
      pages.share(entries.subarray(page * PAGE, (page + 1) * PAGE), !cut.has(page)),
    );
  };
  const [TCP, UDP, SCTP] = protocols.map(map) as [Uint16Array[], Uint16Array[], Uint16Array[]];
  return {
    count: numbers.size,
    maps: { TCP, UDP, SCTP },
    of: (range) => members.get(keyOf(range)) ?? [],
  };
}

/** Stretches of ports that lie in the same ranges, in order, gaps included. */
function* intervals(
  ranges: readonly (readonly [string, PortRange])[],
): Iterable<{ from: number; end: number; inside: readonly string[] }> {
  const begins = new Map<number, string[]>();
  const ends = new Map<number, string[]>();
  const at = (map: Map<number, string[]>, port: number, key: string) =>
    map.set(port, [...(map.get(port) ?? []), key]);
  for (const [key, { from, to }] of ranges) {
    at(begins, from, key);
    at(ends, to + 1, key);
  }
  const cuts = [...new Set([0, ...begins.keys(), ...ends.keys(), PORTS])].sort((a, b) => a - b);
  const inside = new Set<string>();
  for (let i = 0; i + 1 < cuts.length; i++) {
    const [from = 0, end = PORTS] = cuts.slice(i, i + 2);
    for (const key of ends.get(from) ?? []) inside.delete(key);
    for (const key of begins.get(from) ?? []) inside.add(key);
    yield { from, end, inside: [...inside].sort() };
  }
}

const keyOf = ({ protocol, from, to }: PortRange): string => `${protocol} ${from}-${to}`;
