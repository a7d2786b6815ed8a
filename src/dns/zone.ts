/**
 * What the cluster's names stand for, kept up to date with its objects (Kubernetes DNS-Based Service Discovery 1.1.0).
 *
 *     cluster.local                        SOA, NS
 *     ├─ dns-version                       TXT
 *     ├─ dns ── ns                         A, AAAA of the resolver
 *     ├─ svc ── NAMESPACE ── SERVICE       A, AAAA or CNAME
 *     │                      ├─ HOST       A, AAAA of an endpoint, headless only
 *     │                      └─ _tcp ── _PORT   SRV
 *     └─ pod ── NAMESPACE ── 10-244-1-5    A, AAAA
 *     in-addr.arpa, ip6.arpa               PTR of cluster IPs and endpoints
 *
 * A name without records that has names below it exists (RFC 8020 §2): it has no data, and is not "no such name".
 */
import { parseAddress } from '../net/address.ts';
import { contains, type Prefix } from '../net/prefix.ts';
import {
  endsWith,
  type Labels,
  labelsOf,
  parseDashed,
  parseReverse,
  type Reverse,
  reverseZone,
} from './names.ts';
import type { NameChanges, NamedPod, NamedService, NamedSlice } from './objects.ts';
import {
  addressRecord,
  anyRecord,
  cnameRecord,
  nsRecord,
  ptrRecord,
  type Resource,
  soaRecord,
  srvRecord,
  TYPE,
  txtRecord,
} from './records.ts';
import { type Addresses, namesOf, type ServiceNames } from './service-names.ts';

/** Of the Kubernetes DNS-Based Service Discovery specification. */
const SCHEMA_VERSION = '1.1.0';

export interface ZoneSettings {
  /** Such as cluster.local. */
  readonly domain: string;
  /** Seconds. */
  readonly ttl: number;
  /** Whether `a-b-c-d.NAMESPACE.pod` stands for any address (§2.6), for those that pods of the namespace have, or for none. */
  readonly pods: 'any' | 'existing' | 'none';
  /** Blocks whose reverse names are asked of nobody else. */
  readonly blocks: readonly Prefix[];
}

export type Found =
  | {
      readonly kind: 'records';
      readonly answers: readonly Resource[];
      readonly additionals: readonly Resource[];
    }
  /** A name for another name. */
  | { readonly kind: 'alias'; readonly record: Resource; readonly target: string }
  /** `exists`: it has no data of the type; otherwise there is no such name. */
  | { readonly kind: 'nothing'; readonly exists: boolean; readonly authority: Resource }
  /** Not this cluster's: somebody else may know. */
  | { readonly kind: 'foreign' };

const foreign: Found = { kind: 'foreign' };

export class Zone {
  readonly #settings: ZoneSettings;
  readonly #suffix: Labels;
  readonly #domain: string;
  readonly #namespaces = new Set<string>();
  readonly #services = new Map<string, NamedService>();
  /** By key of the Service, then by key of the slice. */
  readonly #slices = new Map<string, Map<string, NamedSlice>>();
  /** Key of its Service, by key of the slice. */
  readonly #ownerOf = new Map<string, string>();
  /** By namespace, then by name. */
  readonly #names = new Map<string, Map<string, ServiceNames>>();
  /** Names by address. */
  readonly #reverse = new Map<string, Set<string>>();
  readonly #pods = new Map<string, NamedPod>();
  /** How many pods have an address, by `namespace/address`. */
  readonly #podAddresses = new Map<string, number>();
  #nameServers: Addresses = { 4: [], 6: [] };
  #serial = 1;
  /** Whose turn it is to come first. */
  #turn = 0;

  constructor(settings: ZoneSettings) {
    this.#settings = settings;
    this.#suffix = labelsOf(settings.domain);
    this.#domain = this.#suffix.join('.');
  }

  /** Where the resolver itself listens: what the zone's NS record leads to. */
  set nameServers(addresses: Addresses) {
    this.#nameServers = addresses;
  }

  apply({ namespaces, services, slices, pods }: NameChanges): void {
    this.#serial++;
    for (const [name, exists] of namespaces) {
      if (exists) this.#namespaces.add(name);
      else this.#namespaces.delete(name);
    }
    for (const [key, pod] of pods) this.#setPod(key, pod);
    const touched = new Set(services.keys());
    for (const [key, service] of services) {
      if (service) this.#services.set(key, service);
      else this.#services.delete(key);
    }
    for (const [key, slice] of slices) this.#assign(key, slice, touched);
    for (const key of touched) this.#name(key);
  }

