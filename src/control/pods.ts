/**
 * Live pods: from Pod objects, and from what container runtimes have attached here, which objects may be late to say.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Address } from '../net/address.ts';
import type { HostPorts } from '../service/host-ports.ts';
import { AddressClaims } from './addresses.ts';
import { namespacedKey, type ObjectChanges } from './changes.ts';
import type { Protocol } from './object-fields.ts';
import { mirrorOf, type Objects, type PodObject } from './objects.ts';
import type { Labels } from './selectors.ts';

/** A container port that has a name. */
interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly number: number;
}

/** A pod that may send and receive: neither finished nor on the host network. */
export interface Pod {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string | undefined;
  readonly labels: Labels;
  readonly addresses: readonly Address[];
  readonly namedPorts: readonly NamedPort[];
}

/** A pod that a container runtime has attached on this node. */
export interface AttachedPod {
  readonly namespace: string;
  readonly name: string;
  /** Of the Pod object that the runtime meant, where it said so. */
  readonly uid: string | undefined;
  readonly node: string;
  /** What the pod has, whatever its object says yet. */
  readonly addresses: readonly Address[];
}

/** What this node knows of its pods beside the store. */
export interface Attached {
  /** Of several for one pod the last counts: the others are being taken away. */
  readonly pods: readonly AttachedPod[];
  /** A pod without an object is one without labels; otherwise it is none until its object comes. */
  readonly admitUnknown: boolean;
  /** Undefined: there are none. */
  readonly hostPorts?: HostPorts;
}

const nobody: Attached = { pods: [], admitUnknown: false };

/** Pods by key, brought up to date change by change. */
export class LivePods {
  readonly pods: ReadonlyMap<string, Pod>;
  readonly #pods = new Map<string, Pod>();
  /** Pods by key, by their namespaces. */
  readonly #namespaces = new Map<string, Map<string, Pod>>();
  readonly #objects = new Map<string, PodObject>();
  readonly #claims = new AddressClaims();
  #attached = nobody;
  /** By key. */
  #attachments: ReadonlyMap<string, AttachedPod> = new Map();

  constructor() {
    this.pods = this.#pods;
  }

  inNamespace(name: string): Iterable<Pod> {
    return this.#namespaces.get(name)?.values() ?? [];
  }

  /** Key of the pod whose address it is, by the address's text. */
  ownerOf(address: string): string | undefined {
    return this.#claims.owner(address);
  }

  warnings(): Iterable<string> {
    return this.#claims.warnings();
  }

  /** @returns what is no longer as it was, by key; undefined: there was none */
  apply(changes: ObjectChanges['pods'], attached: Attached = nobody): Map<string, Pod | undefined> {
    const touched = new Set(changes.keys());
    for (const [key, object] of changes) {
      if (object) this.#objects.set(key, object);
      else this.#objects.delete(key);
    }
    if (attached !== this.#attached) for (const key of this.#attach(attached)) touched.add(key);
    for (const key of [...touched]) {
      const pod = this.#claimant(key);
      const created = this.#objects.get(key)?.metadata.creationTimestamp ?? '';
      for (const rival of this.#claims.set(key, pod && { pod, created })) touched.add(rival);
    }
    const before = new Map<string, Pod | undefined>();
    for (const key of touched) {
      const [was, is] = [this.#pods.get(key), this.#claims.pod(key)];
      if (isDeepStrictEqual(was, is)) continue;
      before.set(key, was);
      this.#set(key, is);
    }
    return before;
  }

  #set(key: string, pod: Pod | undefined): void {
    const namespace = key.slice(0, key.indexOf('/'));
    const pods = this.#namespaces.get(namespace) ?? new Map<string, Pod>();
    if (pod) {
      this.#pods.set(key, pod);
      this.#namespaces.set(namespace, pods.set(key, pod));
      return;
    }
    this.#pods.delete(key);
    if (pods.delete(key) && pods.size === 0) this.#namespaces.delete(namespace);
  }

  /** @returns keys of the pods about which something else may hold now */
  #attach(attached: Attached): Set<string> {
    const before = this.#attachments;
    this.#attached = attached;
    this.#attachments = new Map(attached.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
    // What is attached here has its addresses for certain.
    const rivals = this.#claims.reserve(
      new Map(
        [...this.#attachments].flatMap(([key, { addresses }]) => addresses.map(({ text }) => [text, key])),
      ),
    );
    return new Set([...before.keys(), ...this.#attachments.keys(), ...rivals]);
  }

  /** The pod with every address that it has or says to have. */
  #claimant(key: string): Pod | undefined {
    const object = this.#objects.get(key);
    const attached = this.#attachments.get(key);
    if (!object) {
      if (!attached || !this.#attached.admitUnknown) return undefined;
      const { namespace, name, node, addresses } = attached;
      return { key, namespace, name, node, labels: {}, addresses, namedPorts: [] };
    }
    if (!isLive(object)) return undefined;
    const { metadata, spec } = object;
    const own = attached && isObjectOf(attached, object) ? attached : undefined;
    return {
      key,
      namespace: metadata.namespace,
      name: metadata.name,
      node: own?.node ?? spec?.nodeName ?? undefined,
      labels: metadata.labels,
      addresses: own?.addresses ?? addressesOf(object),
      namedPorts: namedPortsOf(object),
    };
  }
}

/** Not an earlier or later pod of the same name, nor one that lives elsewhere. */
function isObjectOf({ uid, node }: Omit<AttachedPod, 'addresses'>, object: PodObject): boolean {
  const { metadata, spec } = object;
  const isSame = (one: string | undefined, other: string | null | undefined) =>
    !one || !other || one === other;
  return isSame(uid, mirrorOf(object) ?? metadata.uid) && isSame(node, spec?.nodeName);
}

/** The live Pod object that a runtime means. */
export const objectOf = ({ pods }: Objects, pod: Omit<AttachedPod, 'addresses'>): PodObject | undefined =>
  pods.find(
    (object) =>
      namespacedKey(object) === `${pod.namespace}/${pod.name}` && isLive(object) && isObjectOf(pod, object),
  );

function isLive({ spec, status }: PodObject): boolean {
  return !spec?.hostNetwork && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

export function addressesOf({ status }: PodObject): Address[] {
  const { podIP, podIPs } = status ?? {};
  const all = podIPs?.length ? podIPs.map(({ ip }) => ip) : podIP ? [podIP] : [];
  return [...new Map(all.map((address) => [address.text, address])).values()];
}

function namedPortsOf({ spec }: PodObject): NamedPort[] {
  // An init container that is restarted always is a sidecar, and serves as long as the pod lives.
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ name, protocol, containerPort }) =>
      name ? [{ name, protocol, number: containerPort }] : [],
    ),
  );
}
