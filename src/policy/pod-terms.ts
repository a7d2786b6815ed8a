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
import { type LabelSelector, type Labels, selects } from '../control/selectors.ts';
import { insideOf, type PodSelection } from './rules.ts';

interface NumberedTerm {
  readonly number: number;
  readonly term: PodSelection;
}

export class PodTerms {
  readonly #terms: readonly NumberedTerm[];
  /** By the name of the namespace. */
  readonly #views = new Map<string, { readonly labels: Labels; readonly view: View }>();
  /** Namespaces in which the same selectors can hold share a view. */
  readonly #shared = new Map<string, View>();
  #evaluations = 0;

  constructor(terms: readonly NumberedTerm[]) {
    this.#terms = terms;
  }

  /** How many selectors have been evaluated. */
  get evaluations(): number {
    return (
      this.#evaluations + [...this.#shared.values()].reduce((sum, { evaluations }) => sum + evaluations, 0)
    );
  }

  of(namespace: string, namespaceLabels: Labels, labels: Labels): readonly number[] {
    return this.#view(namespace, namespaceLabels).of(labels);
  }

  #view(namespace: string, labels: Labels): View {
    const known = this.#views.get(namespace);
    if (known?.labels === labels) return known.view;
    this.#evaluations += this.#terms.length;
    const inside = this.#terms.filter(({ term }) => insideOf(term, namespace, labels));
    const key = inside.map(({ number }) => number).join();
    const view = this.#shared.get(key) ?? new View(inside);
    this.#shared.set(key, view);
    this.#views.set(namespace, { labels, view });
    return view;
  }
}

/** The selectors of pods that can hold in a namespace. */
class View {
  evaluations = 0;
  /** Those that ask for one value of a label, under it; one label is enough to pass most selectors by. */
  readonly #byLabel = new Map<string, Map<string, NumberedTerm[]>>();
  readonly #others: NumberedTerm[] = [];
  /** Labels that matter, and the values that are told apart. */
  readonly #values = new Map<string, Set<string>>();
  readonly #answers = new Map<string, readonly number[]>();

  constructor(terms: readonly NumberedTerm[]) {
    for (const one of terms) {
      const { pods } = one.term;
      for (const [key, values] of asked(pods)) {
        const known = this.#values.get(key) ?? new Set();
        for (const value of values) known.add(value);
        this.#values.set(key, known);
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
    this.evaluations += all.length;
    return all.filter(({ term }) => selects(term.pods, labels)).map(({ number }) => number);
  }
}

/** Labels that a selector looks at, with the values that it names. */
function* asked({ matchLabels, matchExpressions }: LabelSelector): Iterable<[string, readonly string[]]> {
  for (const [key, value] of Object.entries(matchLabels ?? {})) yield [key, [value]];
  for (const { key, values } of matchExpressions ?? []) yield [key, values ?? []];
}
