// Who stands at an end of a connection that is asked about: a pod by name, or an address.
import type { Cluster } from '../control/cluster.ts';
import type { Objects, PodObject } from '../control/objects.ts';
import { addressesOf, type Pod } from '../control/pods.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { nth } from '../net/prefix.ts';

export interface End {
  /** `namespace/name`, or the address. */
  readonly text: string;
  /** Of a pod by name, its first. */
  readonly address: Address;
  /** The live pod whose address it is. */
  readonly pod: Pod | undefined;
  /** Named as a pod that shares its node's network, so that policies do not see it. */
  readonly isHostNetwork: boolean;
  /** Node whose own address it is. */
  readonly node: string | undefined;
}

export class Ends {
  readonly #objects: ReadonlyMap<string, PodObject>;
  readonly #cluster: Cluster;
  readonly #nodes: ReadonlyMap<string, string>;

  constructor(objects: Objects, cluster: Cluster) {
    this.#objects = new Map(
      objects.pods.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, pod]),
    );
    this.#cluster = cluster;
    this.#nodes = new Map([
      ...objects.pods.flatMap((pod): [string, string][] => {
        const { hostNetwork, nodeName } = pod.spec ?? {};
        return hostNetwork && nodeName ? addressesOf(pod).map(({ text }) => [text, nodeName]) : [];
      }),
      ...cluster.nodes.flatMap(({ name, addresses, podCIDRs }) =>
        [...addresses, ...podCIDRs.map((block) => nth(block, 1))].map(({ text }): [string, string] => [
          text,
          name,
        ]),
      ),
    ]);
  }

  /**
   * @param text `namespace/name` of a pod, or an address
   * @throws Error that says what is wrong with the text
   */
  find(text: string): End {
    if (text.includes('/')) return this.#named(text);
    const address = parseAddress(text);
    if (!address) throw new Error(`"${text}" is neither an IP address nor NAMESPACE/POD`);
    const pod = this.#cluster.pods.get(this.#cluster.ownerOf(address.text) ?? '');
    const node = pod ? undefined : this.#nodes.get(address.text);
    return { text: address.text, address, pod, isHostNetwork: false, node };
  }

  #named(text: string): End {
    const object = this.#objects.get(text);
    if (!object) throw new Error(`there is no pod ${text} in the manifests`);
    const pod = this.#cluster.pods.get(text);
    const isHostNetwork = object.spec?.hostNetwork === true;
    if (!pod && !isHostNetwork)
      throw new Error(`pod ${text} has ended (${object.status?.phase}) and has no connections`);
    const [address] = pod ? pod.addresses : addressesOf(object);
    if (!address)
      throw new Error(`pod ${text} has no address: status.podIPs is empty or taken by younger pods`);
    const node = isHostNetwork ? (object.spec?.nodeName ?? this.#nodes.get(address.text)) : undefined;
    return { text, address, pod, isHostNetwork, node };
  }
}
