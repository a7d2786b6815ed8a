/**
 * One policy set: the rules of some local pods in one direction, as a row of cells for each class of peers.
 *
 *     class {7, 12} ──► of these the rules ask for {7} ──► row ──► cell of each port class
 *
 * A row depends on the terms that the rules ask for alone, so classes that differ elsewhere share one.
 */
import { POLICY_CELL_ALLOW } from '../../asm/layout/tables.ts';
import type { PolicyClass } from './classes.ts';
import type { Decision, Direction, PolicySet, Tier } from './compiled.ts';
import type { DecisionNumbers } from './decisions.ts';
import { classifyPorts, OTHER_PORTS, type Pages, type PortClasses, type PortRange } from './ports.ts';
import { type Row, RowPages } from './rows.ts';
import type { PortTerm, Rule } from './rules.ts';
import { type Name, nameKey, nameTerm, type TermNumbers, type Terms } from './terms.ts';

/** What sets have in common. */
export interface Shared {
  readonly numbers: TermNumbers;
  readonly pages: Pages;
  readonly decisions: DecisionNumbers;
}

const tiers: readonly Tier[] = ['Admin', 'NetworkPolicy', 'Baseline'];

export class CompiledSet implements PolicySet {
  readonly direction: Direction;
  readonly isIsolated: boolean;
  readonly rows: Row[] = [];
  readonly maps: PolicySet['maps'];
  readonly other = OTHER_PORTS;
  /** Numbers of the decisions in its cells. */
  readonly decisions = new Set<number>();
  readonly #rules: readonly Rule[];
  readonly #shared: Shared;
  readonly #ports: PortClasses;
  /** Positions of the rules that ask for a term; ascending. */
  readonly #asking = new Map<number, number[]>();
  /** Positions of the rules that hold for every peer. */
  readonly #always: number[] = [];
  /** Terms that say what a peer calls a port, by name; each with its number. */
  readonly #names = new Map<string, Map<number, number>>();
  readonly #rowOf = new Map<string, Row>();
  readonly #pages = new RowPages();
  /** Of the row that is being computed. */
  readonly #cellsOfRow: Uint32Array;
  /** The tier that a Pass rule has ended for each, from 1. */
  readonly #passed: Uint8Array;
  readonly #cellOf = new Map<Rule | undefined, number>();

  /** @param rules in the order in which they are asked */
  constructor(direction: Direction, rules: readonly Rule[], terms: Terms, shared: Shared) {
    this.direction = direction;
    this.isIsolated = rules.some(({ tier }) => tier === 'NetworkPolicy');
    this.#rules = rules;
    this.#shared = shared;
    for (const [position, { peers, ports }] of rules.entries()) {
      if (peers === undefined) this.#always.push(position);
      for (const number of new Set(peers?.map(({ text }) => shared.numbers.of(text)))) {
        const asking = this.#asking.get(number);
        if (asking) asking.push(position);
        else this.#asking.set(number, [position]);
      }
      for (const term of ports ?? []) if (term.kind === 'name') this.#askName(term, terms);
    }
    this.#ports = classifyPorts(this.#ranges(), shared.pages);
    this.maps = this.#ports.maps;
    this.#cellsOfRow = new Uint32Array(this.#ports.count);
    this.#passed = new Uint8Array(this.#ports.count);
    this.rows.push(this.#row([]));
  }

  #askName(term: Name, terms: Terms): void {
    const key = nameKey(term);
    const ports = [...terms.named(key)];
    this.#names.set(key, new Map(ports.map((port) => [this.#shared.numbers.of(nameTerm(key, port)), port])));
  }

  *#ranges(): Iterable<PortRange> {
    for (const { ports } of this.#rules) {
      for (const term of ports ?? []) {
        if (term.kind === 'range') yield term;
        else for (const port of this.#names.get(nameKey(term))?.values() ?? []) yield single(term, port);
      }
    }
  }

