/**
 * Policies to classes, port classes and rows, brought up to date change by change.
 *
 *     local pods, policies ─► groups ─► rules in force ─► terms ─┬─► classes of pods and blocks
 *                                                                └─► sets: a row for each class
 *
 * A change of one pod elsewhere asks the terms about that pod. A rule that comes into force or goes asks about the pods
 * of the namespaces, and in the blocks of addresses, that it names.
 */
import { CLASS_UNKNOWN } from '../../asm/layout/tables.ts';
import type { Cluster, ClusterChanges } from '../control/cluster.ts';
import type { Pod } from '../control/pods.ts';
import { selectorTest } from '../control/selectors.ts';
import { AddressIndex } from './address-index.ts';
import type { Block } from './blocks.ts';
import { Classes, type PolicyClass } from './classes.ts';
import type { CompiledPolicy, PolicySet, Traffic } from './compiled.ts';
import { DecisionNumbers } from './decisions.ts';
import { type Group, groupsOf } from './groups.ts';
import type { Effort } from './pod-terms.ts';
import { Pages } from './ports.ts';
import { PolicyBook } from './rules.ts';
import { CompiledSet } from './sets.ts';
import { type Reach, TermNumbers, Terms } from './terms.ts';

export interface PolicyInput {
  readonly cluster: Cluster;
  readonly node: string;
  /** The node's own, which are to be judged, by key. */
  readonly localPods: ReadonlyMap<string, Pod>;
  readonly changes: ClusterChanges;
}

/** What has been done about a change. Whatever is in none of these is as it was. */
export interface PolicyDelta {
  /** Addresses whose class is another one, by text. */
  readonly identities: ReadonlySet<string>;
  /** Classes that have been given rows in the sets that were there before. */
  readonly classes: ReadonlySet<number>;
  /** How much was computed. */
  readonly work: Work;
}

export interface Work {
  /** Pods asked about. */
  readonly pods: number;
  /** Selectors evaluated for them. */
  readonly selectors: number;
  readonly sets: number;
  readonly rows: number;
}

const empty: CompiledPolicy = {
  classes: 1,
  identities: new Map(),
  blocks: [],
  sets: [],
  pods: new Map(),
  decisions: new Map(),
};

const nobody: Reach = { isEverybody: false, selectors: new Map(), prefixes: [] };

/** Of more that come or go at once, finding out which pods they select costs more than asking all pods about everything. */
const FEW_SELECTORS = 16;

/** The policy of one node. When a change throws, the compiler is of no more use. */
export class PolicyCompiler {
  readonly #book = new PolicyBook();
  readonly #shared = { numbers: new TermNumbers(), pages: new Pages(), decisions: new DecisionNumbers() };
  readonly #classes = new Classes();
  readonly #identities = new Map<string, number>();
  readonly #addresses = new AddressIndex();
  readonly #effort: Effort = { selectors: 0 };
  #terms = new Terms([], this.#shared.numbers, this.#effort);
  #groups: readonly Group[] = [];
  /** Sets made since it was last looked which pages are in use. */
  #newSets = 0;
  #sets = new Map<string, CompiledSet>();
  #policy: CompiledPolicy = empty;

  get policy(): CompiledPolicy {
    return this.#policy;
  }

  /**
   * @throws TooManyDecisions
   * @throws RangeError where the ports of one set are too many classes
   */
  apply(input: PolicyInput): PolicyDelta {
    const before = this.#effort.selectors;
    const isRegrouped = this.#regroup(input);
    const reach = isRegrouped ? this.#ask(input) : nobody;
    const classified = this.#classify(input, reach);
    const blocks = reach.prefixes.length > 0 ? this.#classifyBlocks() : this.#policy.blocks;
    const fresh = this.#classes.settle();
    const { sets, rows } = this.#compileSets(fresh);
    const isSame = !isRegrouped && classified.identities.size === 0 && fresh.length === 0 && rows === 0;
    if (!isSame) {
      this.#policy = {
        classes: this.#classes.size,
        identities: this.#identities,
        blocks,
        sets: isRegrouped || sets > 0 ? [...this.#sets.values()] : this.#policy.sets,
        pods: isRegrouped || sets > 0 ? this.#setsOf(input.localPods) : this.#policy.pods,
        decisions: isRegrouped || rows > 0 ? this.#decisionsInUse() : this.#policy.decisions,
      };
    }
    return {
      identities: classified.identities,
      classes: new Set(fresh.map(({ number }) => number)),
      work: { pods: classified.pods, selectors: this.#effort.selectors - before, sets, rows },
    };
  }

  /** @returns whether other rules may be in force than before */
  #regroup(input: PolicyInput): boolean {
    if (!concernsRules(input)) return false;
    this.#groups = groupsOf(input.localPods.values(), input.cluster, this.#book);
    return true;
  }

