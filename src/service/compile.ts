/**
 * What one node does with every Service, brought up to date change by change. Pure.
 *
 *     Service ─────────► ports ──┐
 *     EndpointSlices ──► endpoints ─► choice ─► slots
 *     own Node ────────────┴──────────┘
 *     host ports ──► ports, each with its endpoint ─► slots
 *
 * Each Service is compiled by itself, and slots are filled anew only where other backends stand behind them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectChanges } from '../control/changes.ts';
import type { ClusterNode } from '../control/cluster.ts';
import type { EndpointSliceObject, ServiceObject } from '../control/services.ts';
import { type Choice, type Chosen, choose, type LeftOut, type Place } from './choose.ts';
import { type Endpoint, endpointsOf } from './endpoints.ts';
import { Frontends } from './frontends.ts';
import {
  type HostPortPod,
  type HostPorts,
  hostPortsKey,
  type MappedPort,
  mappedPorts,
  noHostPorts,
} from './host-ports.ts';
import { fillSlots } from './maglev.ts';
import { type Passed, PROXY_NAME, passedOver, portsOf, type ServicePort } from './ports.ts';

/** What a traffic policy leads to. */
export interface Pool {
  readonly backends: readonly Endpoint[];
  /** Indexes into `backends`; see maglev.ts. */
  readonly slots: Uint16Array;
  readonly leftOut: readonly LeftOut[];
}

export interface CompiledPort extends ServicePort, Pick<Chosen, 'hints' | 'hasAny'> {
  /** Undefined: no client of this port comes under that policy. */
  readonly Cluster: Pool | undefined;
  readonly Local: Pool | undefined;
}

export interface CompiledService {
  /** `namespace/name`; of a pod's host ports `pod namespace/name`. */
  readonly key: string;
  readonly passed: Passed | undefined;
  readonly ports: readonly CompiledPort[];
  /** Port of the node that tells load balancers whether it has ready endpoints; 0: none. */
  readonly healthCheckNodePort: number;
  /** Addresses of this node's ready endpoints, of the family that has more. */
  readonly localReady: number;
}

const LABEL_SERVICE = 'kubernetes.io/service-name';
const LABEL_ZONE = 'topology.kubernetes.io/zone';
/** On slices of headless Services, which proxies do not need. */
const LABEL_HEADLESS = 'service.kubernetes.io/headless';

interface Known {
  readonly object: ServiceObject;
  /** What the object asks for: the same list as long as object and node say the same. */
  readonly ports: readonly ServicePort[];
}

export class ServiceCompiler {
  readonly #resolver: string | undefined;
  readonly #place: { node: string; zone: string };
  #node: ClusterNode | undefined;
  readonly #known = new Map<string, Known>();
  /** By key of the Service, then by key of the slice. */
  readonly #slices = new Map<string, Map<string, EndpointSliceObject>>();
  /** Key of its Service, by key of the slice. */
  readonly #ownerOf = new Map<string, string>();
  #hostPorts = noHostPorts;
  /** Pods with host ports, by the key of what is compiled of them. */
  readonly #mapped = new Map<string, { readonly pod: HostPortPod; readonly ports: readonly MappedPort[] }>();
  readonly #compiled = new Map<string, CompiledService>();
  readonly #frontends = new Frontends();

  /**
   * @param node name of the node that compiles
   * @param resolver key of the Service that the node's resolver stands for; undefined: there is none
   */
  constructor(node: string, resolver?: string) {
    this.#place = { node, zone: '' };
    this.#resolver = resolver;
  }

  get place(): Place {
    return this.#place;
  }

  /** The node's own object; undefined: there is none. */
  get node(): ClusterNode | undefined {
    return this.#node;
  }

  /** Whether anything stands behind a port of this node itself. */
  get hasHostPorts(): boolean {
    return this.#mapped.size > 0;
  }

  /** Live: it changes with the state that it belongs to. */
  get services(): ReadonlyMap<string, CompiledService> {
    return this.#compiled;
  }

  get frontends(): Pick<Frontends, 'find' | 'isClusterIP' | 'clusterIPs'> {
    return this.#frontends;
  }

  /** The port as it is compiled now. */
  port({ service, family, name, protocol }: ServicePort): CompiledPort | undefined {
    return this.#compiled
      .get(service)
      ?.ports.find((port) => port.family === family && port.name === name && port.protocol === protocol);
  }