  /** Whether a peer calls a port by a name that the rules ask for, and did not when this set was made. */
  isOutdated(terms: Terms): boolean {
    for (const [key, known] of this.#names) {
      const ports = new Set(known.values());
      for (const port of terms.named(key)) if (!ports.has(port)) return true;
    }
    return false;
  }

  /** How many different rows have been computed. */
  get computed(): number {
    return this.#rowOf.size;
  }

  /** Computes the row of a class, if it is not one that is known. */
  set({ number, terms }: PolicyClass): void {
    const row = this.#row(terms.filter((term) => this.#asks(term)));
    if (number < this.rows.length) this.rows[number] = row;
    else if (row !== this.rows[0]) {
      const base = this.rows[0] as Row;
      while (this.rows.length < number) this.rows.push(base);
      this.rows.push(row);
    }
  }

  #asks(term: number): boolean {
    if (this.#asking.has(term)) return true;
    for (const names of this.#names.values()) if (names.has(term)) return true;
    return false;
  }

  /** @param held terms that the rules ask for, ascending */
  #row(held: readonly number[]): Row {
    const key = held.join();
    let row = this.#rowOf.get(key);
    if (!row) {
      row = this.#pages.row(this.#cells(held));
      this.#rowOf.set(key, row);
    }
    return row;
  }

  /** The first rule that matches decides; a Pass rule skips what is left of its tier. */
  #cells(held: readonly number[]): Uint32Array {
    const cells = this.#cellsOfRow.fill(0);
    const passed = this.#passed.fill(0);
    const { length: count } = cells;
    let undecided = count;
    for (const position of this.#matching(held)) {
      if (undecided === 0) break;
      const rule = this.#rules[position] as Rule;
      const tier = tiers.indexOf(rule.tier) + 1;
      const cell = rule.action === 'pass' ? 0 : this.#cell(rule);
      const settle = (port: number) => {
        if (cells[port] !== 0 || passed[port] === tier) return;
        if (cell === 0) passed[port] = tier;
        else {
          cells[port] = cell;
          undecided--;
        }
      };
      if (rule.ports === undefined) for (let port = 0; port < count; port++) settle(port);
      else for (const term of rule.ports) for (const port of this.#covered(term, held)) settle(port);
    }
    if (undecided > 0) {
      const cell = this.#cell(undefined);
      for (let port = 0; port < count; port++) if (cells[port] === 0) cells[port] = cell;
    }
    return cells;
  }

  #matching(held: readonly number[]): number[] {
    const matching = new Set(this.#always);
    for (const term of held) for (const position of this.#asking.get(term) ?? []) matching.add(position);
    return [...matching].sort((a, b) => a - b);
  }

  /** Port classes that an entry of `ports` is about, for a peer that calls its ports so. */
  #covered(term: PortTerm, held: readonly number[]): readonly number[] {
    if (term.kind === 'range') return this.#ports.of(term);
    const names = this.#names.get(nameKey(term));
    return held.flatMap((one) => {
      const port = names?.get(one);
      return port === undefined ? [] : this.#ports.of(single(term, port));
    });
  }

  /** @throws TooManyDecisions */
  #cell(rule: Rule | undefined): number {
    const known = this.#cellOf.get(rule);
    if (known !== undefined) return known;
    const decision = decisionOf(this.direction, rule);
    const number = this.#shared.decisions.of(decision);
    const cell = (decision.verdict === 'allow' ? POLICY_CELL_ALLOW | number : number) >>> 0;
    this.decisions.add(number);
    this.#cellOf.set(rule, cell);
    return cell;
  }
}

const single = ({ protocol }: Name, port: number): PortRange => ({ protocol, from: port, to: port });

function decisionOf(direction: Direction, rule: Rule | undefined): Decision {
  if (!rule) return { verdict: 'allow', direction, tier: null, policies: [], rule: null, name: null };
  const { tier, action, policies, index, name } = rule;
  return { verdict: action === 'deny' ? 'deny' : 'allow', direction, tier, policies, rule: index, name };
}
