/**
 * Which selectors hold for a pod, asked once for all pods that they cannot tell apart.
 *
 *     labels       app=web  pod-template-hash=7f9c  job-name=x31
 *                     │         (asked by nobody)      │ any value will do
 *                     ▼                                ▼
 *     question   app=web                          job-name      ──► answer, kept
 *
 * Jobs and StatefulSets give every pod a label of its own, so whole label sets would be as many as pods.
 */
import { type LabelSelector, type Labels, selectorText, selects } from '../control/selectors.ts';
import type { PodSelection } from './rules.ts';

export interface NumberedTerm {
  readonly number: number;
  readonly term: PodSelection;
}

/** Counts what is evaluated. */
export interface Effort {
  selectors: number;
}

interface Seen {
  readonly labels: Labels;
  readonly view: View;
}

export class PodTerms {
  readonly #effort: Effort;
  readonly #terms: ReadonlyMap<number, NumberedTerm>;
  /** By the name of the namespace in which alone they can hold. */
  readonly #byName = new Map<string, NumberedTerm[]>();
  /** By the selector of namespaces, as text. */
  readonly #bySelector = new Map<
    string,
    { readonly selector: LabelSelector; readonly terms: NumberedTerm[] }
  >();
  readonly #seen = new Map<string, Seen>();
  /** Namespaces in which the same selectors can hold share a view. */
  readonly #views = new Map<string, View>();

  constructor(terms: readonly NumberedTerm[], effort: Effort) {
    this.#effort = effort;
    this.#terms = new Map(terms.map((one) => [one.number, one]));
    for (const one of terms) {
      const { namespaces } = one.term;
      if (typeof namespaces === 'string') {
        this.#byName.set(namespaces, [...(this.#byName.get(namespaces) ?? []), one]);
        continue;
      }
      const text = selectorText(namespaces);
      const known = this.#bySelector.get(text) ?? { selector: namespaces, terms: [] };
      known.terms.push(one);
      this.#bySelector.set(text, known);
    }
  }

  of(namespace: string, namespaceLabels: Labels, labels: Labels): readonly number[] {
    const seen = this.#seen.get(namespace);
    const view = seen?.labels === namespaceLabels ? seen.view : this.#look(namespace, namespaceLabels);
    return view.of(labels);
  }

  /**
   * Keeps the answers of other terms as far as they are the same here.
   * @returns selectors of pods for which something else is asked than before, by the namespaces in which they can hold
   */
  follow(before: PodTerms, namespaces: ReadonlyMap<string, Labels>): Map<string, LabelSelector[]> {
    const changed = new Map<string, LabelSelector[]>();
    for (const { term } of [...this.#without(before), ...before.#without(this)]) {
      for (const name of this.#inside(term, namespaces)) {
        const selectors = changed.get(name);
        if (selectors) selectors.push(term.pods);
        else changed.set(name, [term.pods]);
      }
    }
    for (const [name, seen] of before.#seen) {
      this.#views.set(seen.view.key, seen.view);
      if (!changed.has(name)) this.#seen.set(name, seen);
    }
    return changed;
  }

  /** Namespaces in which a term can hold. */
  *#inside({ namespaces: where }: PodSelection, namespaces: ReadonlyMap<string, Labels>): Iterable<string> {
    if (typeof where === 'string') yield where;
    else for (const [name, labels] of namespaces) if (this.#selects(where, labels)) yield name;
  }

  /** Terms that others have not. */
  *#without(others: PodTerms): Iterable<NumberedTerm> {
    for (const [number, one] of this.#terms) if (!others.#terms.has(number)) yield one;
  }

  #selects(selector: LabelSelector, labels: Labels): boolean {
    this.#effort.selectors++;
    return selects(selector, labels);
  }

  #look(namespace: string, labels: Labels): View {
    const inside = [...(this.#byName.get(namespace) ?? [])];
    for (const { selector, terms } of this.#bySelector.values()) {
      if (this.#selects(selector, labels)) inside.push(...terms);
    }
    const key = inside
      .map(({ number }) => number)
      .sort((a, b) => a - b)
      .join();
    const view = this.#views.get(key) ?? new View(key, inside, this.#effort);
    this.#views.set(key, view);
    this.#seen.set(namespace, { labels, view });
    return view;
  }
}

/** The selectors of pods that can hold in a namespace. */
class View {
  /** Numbers of the terms. */
  readonly key: string;
  readonly #effort: Effort;
  /** Those that ask for one value of a label, under it; one label is enough to pass most selectors by. */
  readonly #byLabel = new Map<string, Map<string, NumberedTerm[]>>();
  readonly #others: NumberedTerm[] = [];
  /** Labels that matter, and the values that are told apart. */
  readonly #values = new Map<string, Set<string>>();
  readonly #answers = new Map<string, readonly number[]>();

  constructor(key: string, terms: readonly NumberedTerm[], effort: Effort) {
    this.key = key;
    this.#effort = effort;
    for (const one of terms) {
      const { pods } = one.term;
      for (const [label, values] of asked(pods)) {
        const known = this.#values.get(label) ?? new Set();
        for (const value of values) known.add(value);
        this.#values.set(label, known);
      }
      const [first] = Object.entries(pods.matchLabels ?? {});
      if (!first) {
        this.#others.push(one);
        continue;
      }
      const byValue = this.#byLabel.get(first[0]) ?? new Map<string, NumberedTerm[]>();
      this.#byLabel.set(first[0], byValue);
      byValue.set(first[1], [...(byValue.get(first[1]) ?? []), one]);
    }
  }

  of(labels: Labels): readonly number[] {
    const question = this.#question(labels);
    let answer = this.#answers.get(question);
    if (!answer) {
      answer = this.#answer(labels);
      this.#answers.set(question, answer);
    }
    return answer;
  }

  /** The labels as far as any selector can tell. */
  #question(labels: Labels): string {
    const parts: string[] = [];
    for (const [key, value] of Object.entries(labels)) {
      const values = this.#values.get(key);
      // Neither keys nor values of labels hold these separators.
      if (values) parts.push(values.has(value) ? `${key}=${value}` : key);
    }
    return parts.length > 1 ? parts.sort().join() : (parts[0] ?? '');
  }

  #answer(labels: Labels): number[] {
    const candidates = Object.entries(labels).flatMap(
      ([key, value]) => this.#byLabel.get(key)?.get(value) ?? [],
    );
    const all = [...this.#others, ...candidates];
    this.#effort.selectors += all.length;
    return all.filter(({ term }) => selects(term.pods, labels)).map(({ number }) => number);
  }
}

/** Labels that a selector looks at, with the values that it names. */
function* asked({ matchLabels, matchExpressions }: LabelSelector): Iterable<[string, readonly string[]]> {
  for (const [key, value] of Object.entries(matchLabels ?? {})) yield [key, [value]];
  for (const { key, values } of matchExpressions ?? []) yield [key, values ?? []];
}
