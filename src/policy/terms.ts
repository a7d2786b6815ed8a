/**
 * Everything that the rules in force ask about a peer, each question once and under a number.
 *
 *     pods {app In [a]}     7 ┐
 *     10.0.0.0/8 except …   9 ├─► a peer is the set of numbers that hold for it: {7, 12}
 *     TCP/web = 8080       12 ┘
 */
import type { Pod } from '../control/pods.ts';
import type { LabelSelector, Labels } from '../control/selectors.ts';
import type { Prefix } from '../net/prefix.ts';
import { BlockTerms } from './blocks.ts';
import type { Direction } from './compiled.ts';
import { type Effort, PodTerms } from './pod-terms.ts';
import type { PeerTerm, PortTerm, Rule } from './rules.ts';

/** A question's number stays the same for as long as it is asked. */
export class TermNumbers {
  readonly #numbers = new Map<string, number>();
  #next = 1;

  of(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#next++;
      this.#numbers.set(text, number);
    }
    return number;
  }

  /** Forgets what is not asked any more. */
  keep(isAsked: (text: string) => boolean): void {
    for (const text of this.#numbers.keys()) if (!isAsked(text)) this.#numbers.delete(text);
  }
}

export type Name = PortTerm & { readonly kind: 'name' };

export const nameKey = ({ protocol, name }: Pick<Name, 'protocol' | 'name'>): string => `${protocol}/${name}`;
/** The question whether a peer calls a port by a name. */
export const nameTerm = (key: string, number: number): string => `${key}=${number}`;

export interface Rules {
  readonly direction: Direction;
  readonly rules: readonly Rule[];
}

/** About whom other answers may be given than before. */
export interface Reach {
  readonly isEverybody: boolean;
  /** Pods that one of these selects, by their namespaces. */
  readonly selectors: ReadonlyMap<string, readonly LabelSelector[]>;
  /** Pods with an address in one of these. */
  readonly prefixes: readonly Prefix[];
}

export class Terms {
  readonly #pods: PodTerms;
  #blocks: BlockTerms;
  readonly #numbers: TermNumbers;
  /** Ports that peers call by a name that is asked for. */
  readonly #named = new Map<string, Set<number>>();

  /** @param lists ports by name are asked of the destination, so only egress rules ask a peer for them */
  constructor(lists: readonly Rules[], numbers: TermNumbers, effort: Effort) {
    const terms = new Map<string, PeerTerm>();
    for (const { direction, rules } of lists) {
      for (const { peers, ports } of rules) {
        for (const term of peers ?? []) terms.set(term.text, term);
        if (direction === 'ingress') continue;
        for (const term of ports ?? []) if (term.kind === 'name') this.#named.set(nameKey(term), new Set());
      }
    }
    this.#numbers = numbers;
    numbers.keep((text) => terms.has(text) || this.#named.has(text.split('=')[0] ?? ''));
    const numbered = [...terms.values()].map((term) => ({ term, number: numbers.of(term.text) }));
    const pods = numbered.flatMap(({ term, number }) => (term.kind === 'pods' ? [{ term, number }] : []));
    this.#pods = new PodTerms(pods, effort);
    this.#blocks = new BlockTerms(numbered);
  }

  /** Keeps the answers to other terms as far as they are the same here. */
  follow(before: Terms, namespaces: ReadonlyMap<string, Labels>): Reach {
    const prefixes = this.#blocks.changesFrom(before.#blocks);
    if (prefixes.length === 0) this.#blocks = before.#blocks;
    for (const [key, ports] of this.#named) for (const port of before.named(key)) ports.add(port);
    return {
      isEverybody: !isSameKeys(this.#named, before.#named),
      selectors: this.#pods.follow(before.#pods, namespaces),
      prefixes,
    };
  }

  /** The same object for as long as the same blocks are asked for. */
  get blocks(): BlockTerms {
    return this.#blocks;
  }

  /** Numbers of the terms that hold for a pod whatever its address, not in order. */
  ofPod(pod: Pod, namespaceLabels: Labels): readonly number[] {
    const held = this.#pods.of(pod.namespace, namespaceLabels, pod.labels);
    if (this.#named.size === 0) return held;
    const named = pod.namedPorts.flatMap(({ protocol, name, number }) => {
      const key = nameKey({ protocol, name });
      const known = this.#named.get(key);
      known?.add(number);
      return known ? this.#numbers.of(nameTerm(key, number)) : [];
    });
    return named.length === 0 ? held : [...held, ...named];
  }

  /** Every port that some peer calls so. @param key nameKey */
  named(key: string): ReadonlySet<number> {
    return this.#named.get(key) ?? new Set();
  }
}

const isSameKeys = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean =>
  a.size === b.size && [...a.keys()].every((key) => b.has(key));