  #ask({ cluster }: PolicyInput): Reach {
    const terms = new Terms(this.#groups, this.#shared.numbers, this.#effort);
    const reach = terms.follow(this.#terms, cluster.namespaces);
    this.#terms = terms;
    return reach;
  }

  #classify(input: PolicyInput, reach: Reach): { identities: Set<string>; pods: number } {
    const { cluster, changes } = input;
    const identities = new Set<string>();
    // An address can go from one pod to another in one change: it is taken away before it is given.
    for (const [key, before] of changes.pods) {
      const after = cluster.pods.get(key);
      if (before) this.#addresses.remove(before);
      if (after) this.#addresses.add(after);
      const kept = new Set(after?.addresses.map(({ text }) => text));
      for (const { text } of before?.addresses ?? []) if (!kept.has(text)) this.#leave(text, identities);
    }
    const keys = reach.isEverybody ? cluster.pods.keys() : this.#reached(input, reach);
    let pods = 0;
    for (const key of keys) {
      const pod = cluster.pods.get(key);
      if (!pod) continue;
      pods++;
      const held = this.#terms.ofPod(pod, cluster.namespaces.get(pod.namespace) ?? {});
      for (const address of pod.addresses) {
        this.#enter(address.text, this.#classOf(held, this.#terms.blocks.find(address)), identities);
      }
    }
    return { identities, pods };
  }

  /** Keys of the pods about which something else may hold than before. */
  #reached({ cluster, changes }: PolicyInput, { selectors, prefixes }: Reach): Set<string> {
    const keys = new Set(changes.pods.keys());
    for (const name of changes.namespaces) for (const { key } of cluster.podsIn(name)) keys.add(key);
    for (const [name, changed] of selectors) {
      const tests = changed.length > FEW_SELECTORS ? undefined : changed.map(selectorTest);
      for (const { key, labels } of cluster.podsIn(name)) {
        if (keys.has(key)) continue;
        if (tests) this.#effort.selectors += tests.length;
        if (!tests || tests.some((test) => test(labels))) keys.add(key);
      }
    }
    for (const prefix of prefixes) for (const key of this.#addresses.inside(prefix)) keys.add(key);
    return keys;
  }

  #classifyBlocks(): CompiledPolicy['blocks'] {
    const blocks = this.#terms.blocks.list.map(({ prefix, terms }) => ({
      prefix,
      policyClass: this.#classes.use(terms).number,
    }));
    for (const { policyClass } of this.#policy.blocks) this.#classes.release(policyClass);
    return blocks;
  }

  #classOf(held: readonly number[], block: Block | undefined): PolicyClass {
    return this.#classes.use(block ? [...new Set([...held, ...block.terms])] : held);
  }

  /** @param policyClass used once for this */
  #enter(address: string, { number }: PolicyClass, identities: Set<string>): void {
    const before = this.#identities.get(address) ?? CLASS_UNKNOWN;
    this.#classes.release(before);
    if (before === number) return;
    identities.add(address);
    if (number === CLASS_UNKNOWN) this.#identities.delete(address);
    else this.#identities.set(address, number);
  }

  #leave(address: string, identities: Set<string>): void {
    const before = this.#identities.get(address);
    if (before === undefined) return;
    this.#classes.release(before);
    this.#identities.delete(address);
    identities.add(address);
  }

  /** @param fresh classes that the sets do not have yet */
  #compileSets(fresh: readonly PolicyClass[]): { sets: number; rows: number } {
    const before = this.#sets;
    let sets = 0;
    let rows = 0;
    this.#sets = new Map(
      this.#groups.map(({ key, direction, rules }) => {
        const known = before.get(key);
        const isKept = known !== undefined && !known.isOutdated(this.#terms);
        const set = isKept ? known : new CompiledSet(direction, rules, this.#terms, this.#shared);
        const computed = isKept ? set.computed : 0;
        for (const one of isKept ? fresh : this.#classes.values()) set.set(one);
        rows += set.computed - computed;
        sets += isKept ? 0 : 1;
        return [key, set];
      }),
    );
    this.#newSets += sets;
    return { sets, rows };
  }

  #setsOf(localPods: PolicyInput['localPods']): CompiledPolicy['pods'] {
    const sets = new Map(
      [...localPods.keys()].map((key): [string, Record<Traffic, PolicySet | undefined>] => [
        key,
        { ingress: undefined, egress: undefined, toNode: undefined },
      ]),
    );
    for (const { key, traffic, pods } of this.#groups) {
      for (const pod of pods) {
        const own = sets.get(pod);
        if (own) own[traffic] = this.#sets.get(key);
      }
    }
    return sets;
  }

  #decisionsInUse(): CompiledPolicy['decisions'] {
    const sets = [...this.#sets.values()];
    if (this.#newSets > sets.length) {
      this.#shared.pages.keep(new Set(sets.flatMap(({ maps }) => Object.values(maps).flat())));
      this.#newSets = 0;
    }
    this.#shared.decisions.keep(new Set(sets.flatMap(({ decisions }) => [...decisions])));
    return this.#shared.decisions.snapshot();
  }
}

/** Whether a change can bring other rules into force here. */
function concernsRules({ cluster, node, localPods, changes }: PolicyInput): boolean {
  if (changes.clusterPolicies || (changes.nodes && cluster.clusterPolicies.length > 0)) return true;
  for (const [key, before] of changes.pods) if (localPods.has(key) || before?.node === node) return true;
  for (const { namespace } of localPods.values())
    if (changes.policies.has(namespace) || changes.namespaces.has(namespace)) return true;
  return false;
}