  /** @param labels lower case */
  lookup(labels: Labels, type: number): Found {
    this.#turn++;
    if (endsWith(labels, this.#suffix)) {
      const found = this.#inCluster(labels.slice(0, -this.#suffix.length), labels.join('.'));
      return this.#narrow(found, labels.join('.'), type, this.#domain);
    }
    const reverse = parseReverse(labels);
    return reverse ? this.#inReverse(reverse, labels.join('.'), type) : foreign;
  }

  #assign(key: string, slice: NamedSlice | undefined, touched: Set<string>): void {
    const before = this.#ownerOf.get(key);
    if (before !== undefined) {
      touched.add(before);
      const siblings = this.#slices.get(before);
      siblings?.delete(key);
      if (siblings?.size === 0) this.#slices.delete(before);
      this.#ownerOf.delete(key);
    }
    if (!slice) return;
    touched.add(slice.service);
    this.#ownerOf.set(key, slice.service);
    this.#slices.set(slice.service, (this.#slices.get(slice.service) ?? new Map()).set(key, slice));
  }

  #name(key: string): void {
    const at = key.indexOf('/');
    const [namespace, name] = [key.slice(0, at), key.slice(at + 1)];
    const siblings = this.#names.get(namespace) ?? new Map<string, ServiceNames>();
    for (const { address, host } of siblings.get(name)?.reverse ?? []) {
      const names = this.#reverse.get(address);
      names?.delete(this.#serviceName(namespace, name, host));
      if (names?.size === 0) this.#reverse.delete(address);
    }
    const service = this.#services.get(key);
    if (!service) {
      siblings.delete(name);
      if (siblings.size === 0) this.#names.delete(namespace);
      return;
    }
    const names = namesOf(service, this.#slices.get(key)?.values() ?? []);
    this.#names.set(namespace, siblings.set(name, names));
    for (const { address, host } of names.reverse) {
      const called = this.#reverse.get(address) ?? new Set();
      this.#reverse.set(address, called.add(this.#serviceName(namespace, name, host)));
    }
  }

  #setPod(key: string, pod: NamedPod | undefined): void {
    const count = ({ namespace, addresses }: NamedPod, difference: number) => {
      for (const address of addresses) {
        const place = `${namespace}/${address}`;
        const left = (this.#podAddresses.get(place) ?? 0) + difference;
        if (left > 0) this.#podAddresses.set(place, left);
        else this.#podAddresses.delete(place);
      }
    };
    const before = this.#pods.get(key);
    if (before) count(before, -1);
    this.#pods.delete(key);
    if (!pod) return;
    this.#pods.set(key, pod);
    count(pod, 1);
  }

  #serviceName(namespace: string, name: string, host: string | undefined): string {
    return `${host === undefined ? '' : `${host}.`}${name}.${namespace}.svc.${this.#domain}`;
  }

