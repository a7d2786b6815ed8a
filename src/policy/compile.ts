// Policies to classes, port classes and rows. Pure.
import { POLICY_CELL_ALLOW } from '../../asm/layout/tables.ts';
import type { Cluster, Pod } from '../control/cluster.ts';
import type { Address } from '../net/address.ts';
import { classify, nameKey, type PolicyClass, Terms } from './classes.ts';
import type { CompiledPolicy, Decision, Direction, PolicySet, Traffic } from './compiled.ts';
import { classifyPorts, Pages, type Representative } from './ports.ts';
import { applying, decide, orderOf, orderToNode, type PortTerm, policiesFor, type Rule } from './rules.ts';

export interface PolicyInput {
  readonly cluster: Cluster;
  /** Node whose pods are to be judged. */
  readonly node: string;
  /** Addresses of endpoints that are no pods: selectors never hold for them, blocks may. */
  readonly others: readonly Address[];
}

export function compilePolicy({ cluster, node, others }: PolicyInput): CompiledPolicy {
  const local = cluster.pods.filter((pod) => pod.node === node);
  const groups = (['ingress', 'egress', 'toNode'] as const).flatMap((traffic) =>
    group(local, cluster, traffic),
  );
  const rules = groups.flatMap((one) => one.rules);
  const egress = groups.filter(({ direction }) => direction === 'egress').flatMap((one) => one.rules);
  const { classes, identities, blocks } = classify(cluster, others, new Terms(rules, egress));

  const tables = new SharedTables();
  const sets = groups.map((one) => setOf(one, classes, tables));
  const setIndex = (pod: Pod, traffic: Traffic) => {
    const index = groups.findIndex((one) => one.traffic === traffic && one.pods.has(pod.key));
    return index < 0 ? undefined : index;
  };
  const indexes = (pod: Pod) => ({
    ingress: setIndex(pod, 'ingress'),
    egress: setIndex(pod, 'egress'),
    toNode: setIndex(pod, 'toNode'),
  });
  return {
    classes: classes.length,
    identities,
    blocks,
    rows: tables.rows,
    pages: tables.pages.list,
    sets,
    pods: new Map(local.map((pod) => [pod.key, indexes(pod)])),
    decisions: tables.decisions,
  };
}

/** Local pods for which the same rules hold. */
interface Group {
  readonly traffic: Traffic;
  readonly direction: Direction;
  readonly pods: ReadonlySet<string>;
  /** In the order in which they are asked. */
  readonly rules: readonly Rule[];
}

function group(local: readonly Pod[], cluster: Cluster, traffic: Traffic): Group[] {
  const direction = traffic === 'ingress' ? 'ingress' : 'egress';
  const policies = policiesFor(cluster, direction);
  const groups = new Map<string, Group & { readonly pods: Set<string> }>();
  for (const pod of local) {
    const asked = applying(policies, pod, cluster.namespaces);
    const written = traffic === 'toNode' ? orderToNode(asked) : orderOf(asked);
    if (written.length === 0) continue;
    // For ingress a port name means what the pod itself calls so.
    const rules = direction === 'ingress' ? written.map((rule) => resolved(rule, pod)) : written;
    const key = JSON.stringify([asked.map((policy) => policy.key), rules.map(({ ports }) => ports ?? null)]);
    const known = groups.get(key);
    if (known) known.pods.add(pod.key);
    else groups.set(key, { traffic, direction, pods: new Set([pod.key]), rules });
  }
  return [...groups.values()];
}

function resolved(rule: Rule, pod: Pod): Rule {
  const ports = rule.ports?.flatMap((term): PortTerm[] => {
    if (term.kind === 'range') return [term];
    return pod.namedPorts
      .filter(({ name, protocol }) => name === term.name && protocol === term.protocol)
      .map(({ protocol, number }) => ({ kind: 'range', protocol, from: number, to: number }));
  });
  return { ...rule, ports };
}

function setOf(
  { direction, rules }: Group,
  classes: readonly PolicyClass[],
  tables: SharedTables,
): PolicySet {
  const numbersOf = ({ protocol, name }: PortTerm & { kind: 'name' }) => [
    ...new Set(classes.flatMap(({ named }) => named.get(nameKey(protocol, name)) ?? [])),
  ];
  const { representatives, maps, other } = classifyPorts(rules, numbersOf, tables.pages);
  const asked = new Set(rules.flatMap(({ peers }) => peers ?? []).map(({ text }) => text));
  const known = new Map<string, number>();
  const rows = classes.map((policyClass) => {
    // Classes that this set's rules cannot tell apart have the same row.
    const key = JSON.stringify([
      [...policyClass.terms].filter((text) => asked.has(text)),
      [...policyClass.named],
    ]);
    const row = known.get(key) ?? tables.row(cells(policyClass));
    known.set(key, row);
    return row;
  });
  while (rows.length > 1 && rows.at(-1) === rows[0]) rows.pop();
  return { direction, isIsolated: rules.some(({ tier }) => tier === 'NetworkPolicy'), rows, maps, other };

  function cells(policyClass: PolicyClass): Uint32Array {
    return Uint32Array.from(representatives, (representative) => {
      const rule = decide(
        rules,
        (one) => peerMatches(one, policyClass) && portMatches(one, policyClass, representative),
      );
      return tables.cell(decisionOf(direction, rule));
    });
  }
}

function decisionOf(direction: Direction, rule: Rule | undefined): Decision {
  if (!rule) return { verdict: 'allow', direction, tier: null, policies: [], rule: null, name: null };
  const { tier, action, policies, index, name } = rule;
  return { verdict: action === 'deny' ? 'deny' : 'allow', direction, tier, policies, rule: index, name };
}

function peerMatches({ peers }: Rule, { terms }: PolicyClass): boolean {
  return peers === undefined || peers.some(({ text }) => terms.has(text));
}

function portMatches({ ports }: Rule, { named }: PolicyClass, representative: Representative): boolean {
  if (ports === undefined) return true;
  if (representative === undefined) return false;
  const { protocol, port } = representative;
  return ports.some((term) => {
    if (term.protocol !== protocol) return false;
    if (term.kind === 'range') return term.from <= port && port <= term.to;
    return (named.get(nameKey(protocol, term.name)) ?? []).includes(port);
  });
}

/** Rows, pages and decisions, each kept once. */
class SharedTables {
  readonly pages = new Pages();
  readonly rows: Uint32Array[] = [];
  readonly decisions: (Decision | undefined)[] = [undefined];
  readonly #rows = new Map<string, number>();
  readonly #cells = new Map<string, number>();

  row(cells: Uint32Array): number {
    const key = cells.join();
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    this.#rows.set(key, this.rows.length);
    return this.rows.push(cells) - 1;
  }

  cell(decision: Decision): number {
    const key = JSON.stringify(decision);
    let number = this.#cells.get(key);
    if (number === undefined) {
      number = this.decisions.push(decision) - 1;
      this.#cells.set(key, number);
    }
    return (decision.verdict === 'allow' ? (POLICY_CELL_ALLOW | number) >>> 0 : number) >>> 0;
  }
}
