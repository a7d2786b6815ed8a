// The Services of a cluster, ready to be asked without a daemon: what each is at a node, and where a client would go.
import { z } from 'zod';
import { integer } from '../config/fields.ts';
import { issuesOf } from '../config/issues.ts';
import { changesBetween } from '../control/changes.ts';
import { type Cluster, clusterOf } from '../control/cluster.ts';
import type { Objects } from '../control/objects.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { type End, Ends } from '../policy/ends.ts';
import { type CompiledService, ServiceCompiler } from './compile.ts';
import { type Connection, type Decision, decide, type Origin } from './decide.ts';
import { declaredHostPorts } from './declared-host-ports.ts';
import { passedTexts } from './ports.ts';

const probeSchema = z.object({
  from: z.string({ error: 'must be an IP address or NAMESPACE/POD' }),
  to: z.string({ error: 'must be an IP address or NAMESPACE/SERVICE' }),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']),
  port: integer(1, 65535),
  'from-port': integer(1, 65535).nullish(),
  node: z.string().nullish(),
});

/** A connection that is asked about, and the node that decides it. */
export interface ServiceProbe {
  readonly connection: Connection;
  readonly node: string;
  /** As they were named. */
  readonly from: string;
  readonly to: string;
}

export interface ServiceAnswer {
  readonly decision: Decision;
  readonly compiler: ServiceCompiler;
}

export class ServiceOracle {
  readonly #objects: Objects;
  readonly #cluster: Cluster;
  readonly #ends: Ends;
  readonly #compilers = new Map<string, ServiceCompiler>();

  constructor(objects: Objects) {
    this.#objects = objects;
    this.#cluster = clusterOf(objects);
    this.#ends = new Ends(objects, this.#cluster);
  }

  /**
   * @param name undefined: the only one
   * @throws Error that names the nodes there are
   */
  node(name: string | undefined): string {
    const names = this.#cluster.nodes.map((node) => node.name);
    const known =
      names.length === 0 ? 'the manifests have no Node' : `the manifests have ${names.join(', ')}`;
    if (name === undefined) {
      const [first] = names;
      if (first !== undefined && names.length === 1) return first;
      throw new Error(`node is missing: which node decides? ${known}`);
    }
    if (!names.includes(name)) throw new Error(`node: there is no Node ${name}: ${known}`);
    return name;
  }

  /** Every Service as a node has it. */
  at(node: string): ServiceCompiler {
    const known = this.#compilers.get(node);
    if (known) return known;
    const compiler = new ServiceCompiler(node);
    compiler.apply(
      changesBetween(undefined, this.#objects),
      this.#cluster.nodes.find(({ name }) => name === node),
      declaredHostPorts(this.#objects, this.#cluster, node),
    );
    this.#compilers.set(node, compiler);
    return compiler;
  }

  /**
   * @param value `{from, to, protocol, port, from-port, node}` as it came in
   * @throws Error whose message has a line for each fault, beginning with the field
   */
  probe(value: unknown): ServiceProbe {
    const result = probeSchema.safeParse(value);
    if (!result.success) {
      const faults = issuesOf(result.error);
      throw new Error(faults.map(({ path, message }) => (path ? `${path}: ` : '') + message).join('\n'));
    }
    const { from, to, protocol, port, 'from-port': clientPort, node: named } = result.data;
    const end = this.#end(from);
    const addresses = end.pod?.addresses ?? [end.address];
    const target = parseAddress(to) ?? this.#clusterIP(to, addresses);
    const client = addresses.find(({ family }) => family === target.family);
    if (!client) throw new Error(`from: ${end.text} has no IPv${target.family} address`);
    const node = this.node(named ?? this.#owner(target) ?? end.pod?.node ?? end.node);
    const origin: Origin = end.pod ? 'pod' : end.node === node ? 'node' : 'outside';
    return {
      connection: { client, origin, clientPort: clientPort ?? undefined, to: target, port, protocol },
      node,
      from: end.text,
      to,
    };
  }

  ask({ connection, node }: ServiceProbe): ServiceAnswer {
    const compiler = this.at(node);
    return { decision: decide(compiler, connection), compiler };
  }

  #end(from: string): End {
    try {
      return this.#ends.find(from);
    } catch (error) {
      throw new Error(`from: ${(error as Error).message}`);
    }
  }

  /** Node whose own address it is. */
  #owner({ text }: Address): string | undefined {
    return this.#cluster.nodes.find(({ statusAddresses }) => statusAddresses.some((one) => one.text === text))
      ?.name;
  }

  /** The first of a family that the client has, or the first. */
  #clusterIP(key: string, clients: readonly Address[]): Address {
    if (!key.includes('/')) throw new Error(`to: "${key}" is neither an IP address nor NAMESPACE/SERVICE`);
    // Cluster IPs are the same at every node.
    const service = this.at(this.#cluster.nodes[0]?.name ?? '').services.get(key);
    if (!service) throw new Error(`to: there is no Service ${key} in the manifests`);
    if (service.passed) throw new Error(`to: Service ${key} has no address: ${passedTexts[service.passed]}`);
    const all = clusterIPs(service);
    const address = all.find(({ family }) => clients.some((client) => client.family === family)) ?? all[0];
    if (!address) throw new Error(`to: Service ${key} has no ports`);
    return address;
  }
}

const clusterIPs = ({ ports }: CompiledService): Address[] =>
  ports.flatMap(({ frontends }) =>
    frontends.filter(({ kind }) => kind === 'cluster-ip').map(({ address }) => address),
  );