  /**
   * All records of a name below the domain, the wanted ones and others; undefined: there is no such name.
   * @param path labels without the domain
   */
  #inCluster(path: Labels, name: string): Records | undefined {
    const tree = path.at(-1);
    const above = path.slice(0, -1);
    switch (tree) {
      case undefined:
        return this.#apex(name);
      case 'svc':
        return this.#inServices(above, name);
      case 'pod':
        return this.#inPods(above, name);
      case 'dns':
        if (above.length === 0) return empty;
        return above.length === 1 && above[0] === 'ns'
          ? { answers: this.#addressRecords(name, this.#nameServers) }
          : undefined;
      case 'dns-version':
        return above.length === 0
          ? { answers: [txtRecord(name, SCHEMA_VERSION, this.#settings.ttl)] }
          : undefined;
      default:
        return undefined;
    }
  }

  #apex(name: string): Records {
    const server = `ns.dns.${this.#domain}`;
    return {
      answers: [this.#authority(name), nsRecord(name, server, this.#settings.ttl)],
      additionals: (type) => (type === TYPE.NS ? this.#addressRecords(server, this.#nameServers) : []),
    };
  }

  #inServices(path: Labels, name: string): Records | undefined {
    const [serviceLabel, namespace] = [path.at(-2), path.at(-1)];
    if (namespace === undefined) return empty;
    if (!this.#hasNamespace(namespace)) return undefined;
    if (serviceLabel === undefined) return empty;
    const names = this.#names.get(namespace)?.get(serviceLabel);
    if (!names || names.isVoid) return undefined;
    const above = path.slice(0, -2);
    if (above.length === 0) {
      return names.alias === undefined
        ? { answers: this.#addressRecords(name, names.addresses) }
        : { answers: [], alias: names.alias };
    }
    const [first = '', second] = above;
    if (second === undefined) {
      if (names.ports.has(first)) return empty;
      const addresses = names.hosts.get(first);
      return addresses && { answers: this.#addressRecords(name, addresses) };
    }
    const targets = above.length === 2 ? names.ports.get(second)?.get(first) : undefined;
    if (!targets) return undefined;
    const { ttl } = this.#settings;
    // Of equal priority and weight, as far as a weight can tell it (RFC 2782).
    const weight = Math.max(1, Math.floor(100 / targets.length));
    const hostName = (host: string | undefined) => this.#serviceName(namespace, serviceLabel, host);
    return {
      answers: this.#inTurn(targets).map(({ port, host }) =>
        srvRecord(name, port, hostName(host), weight, ttl),
      ),
      additionals: () =>
        [...new Set(targets.map(({ host }) => host))].flatMap((host) =>
          this.#addressRecords(
            hostName(host),
            host === undefined ? names.addresses : (names.hosts.get(host) ?? { 4: [], 6: [] }),
          ),
        ),
    };
  }

  #inPods(path: Labels, name: string): Records | undefined {
    const namespace = path.at(-1);
    const { pods, ttl } = this.#settings;
    if (namespace === undefined) return empty;
    if (!this.#hasNamespace(namespace)) return undefined;
    const [label] = path.slice(0, -1);
    if (label === undefined) return empty;
    const address = path.length === 2 && pods !== 'none' ? parseDashed(label) : undefined;
    if (!address) return undefined;
    if (pods === 'existing' && !this.#podAddresses.has(`${namespace}/${address.text}`)) return undefined;
    return { answers: [addressRecord(name, address.family, address.text, ttl)] };
  }

  #inReverse({ address, bits }: Reverse, name: string, type: number): Found {
    const { ttl, blocks } = this.#settings;
    const names = bits === 128 ? this.#reverse.get(address.text) : undefined;
    const block = blocks.find(
      (one) => one.bits <= bits && contains(one, address) && sameFamily(one, address),
    );
    if (!names && !block) return foreign;
    const zone = block ? reverseZone(block, address).join('.') : name;
    const server = `ns.dns.${this.#domain}`;
    const found: Records | undefined =
      name === zone && !names
        ? { answers: [this.#authority(name), nsRecord(name, server, ttl)] }
        : names
          ? { answers: this.#inTurn([...names]).map((one) => ptrRecord(name, one, ttl)) }
          : bits < 128
            ? empty
            : undefined;
    return this.#narrow(found, name, type, zone);
  }

  #narrow(found: Records | undefined, name: string, type: number, zone: string): Found {
    if (found?.alias !== undefined) {
      const record = cnameRecord(name, found.alias, this.#settings.ttl);
      return { kind: 'alias', record, target: found.alias };
    }
    if (found && type === TYPE.ANY && found.answers.length > 0)
      return { kind: 'records', answers: [anyRecord(name, this.#settings.ttl)], additionals: [] };
    const answers = found?.answers.filter((record) => record.type === type) ?? [];
    if (found && answers.length > 0)
      return { kind: 'records', answers, additionals: found.additionals?.(type) ?? [] };
    return { kind: 'nothing', exists: found !== undefined, authority: this.#authority(zone) };
  }

  #authority(zone: string): Resource {
    const { ttl } = this.#settings;
    return soaRecord(zone, `ns.dns.${this.#domain}`, `hostmaster.${this.#domain}`, this.#serial, ttl);
  }

  #hasNamespace(name: string): boolean {
    return this.#namespaces.has(name) || this.#names.has(name);
  }

  #addressRecords(name: string, addresses: Addresses): Resource[] {
    const { ttl } = this.#settings;
    return [
      ...this.#inTurn(addresses[4]).map((address) => addressRecord(name, 4, address, ttl)),
      ...this.#inTurn(addresses[6]).map((address) => addressRecord(name, 6, address, ttl)),
    ];
  }

  /** Clients take the first: each comes first in its turn. */
  #inTurn<T>(list: readonly T[]): readonly T[] {
    if (list.length < 2) return list;
    const first = this.#turn % list.length;
    return [...list.slice(first), ...list.slice(0, first)];
  }
}

/** What there is at a name. */
interface Records {
  readonly answers: readonly Resource[];
  readonly alias?: string;
  /** What a client is going to ask next. */
  readonly additionals?: (type: number) => readonly Resource[];
}

const empty: Records = { answers: [] };

const sameFamily = ({ address }: Prefix, { family }: { family: 4 | 6 }) => address.family === family;

/** Addresses by family. */
export const addressesByFamily = (texts: readonly string[]): Addresses => {
  const parsed = texts.flatMap((text) => parseAddress(text) ?? []);
  const of = (family: 4 | 6) => parsed.filter((one) => one.family === family).map(({ text }) => text);
  return { 4: of(4), 6: of(6) };
};
