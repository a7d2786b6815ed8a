/**
 * Rows of cells, cut into pages of which each is kept once:
 *
 *     port class   0 … 31   32 … 63   64 … 95
 *     class 7    ├ page a ┼ page b ─┼ page b ┤
 *     class 9    ├ page a ┼ page c ─┼ page b ┤
 *
 * Ten thousand classes by ten thousand port classes are a hundred million cells; a rule writes few of them, and pages that
 * no rule writes are the same for all.
 */
import { POLICY_ROW_SHIFT } from '../../asm/layout/tables.ts';

const CELLS = 1 << POLICY_ROW_SHIFT;

/** Cells by port class: all in one page where they fit, otherwise in pages of full length. */
export type Row = readonly Uint32Array[];

export class RowPages {
  readonly #pages = new Map<number, Uint32Array[]>();

  /** @param cells copied */
  row(cells: Uint32Array): Row {
    if (cells.length <= CELLS) return [this.#share(cells)];
    return Array.from({ length: Math.ceil(cells.length / CELLS) }, (_, page) => {
      const own = cells.subarray(page * CELLS, (page + 1) * CELLS);
      return this.#share(own.length === CELLS ? own : padded(own));
    });
  }

  #share(page: Uint32Array): Uint32Array {
    const hash = hashOf(page);
    const alike = this.#pages.get(hash) ?? [];
    const known = alike.find((one) => isSame(one, page));
    if (known) return known;
    const kept = page.slice();
    this.#pages.set(hash, [...alike, kept]);
    return kept;
  }
}

function padded(cells: Uint32Array): Uint32Array {
  const page = new Uint32Array(CELLS);
  page.set(cells);
  return page;
}

/** FNV-1a over words. */
function hashOf(cells: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const cell of cells) hash = Math.imul(hash ^ cell, 0x01000193);
  return hash;
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
