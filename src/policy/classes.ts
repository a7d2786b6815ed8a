/**
 * Policy classes: what no rule in force can tell apart has one number.
 *
 * A class is the set of peer terms that hold for it and, for named ports, the numbers that the
 * names stand for there. Pods' addresses and blocks of addresses share the numbers. Class 0
 * (CLASS_UNKNOWN) is the one for which nothing holds.
 */
import type { Cluster, Pod } from '../control/cluster.ts';
import type { Protocol } from '../control/objects.ts';
import type { Labels } from '../control/selectors.ts';
import type { Address } from '../net/address.ts';
import { contains, covers, type Prefix, single } from '../net/prefix.ts';
import { type PeerTerm, type Rule, selectsPod } from './rules.ts';

export interface PolicyClass {
  /** Texts of the terms that hold. */
  readonly terms: ReadonlySet<string>;
  /** Numbers by `protocol/name`. */
  readonly named: ReadonlyMap<string, readonly number[]>;
}

export const nameKey = (protocol: Protocol, name: string) => `${protocol}/${name}`;

/** Everything that the rules in force ask about a peer. */
export class Terms {
  readonly #pods: Extract<PeerTerm, { kind: 'pods' }>[];
  readonly #blocks: Extract<PeerTerm, { kind: 'block' }>[];
  readonly #nodes: Extract<PeerTerm, { kind: 'nodes' }>[];
  readonly #names: ReadonlySet<string>;

  /** Named ports are asked of the destination, so only egress rules ask a peer for them. */
  constructor(rules: readonly Rule[], egress: readonly Rule[]) {
    const terms = new Map(rules.flatMap(({ peers }) => peers ?? []).map((term) => [term.text, term]));
    this.#pods = [...terms.values()].filter((term) => term.kind === 'pods');
    this.#blocks = [...terms.values()].filter((term) => term.kind === 'block');
    this.#nodes = [...terms.values()].filter((term) => term.kind === 'nodes');
    const ports = egress.flatMap(({ ports }) => ports ?? []).filter((term) => term.kind === 'name');
    this.#names = new Set(ports.map(({ protocol, name }) => nameKey(protocol, name)));
  }

  /** Terms that hold for a pod whatever its address. */
  ofPod(namespace: string, namespaceLabels: Labels, labels: Labels): string[] {
    return this.#pods
      .filter((term) => selectsPod(term, namespace, namespaceLabels, labels))
      .map(({ text }) => text);
  }

  ofAddress(address: Address): string[] {
    const blocks = this.#blocks.filter(
      ({ cidr, except }) => contains(cidr, address) && !except.some((block) => contains(block, address)),
    );
    const nodes = this.#nodes.filter(({ addresses }) => addresses.has(address.text));
    return [...blocks, ...nodes].map(({ text }) => text);
  }

  /** Every block that a term names; between two of them the same terms hold for all addresses. */
  blocks(): { prefix: Prefix; terms: string[] }[] {
    const nodes = new Map(this.#nodes.flatMap(({ addresses }) => [...addresses]));
    const singles = [...nodes.values()].map((address) => ({
      prefix: single(address),
      terms: this.ofAddress(address),
    }));
    const taken = new Set(singles.map(({ prefix }) => prefix.text));
    const prefixes = new Map(
      this.#blocks.flatMap(({ cidr, except }) => [cidr, ...except]).map((prefix) => [prefix.text, prefix]),
    );
    const blocks = [...prefixes.values()].filter(({ text }) => !taken.has(text));
    return [...singles, ...blocks.map((prefix) => ({ prefix, terms: this.#within(prefix) }))];
  }

  /** Terms that hold for every address of a block in which no smaller block is named. */
  #within(prefix: Prefix): string[] {
    return this.#blocks
      .filter(({ cidr, except }) => covers(cidr, prefix) && !except.some((block) => covers(block, prefix)))
      .map(({ text }) => text);
  }

  namedPorts({ namedPorts }: Pod): Map<string, number[]> {
    const numbers = new Map<string, number[]>();
    for (const { protocol, name, number } of namedPorts) {
      const key = nameKey(protocol, name);
      if (this.#names.has(key))
        numbers.set(
          key,
          [...(numbers.get(key) ?? []), number].sort((a, b) => a - b),
        );
    }
    return numbers;
  }
}

export interface Classification {
  /** By number. */
  readonly classes: readonly PolicyClass[];
  readonly identities: ReadonlyMap<string, number>;
  readonly blocks: readonly { readonly prefix: Prefix; readonly policyClass: number }[];
}

/** Numbers every pod address, every other endpoint's address and every block. */
export function classify(cluster: Cluster, others: readonly Address[], terms: Terms): Classification {
  const numbers = new Map<string, number>();
  const classes: PolicyClass[] = [];
  const numberOf = (
    held: readonly string[],
    named: ReadonlyMap<string, readonly number[]> = new Map(),
  ): number => {
    const key = JSON.stringify([[...held].sort(), [...named].sort()]);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, classes.length);
    return classes.push({ terms: new Set(held), named }) - 1;
  };
  numberOf([]);

  const identities = new Map<string, number>();
  const identify = (
    address: Address,
    held: readonly string[],
    named?: ReadonlyMap<string, readonly number[]>,
  ) => {
    const policyClass = numberOf([...held, ...terms.ofAddress(address)], named);
    if (policyClass !== 0) identities.set(address.text, policyClass);
  };
  for (const address of others) identify(address, []);

  // Pods of one workload ask the same question: answer it once.
  const answers = new Map<string, string[]>();
  for (const pod of cluster.pods) {
    const key = JSON.stringify([pod.namespace, Object.entries(pod.labels).sort()]);
    const namespaceLabels = cluster.namespaces.get(pod.namespace) ?? {};
    const held = answers.get(key) ?? terms.ofPod(pod.namespace, namespaceLabels, pod.labels);
    answers.set(key, held);
    const named = terms.namedPorts(pod);
    for (const address of pod.addresses) identify(address, held, named);
  }

  const blocks = terms.blocks().map(({ prefix, terms }) => ({ prefix, policyClass: numberOf(terms) }));
  return { classes, identities, blocks };
}
