// The names of one Service (Kubernetes DNS-Based Service Discovery 1.1.0 §2.3 to §2.5). Pure.
import { isIPv4 } from 'node:net';
import { lowerCase } from './names.ts';
import type { NamedService, NamedSlice } from './objects.ts';

export interface Addresses {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

/** What a SRV record leads to. */
interface Target {
  readonly port: number;
  /** Of an endpoint; undefined: the Service itself. */
  readonly host: string | undefined;
}

export interface ServiceNames {
  /** ExternalName; undefined: it has addresses. */
  readonly alias: string | undefined;
  /** Headless without ready endpoints: nothing has its name (§2.4.1). */
  readonly isVoid: boolean;
  readonly addresses: Addresses;
  /** By hostname of endpoint. */
  readonly hosts: ReadonlyMap<string, Addresses>;
  /** By protocol and then by port, each in a label: `_tcp`, `_http`. */
  readonly ports: ReadonlyMap<string, ReadonlyMap<string, readonly Target[]>>;
  /** Addresses and what they are called back; no host: the Service itself. */
  readonly reverse: readonly { readonly address: string; readonly host: string | undefined }[];
}

interface PortOf extends Target {
  readonly name: string;
  readonly protocol: string;
}

const none: Addresses = { 4: [], 6: [] };

/** @param slices of the Service */
export function namesOf(service: NamedService, slices: Iterable<NamedSlice>): ServiceNames {
  switch (service.kind) {
    case 'external':
      return { ...nothing, alias: service.target.replace(/\.$/, '') };
    case 'cluster-ip':
      return {
        ...nothing,
        addresses: byFamily(service.addresses),
        ports: portsOf(service.ports.map((port) => ({ ...port, host: undefined }))),
        reverse: service.addresses.map((address) => ({ address, host: undefined })),
      };
    case 'headless':
      return headless(service, [...slices]);
  }
}

const nothing: ServiceNames = {
  alias: undefined,
  isVoid: false,
  addresses: none,
  hosts: new Map(),
  ports: new Map(),
  reverse: [],
};

function headless({ isEveryEndpointReady }: NamedService, slices: readonly NamedSlice[]): ServiceNames {
  const hosts = new Map<string, Set<string>>();
  const targets: PortOf[] = [];
  for (const { ports, endpoints } of slices) {
    for (const { address, hostname, ready } of endpoints) {
      if (!ready && !isEveryEndpointReady) continue;
      const host = lowerCase(hostname);
      hosts.set(host, (hosts.get(host) ?? new Set()).add(address));
      for (const port of ports) targets.push({ ...port, host });
    }
  }
  const all = new Set([...hosts.values()].flatMap((addresses) => [...addresses]));
  return {
    ...nothing,
    isVoid: all.size === 0,
    addresses: byFamily(all),
    hosts: new Map([...hosts].map(([host, addresses]) => [host, byFamily(addresses)])),
    ports: portsOf(targets),
    reverse: [...hosts].flatMap(([host, addresses]) => [...addresses].map((address) => ({ address, host }))),
  };
}

/** Slices may tell of an endpoint twice, and those of two families tell of a host each. */
function portsOf(ports: readonly PortOf[]): ServiceNames['ports'] {
  const protocols = new Map<string, Map<string, Map<string, Target>>>();
  for (const { name, protocol, port, host } of ports) {
    const names = entry(protocols, `_${lowerCase(protocol)}`, () => new Map());
    const targets = entry(names, `_${lowerCase(name)}`, () => new Map<string, Target>());
    targets.set(`${port} ${host ?? ''}`, { port, host });
  }
  return new Map(
    [...protocols].map(([protocol, names]) => [
      protocol,
      new Map([...names].map(([name, targets]) => [name, [...targets.values()]])),
    ]),
  );
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function byFamily(addresses: Iterable<string>): Addresses {
  const list = [...addresses].sort();
  return { 4: list.filter(isIPv4), 6: list.filter((address) => !isIPv4(address)) };
}
