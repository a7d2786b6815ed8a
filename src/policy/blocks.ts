/**
 * Which blocks of addresses, and which nodes, an address belongs to: a binary trie for each family, in whose nodes
 * stand the prefixes that rules name.
 *
 *     0.0.0.0/0 ──► 10.0.0.0/8 ──► 10.1.0.0/16
 *       {1}           {1, 2}         {1}           2 is "10.0.0.0/8 except 10.1.0.0/16"
 *
 * Between two prefixes the same terms hold for all addresses, so an address has those of its longest prefix.
 */
import { type Address, MAPPED_BITS } from '../net/address.ts';
import { type Prefix, single } from '../net/prefix.ts';
import type { PeerTerm } from './rules.ts';

/** A prefix that rules name. */
export interface Block {
  readonly prefix: Prefix;
  /** Numbers of the terms that hold for its addresses outside of smaller prefixes, not in order. */
  readonly terms: readonly number[];
}

interface Node {
  zero: Node | undefined;
  one: Node | undefined;
  prefix: Prefix | undefined;
  readonly begin: number[];
  readonly end: number[];
  block: Block | undefined;
}

const none: readonly number[] = [];

export class BlockTerms {
  readonly list: readonly Block[];
  readonly #roots: Readonly<Record<4 | 6, Node>> = { 4: emptyNode(), 6: emptyNode() };

  constructor(terms: readonly { readonly term: PeerTerm; readonly number: number }[]) {
    for (const { term, number } of terms) {
      if (term.kind === 'block') {
        this.#node(term.cidr).begin.push(number);
        for (const block of term.except) this.#node(block).end.push(number);
      } else if (term.kind === 'nodes') {
        for (const address of term.addresses.values()) this.#node(single(address)).begin.push(number);
      }
    }
    const list: Block[] = [];
    spread(this.#roots[4], none, list);
    spread(this.#roots[6], none, list);
    this.list = list;
  }

  /** Prefixes in which other terms hold than in those of `before`. */
  changesFrom(before: BlockTerms): Prefix[] {
    const is = new Map(this.list.map((block) => [block.prefix.text, block]));
    const was = new Map(before.list.map((block) => [block.prefix.text, block]));
    return [...new Map([...was, ...is])].flatMap(([text, { prefix }]) =>
      isSame(was.get(text), is.get(text)) ? [] : [prefix],
    );
  }

  /** The longest prefix around an address. */
  find(address: Address): Block | undefined {
    let node: Node | undefined = this.#roots[address.family];
    let found: Block | undefined;
    for (let bit = address.family === 4 ? MAPPED_BITS : 0; node; bit++) {
      found = node.block ?? found;
      if (bit === 128) break;
      node = isSet(address.bytes, bit) ? node.one : node.zero;
    }
    return found;
  }

  #node(prefix: Prefix): Node {
    const { family, bytes } = prefix.address;
    let node = this.#roots[family];
    for (let bit = family === 4 ? MAPPED_BITS : 0; bit < prefix.bits; bit++) {
      const side = isSet(bytes, bit) ? 'one' : 'zero';
      node[side] ??= emptyNode();
      node = node[side];
    }
    node.prefix = prefix;
    return node;
  }
}

function isSame(a: Block | undefined, b: Block | undefined): boolean {
  if (!a || !b || a.terms.length !== b.terms.length) return false;
  const terms = new Set(a.terms);
  return b.terms.every((term) => terms.has(term));
}

function emptyNode(): Node {
  return { zero: undefined, one: undefined, prefix: undefined, begin: [], end: [], block: undefined };
}

/** Gives every named prefix the terms of those around it, with its own and without those that it is excepted from. */
function spread(node: Node, around: readonly number[], list: Block[]): void {
  let terms = around;
  if (node.prefix) {
    const ends = new Set(node.end);
    terms = [...new Set([...around, ...node.begin])].filter((number) => !ends.has(number));
    node.block = { prefix: node.prefix, terms };
    list.push(node.block);
  }
  if (node.zero) spread(node.zero, terms, list);
  if (node.one) spread(node.one, terms, list);
}

const isSet = (bytes: Uint8Array, bit: number): boolean =>
  ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