  /**
   * @param node the node's own object; undefined: there is none
   * @param hostPorts of the pods of this node
   * @returns keys of the Services that are not as they were, or have gone
   */
  apply(
    { services, slices }: Pick<ObjectChanges, 'services' | 'slices'>,
    node: ClusterNode | undefined,
    hostPorts = noHostPorts,
  ): Set<string> {
    const touched = new Set(services.keys());
    for (const [key, slice] of slices) this.#assign(key, slice, touched);
    const moved = this.#settle(node);
    if (moved) for (const key of this.#known.keys()) touched.add(key);
    for (const [key, object] of services) this.#ask(key, object);
    if (moved) for (const [key, { object }] of this.#known) if (!services.has(key)) this.#ask(key, object);
    if (moved || hostPorts !== this.#hostPorts) this.#map(hostPorts, moved, touched);
    for (const key of touched) {
      const before = this.#compiled.get(key);
      this.#compile(key);
      // Controllers write objects all the time of which nothing that matters has changed.
      if (isDeepStrictEqual(before, this.#compiled.get(key))) touched.delete(key);
    }
    return touched;
  }

  /** @returns whether anything that Services depend on is not as it was */
  #settle(node: ClusterNode | undefined): boolean {
    const zone = node?.labels[LABEL_ZONE] ?? '';
    const isSame =
      zone === this.#place.zone && isDeepStrictEqual(node?.statusAddresses, this.#node?.statusAddresses);
    this.#place.zone = zone;
    this.#node = node;
    return !isSame;
  }

  #assign(key: string, slice: EndpointSliceObject | undefined, touched: Set<string>): void {
    const before = this.#ownerOf.get(key);
    const after = slice && serviceOf(slice);
    if (before !== undefined) {
      touched.add(before);
      const siblings = this.#slices.get(before);
      siblings?.delete(key);
      if (siblings?.size === 0) this.#slices.delete(before);
      this.#ownerOf.delete(key);
    }
    if (!slice || after === undefined) return;
    touched.add(after);
    this.#ownerOf.set(key, after);
    this.#slices.set(after, (this.#slices.get(after) ?? new Map()).set(key, slice));
  }

  /** @param object undefined: the Service has gone */
  #ask(key: string, object: ServiceObject | undefined): void {
    const before = this.#known.get(key);
    if (before) this.#frontends.remove(before.ports);
    this.#known.delete(key);
    if (!object) return;
    const ports = portsOf(object, this.#node, this.#resolver);
    this.#known.set(key, { object, ports });
    this.#frontends.add(ports, object.metadata.creationTimestamp ?? '');
  }

  /** @param moved the node has other addresses than before */
  #map(hostPorts: HostPorts, moved: boolean, touched: Set<string>): void {
    const isElsewhere = moved || !isDeepStrictEqual(hostPorts.addresses, this.#hostPorts.addresses);
    this.#hostPorts = hostPorts;
    const all = [...(this.#node?.statusAddresses ?? []), ...hostPorts.addresses];
    const addresses = [...new Map(all.map((address) => [address.text, address])).values()];
    const pods = new Map(hostPorts.pods.map((pod) => [hostPortsKey(pod.key), pod]));
    for (const key of new Set([...this.#mapped.keys(), ...pods.keys()])) {
      const [before, pod] = [this.#mapped.get(key), pods.get(key)];
      if (!isElsewhere && isDeepStrictEqual(before?.pod, pod)) continue;
      touched.add(key);
      this.#frontends.remove(before?.ports.map(({ port }) => port) ?? []);
      this.#mapped.delete(key);
      if (!pod) continue;
      const ports = mappedPorts(pod, this.#place.node, addresses);
      this.#mapped.set(key, { pod, ports });
      this.#frontends.add(
        ports.map(({ port }) => port),
        '',
      );
    }
  }

  #compile(key: string): void {
    const mapped = this.#mapped.get(key);
    if (mapped) {
      const ports = mapped.ports.map(({ port, endpoint }) => this.#compilePort(port, [endpoint]));
      this.#compiled.set(key, { key, passed: undefined, ports, healthCheckNodePort: 0, localReady: 0 });
      return;
    }
    const known = this.#known.get(key);
    if (!known) {
      this.#compiled.delete(key);
      return;
    }
    const { object, ports } = known;
    const slices = [...(this.#slices.get(key)?.values() ?? [])];
    const { type, externalTrafficPolicy, healthCheckNodePort } = object.spec;
    const { node } = this.#place;
    const localReady = { 4: new Set<string>(), 6: new Set<string>() };
    const compiled = ports.map((port) => {
      const endpoints = endpointsOf(port, slices, node);
      for (const { address, state, node: its } of endpoints)
        if (state === 'ready' && its === node) localReady[port.family].add(address.text);
      return this.#compilePort(port, endpoints);
    });
    this.#compiled.set(key, {
      key,
      passed: passedOver(object, this.#resolver),
      ports: compiled,
      healthCheckNodePort:
        type === 'LoadBalancer' && externalTrafficPolicy === 'Local' ? healthCheckNodePort : 0,
      localReady: Math.max(localReady[4].size, localReady[6].size),
    });
  }

  #compilePort(port: ServicePort, endpoints: readonly Endpoint[]): CompiledPort {
    const { hints, hasAny, Cluster, Local } = choose(port, endpoints, this.#place);
    const before = this.port(port);
    return {
      ...port,
      hints,
      hasAny,
      Cluster: Cluster && poolOf(Cluster, before?.Cluster),
      Local: Local && poolOf(Local, before?.Local),
    };
  }
}

function poolOf({ backends, leftOut }: Choice, before: Pool | undefined): Pool {
  const isSame =
    before?.backends.length === backends.length &&
    backends.every(({ key }, i) => key === before.backends[i]?.key);
  return { backends, leftOut, slots: isSame ? before.slots : fillSlots(backends.map(({ key }) => key)) };
}

/** Key of the Service that a slice belongs to; undefined: it is not for us. */
function serviceOf({ metadata, addressType }: EndpointSliceObject): string | undefined {
  const { labels, namespace } = metadata;
  if (addressType === 'FQDN' || Object.hasOwn(labels, PROXY_NAME) || Object.hasOwn(labels, LABEL_HEADLESS))
    return undefined;
  const name = labels[LABEL_SERVICE];
  return name ? `${namespace}/${name}` : undefined;
}
