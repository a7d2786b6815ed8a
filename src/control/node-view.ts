/**
 * What one node should know, kept up to date with a store and with what runtimes have attached.
 *
 *     ObjectChanges ─┬─► ClusterState ────► DesiredState ─► Desired, DesiredDelta
 *     Attached ──────┴─► ServiceCompiler ────┘
 */
import type { Config, Encapsulation } from '../config/schema.ts';
import { ServiceCompiler } from '../service/compile.ts';
import type { ObjectChanges } from './changes.ts';
import { ClusterState, isEmpty } from './cluster.ts';
import { type Desired, type DesiredDelta, DesiredState } from './desired.ts';
import type { Attached } from './pods.ts';
import type { DirectWay } from './topology.ts';

export class NodeView {
  readonly #config: Config;
  readonly #cluster: ClusterState;
  readonly #services: ServiceCompiler;
  /** See Found. */
  readonly #choices = new Map<string, string>();
  readonly #ways = new Map<string, DirectWay>();
  #isChosen = false;
  readonly #unusable: ReadonlyMap<Encapsulation, string>;
  /** Undefined: to be made anew from the whole cluster. */
  #state: DesiredState | undefined;
  #desired: Desired | undefined;
  #fault: Error | undefined;

  /** @param unusable encapsulations for which no sockets can be opened, and why */
  constructor(config: Config, unusable: ReadonlyMap<Encapsulation, string> = new Map()) {
    this.#config = config;
    this.#unusable = unusable;
    this.#cluster = new ClusterState(config.dns?.service);
    this.#services = new ServiceCompiler(config.node, config.dns?.service);
  }

  /** The last that could be made; undefined: none yet. It is another object whenever something has changed. */
  get desired(): Desired | undefined {
    return this.#desired;
  }

  /** Why `desired` is not what the objects say; undefined: it is. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** Has a peer reached through a tunnel of its, from the next `apply` on; undefined: through the first. */
  choose(peer: string, key: string | undefined): void {
    if (key === undefined) this.#choices.delete(peer);
    else this.#choices.set(peer, key);
    this.#isChosen = true;
  }

  /** Has these peers reached without a tunnel from the next `apply` on, by their names. */
  takeWays(ways: ReadonlyMap<string, DirectWay>): void {
    this.#ways.clear();
    for (const [peer, way] of ways) this.#ways.set(peer, way);
    this.#isChosen = true;
  }

  /** @returns what is no longer as it was; undefined: nothing, or everything, and then `desired.endpoints` is another */
  apply(changes: ObjectChanges, attached: Attached): DesiredDelta | undefined {
    const applied = this.#cluster.apply(changes, attached);
    const changed = this.#isChosen ? { ...applied, nodes: true } : applied;
    this.#isChosen = false;
    const { cluster } = this.#cluster;
    const own = cluster.nodes.find(({ name }) => name === this.#config.node);
    const services = this.#services.apply(changes, own, attached.hostPorts);
    if (this.#state && isEmpty(changed) && services.size === 0) return undefined;
    try {
      const delta = this.#state?.apply(cluster, changed, services);
      this.#state ??= new DesiredState(cluster, this.#config, this.#services, {
        choices: this.#choices,
        ways: this.#ways,
        unusable: this.#unusable,
      });
      this.#desired = this.#state.desired;
      this.#fault = undefined;
      return delta;
    } catch (error) {
      this.#state = undefined;
      this.#fault = error as Error;
      return undefined;
    }
  }
}
