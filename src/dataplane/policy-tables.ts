/**
 * The policy's part of a table area, at its end:
 *
 *     ├ set ┼ maps ┼ pages ┼ pages of rows ┼ rows by class ┼ … ┼ what is no longer used ┼ … ┤ free
 *
 * What changes is appended, and what it replaces left behind; once that is as much again as is in use, or there is no
 * more room, everything is written anew from the beginning.
 */
import {
  POLICY_SET_COUNT,
  POLICY_SET_OTHER,
  POLICY_SET_ROWS,
  POLICY_SET_SCTP,
  POLICY_SET_SIZE,
  POLICY_SET_TCP,
  POLICY_SET_UDP,
} from '../../asm/layout/tables.ts';
import type { CompiledPolicy, PolicySet } from '../policy/compiled.ts';
import { ALIGNMENT, type AreaWriter } from './area-writer.ts';
import { TablesFull } from './table-fault.ts';

type List = Uint32Array | Uint16Array;

/** Classes for which a set has room beyond those that it needs: new ones come all the time. */
const SPARE_CLASSES = 64;
/** What may be left behind however little is in use. */
const SPARE_BYTES = 1 << 20;

/** Where a set stands. */
interface Place {
  readonly at: number;
  readonly rowsAt: number;
  /** Entries behind rowsAt. */
  readonly capacity: number;
}

export class PolicyTables {
  readonly #to: AreaWriter;
  readonly #begin: number;
  readonly #room: number;
  readonly #lists = new Map<List, number>();
  readonly #places = new Map<PolicySet, Place>();
  /** Bytes in use when everything was last written. */
  #needed = 0;

  /** @param room bytes from where the area is free now */
  constructor(to: AreaWriter, room: number) {
    this.#to = to;
    this.#begin = to.free;
    this.#room = room;
  }

  /** Bytes taken. */
  get used(): number {
    return this.#to.free - this.#begin;
  }

  /** Absolute offset of a set, 0: of none. */
  offsetOf(set: PolicySet | undefined): number {
    return (set && this.#places.get(set)?.at) ?? 0;
  }

  /**
   * @param classes those that have other rows than when it was last written
   * @throws TablesFull
   */
  write(policy: CompiledPolicy, classes: Iterable<number>): void {
    const isNew = this.#places.size === 0;
    if (!isNew && this.used <= 2 * this.#needed + SPARE_BYTES && this.#update(policy, classes)) return;
    this.#places.clear();
    this.#lists.clear();
    this.#to.free = this.#begin;
    if (!this.#update(policy, [])) throw new TablesFull('policyBytes', this.#room, policyBytes(policy));
    this.#needed = this.used;
  }

  /** @returns false where there is not room enough */
  #update({ sets }: CompiledPolicy, classes: Iterable<number>): boolean {
    const current = new Set(sets);
    for (const set of this.#places.keys()) if (!current.has(set)) this.#places.delete(set);
    const changed = [...classes];
    for (const set of sets) {
      const place = this.#places.get(set);
      if (!place) this.#places.set(set, this.#writeSet(set));
      else if (!this.#writeRows(set, place, changed))
        this.#places.set(set, { ...place, ...this.#moveRows(set, place.at) });
      if (this.used > this.#room) return false;
    }
    return true;
  }

  #writeSet(set: PolicySet): Place {
    const { TCP, UDP, SCTP } = set.maps;
    const at = this.#to.reserve(POLICY_SET_SIZE);
    this.#to.zero(at, POLICY_SET_SIZE);
    this.#to.u32(at + POLICY_SET_TCP, this.#map(TCP));
    this.#to.u32(at + POLICY_SET_UDP, this.#map(UDP));
    this.#to.u32(at + POLICY_SET_SCTP, this.#map(SCTP));
    this.#to.u32(at + POLICY_SET_OTHER, set.other);
    return { at, ...this.#moveRows(set, at) };
  }

  /** Gives a set new room for its rows: page by page, in each one entry a class. */
  #moveRows({ rows }: PolicySet, at: number): Pick<Place, 'rowsAt' | 'capacity'> {
    const base = rows[0] ?? [];
    const capacity = capacityFor(rows.length);
    const offsets = new Uint32Array(base.length * capacity);
    for (const [page, cells] of base.entries())
      offsets.fill(this.#offset(cells), page * capacity, (page + 1) * capacity);
    for (const [number, row] of rows.entries())
      for (const [page, cells] of row.entries()) offsets[page * capacity + number] = this.#offset(cells);
    const rowsAt = this.#append(offsets);
    this.#to.u32(at + POLICY_SET_ROWS, rowsAt);
    this.#to.u32(at + POLICY_SET_COUNT, capacity);
    return { rowsAt, capacity };
  }

  /** @returns false where a class has no place in the rows */
  #writeRows({ rows }: PolicySet, { rowsAt, capacity }: Place, classes: readonly number[]): boolean {
    if (rows.length > capacity) return false;
    for (const number of classes) {
      if (number >= capacity) continue;
      for (const [page, cells] of (rows[number] ?? rows[0] ?? []).entries())
        this.#to.u32(rowsAt + 4 * (page * capacity + number), this.#offset(cells));
    }
    return true;
  }

  #map(pages: readonly Uint16Array[]): number {
    return this.#append(Uint32Array.from(pages, (page) => this.#offset(page)));
  }

  #offset(list: List = new Uint32Array()): number {
    const at = this.#lists.get(list) ?? this.#append(list);
    this.#lists.set(list, at);
    return at;
  }

  /** Writes nothing behind the room that there is. */
  #append(list: List): number {
    const at = this.#to.reserve(list.byteLength, alignmentOf(list));
    if (this.used <= this.#room) this.#to.bytes(at, list);
    return at;
  }
}

/** Bytes that a policy takes when it is written from the beginning. */
export function policyBytes({ sets }: CompiledPolicy): number {
  const rows = new Set(sets.flatMap((set) => set.rows.flat()));
  const pages = new Set(sets.flatMap(({ maps }) => Object.values(maps).flat()));
  const shared = [...rows, ...pages].map((list) => roundUp(list.byteLength, alignmentOf(list)));
  const own = sets.flatMap((set) => [
    POLICY_SET_SIZE,
    4 * capacityFor(set.rows.length) * (set.rows[0]?.length ?? 0),
    ...Object.values(set.maps).map(({ length }) => 4 * length),
    // Behind small pages.
    ALIGNMENT,
  ]);
  return [...shared, ...own.map((bytes) => roundUp(bytes, ALIGNMENT))].reduce(
    (sum, bytes) => sum + bytes,
    ALIGNMENT,
  );
}

/** Small pages of rows lie close together, each in one cache line. */
const alignmentOf = ({ byteLength }: List): number =>
  byteLength >= ALIGNMENT ? ALIGNMENT : 2 ** Math.ceil(Math.log2(Math.max(4, byteLength)));

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
const capacityFor = (rows: number): number => Math.ceil((rows + 1) / SPARE_CLASSES) * SPARE_CLASSES;
