// Configuration of a node daemon: the fields, their limits and their defaults. docs/configuration.md explains each.
import { z } from 'zod';
import { FIRST_CLIENT_PORT } from '../../asm/layout/flows.ts';
import { MAX_QUEUES, MAX_SOCKETS, MAX_TUNNELS, MAX_WORKERS } from '../../asm/layout/memory.ts';
import { address } from '../net/address.ts';
import { contains, prefix } from '../net/prefix.ts';
import {
  addressField,
  integer,
  macField,
  nameField,
  pathField,
  portField,
  portRangeField,
  prefixField,
  serverField,
} from './fields.ts';

export const encapsulationField = z.enum(['geneve', 'vxlan', 'ipip']);
const vniField = integer(0, 0xffffff);
const seconds = (least: number, most: number) => integer(least, most);
const offload = z.enum(['auto', 'off']).default('auto');

const uniqueFamilies = (addresses: readonly { family: 4 | 6 }[]) =>
  new Set(addresses.map(({ family }) => family)).size === addresses.length;

const urlField = z.url({ protocol: /^https?$/, error: 'must be a URL such as https://192.0.2.10:2379' });

/** Files of PEM. */
const clientTls = z
  .strictObject({
    /** Whose certificates servers must have; otherwise whom this host trusts. */
    ca: pathField.optional(),
    cert: pathField.optional(),
    key: pathField.optional(),
  })
  .refine(
    ({ cert, key }) => (cert === undefined) === (key === undefined),
    'must have both cert and key, or none',
  );

const etcdStore = z
  .strictObject({
    type: z.literal('etcd'),
    endpoints: z.array(urlField).min(1, 'must name at least one server'),
    /** Before all keys. */
    prefix: z
      .string()
      .regex(/^(\/[-\w.]+)+$/, 'must be a path such as /overweft')
      .default('/overweft'),
    tls: clientTls.prefault({}),
    user: z.string().min(1).optional(),
    passwordFile: pathField.optional(),
    /** Seconds after which a daemon that has gone without a word no longer counts as there. */
    lease: seconds(5, 3600).default(30),
  })
  .refine(
    ({ user, passwordFile }) => (user === undefined) === (passwordFile === undefined),
    'must have both user and passwordFile, or none',
  );

const kubernetesStore = z.strictObject({
  type: z.literal('kubernetes'),
  /** Otherwise as a pod of the cluster is told. */
  kubeconfig: pathField.optional(),
  /** Where the API server is, whatever these say. */
  server: urlField.optional(),
});

const store = z.discriminatedUnion(
  'type',
  [z.strictObject({ type: z.literal('file'), directory: pathField }), etcdStore, kubernetesStore],
  { error: 'must have type "file", "etcd" or "kubernetes"' },
);

const underlay = z.strictObject({
  /** At most one of each family; none: found at this host (src/underlay). */
  addresses: z
    .array(addressField, { error: "must be a list of this node's own addresses" })
    .refine(uniqueFamilies, 'must name at most one address of each family')
    .default([]),
  /** Outer family towards peers that have both. */
  family: z.enum(['ipv4', 'ipv6']).default('ipv4'),
  /** Device to which the sockets are bound, by name or by a pattern with `*` and `?`; otherwise the kernel's routes decide. */
  interface: z
    .string()
    .regex(/^[^/:\s]{1,15}$/, 'must be an interface name such as eth0, or a pattern such as eth*')
    .optional(),
  dscp: integer(0, 63).default(0),
  ttl: integer(1, 255).default(64),
  /** UDP checksum of what is sent. */
  outerChecksum: z.boolean().default(true),
  /** Take datagrams without UDP checksum over IPv6 (RFC 6935, RFC 6936). */
  acceptZeroChecksumIPv6: z.boolean().default(false),
  /** Sockets to send from, each with a source port of its own. */
  entropyPorts: integer(1, MAX_SOCKETS / 4)
    .refine((count) => (count & (count - 1)) === 0, 'must be a power of two')
    .default(32),
  bufferBytes: integer(65536, 1 << 30).default(8 << 20),
});

const geneveOption = z.strictObject({
  class: integer(0, 0xffff),
  type: integer(0, 0x7f),
  critical: z.boolean().default(false),
  /** Hexadecimal, whole words of four bytes. */
  data: z
    .string()
    .regex(/^([0-9a-fA-F]{8})*$/, 'must be hexadecimal in whole words of four bytes (8 digits each)')
    .default(''),
});

const geneve = z.strictObject({
  payload: z.enum(['ethernet', 'ip']).default('ethernet'),
  options: z
    .array(geneveOption)
    .default([])
    .refine(
      (options) => options.reduce((sum, { data }) => sum + 4 + data.length / 2, 0) <= 64,
      'must take at most 64 bytes in all (4 and the data of each option)',
    ),
});

const podNetwork = z.strictObject({
  /** Every address that can be a pod's, on any node. */
  clusterCIDRs: z
    .array(prefixField)
    .min(1)
    .max(16)
    .default(() => defaultPrefixes('10.244.0.0/16', 'fd00:244::/32')),
  /** Every address that can be a Service's cluster IP. */
  serviceCIDRs: z.array(prefixField).max(16).default([]),
  /** This node's share, where its Node object does not say. */
  podCIDRs: z.array(prefixField).max(2).optional(),
  routerMAC: macField.optional(),
  /** Table for routes from this node to pods; the next one serves forwarded packets. */
  routeTable: integer(1, 0x7ffffffe).default(24_401),
  /** Preference of the rules that lead there; the next one serves forwarded packets. */
  rulePreference: integer(1, 32_764).default(4_401),
});

const masquerade = z.strictObject({
  enabled: z.boolean().default(true),
  /** Destinations outside the cluster that see the pod's own address. */
  exceptCIDRs: z.array(prefixField).default([]),
  /** `auto`: devices that lead outside forward, where the host as a whole does not. */
  forwarding: z.enum(['auto', 'off']).default('auto'),
});

const loadBalancer = z.strictObject({
  /** Addresses of LoadBalancer Services that the nodes announce on the local network. */
  pools: z.array(prefixField).default([]),
  /** Device on which they are announced; otherwise the one whose network they belong to, or the underlay's. */
  interface: z.string().min(1).max(15).optional(),
});

const services = z.strictObject({
  /** What the data path puts in place of clients' ports; the node's own processes should have others. */
  sourcePorts: portRangeField(FIRST_CLIENT_PORT, 64).prefault('61000-65535'),
});

const peer = z.strictObject({
  name: nameField,
  addresses: z.array(addressField).min(1, 'must name at least one outer address'),
  podCIDRs: z.array(prefixField).default([]),
  routerMAC: macField.optional(),
  encapsulation: encapsulationField.optional(),
  vni: vniField.optional(),
  /** Pod network address that answers pings, for liveness. */
  probe: addressField.optional(),
});

/** Memory that is not used is never touched, so the defaults are for the largest clusters that Kubernetes supports. */
const tables = z.strictObject({
  endpoints: integer(16, 1 << 20).default(1 << 19),
  routes: integer(16, 1 << 18).default(32_768),
  cidrs: integer(16, 1 << 18).default(16_384),
  tunnels: integer(1, MAX_TUNNELS).default(MAX_TUNNELS),
  flows: integer(1_024, 1 << 22).default(131_072),
  /** Addresses and ports of Services, each cluster IP once more. */
  frontends: integer(16, 1 << 20).default(1 << 16),
  serviceBytes: integer(65_536, 1 << 29).default(64 << 20),
  policyBytes: integer(65_536, 1 << 29).default(64 << 20),
});

const offloads = z.strictObject({
  tso: offload,
  uso: offload,
  udpSegment: offload,
  udpGro: offload,
  coalesce: offload,
  /** `on`: even where the underlay's device would not split superframes itself. */
  tunnelGso: z.enum(['auto', 'on', 'off']).default('auto'),
});

const cni = z.strictObject({
  /** A pod that the store does not know: refused until it does, or a pod without labels where nobody describes pods. */
  unknownPods: z.enum(['refuse', 'admit']).default('refuse'),
  /** Seconds for which a released address is not handed out again. */
  quarantine: seconds(0, 86_400).default(30),
  /** Where runtimes look for network configurations: the daemon writes its own there when it is ready. */
  confDirectory: pathField.optional(),
});

const polling = z.strictObject({
  /** Microseconds that a worker looks again and again before it sleeps, while packets come as fast; 0: never. */
  spin: integer(0, 1000).default(50),
});

const liveness = z.strictObject({
  enabled: z.boolean().default(true),
  /** Seconds. */
  interval: seconds(1, 3600).default(2),
  timeout: seconds(1, 86_400).default(10),
});

const pathMTU = z.strictObject({
  enabled: z.boolean().default(true),
  /** Seconds between two looks at a path. */
  interval: seconds(5, 86_400).default(300),
});

/** Packets of pods to these are dropped. */
const unaskable = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'fe80::/10', 'ff00::/8'].map(prefix);

const dnsCache = z.strictObject({
  /** Answers. */
  entries: integer(0, 1 << 20).default(10_000),
  /** Seconds. */
  longest: seconds(0, 604_800).default(3600),
  longestNegative: seconds(0, 10_800).default(300),
});

const dns = z.strictObject({
  /** The cluster's domain. */
  domain: z
    .string()
    .regex(
      /^(?=.{1,200}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/,
      'must be a domain of lower-case labels such as cluster.local',
    )
    .default('cluster.local'),
  /** Where pods and the node ask; they belong to this node alone, and every node may have the same. */
  addresses: z
    .array(addressField)
    .max(8)
    .default(() => [address('169.254.20.10'), address('fd00:169:254:20::10')])
    .refine(
      (list) => !list.some((one) => unaskable.some((block) => contains(block, one))),
      'must be addresses that a pod can ask: none that is unspecified, loopback, multicast or IPv6 link-local',
    ),
  port: portField.default(53),
  /** Whose cluster IPs are asked here, too. */
  service: z
    .string()
    .regex(/^([-a-z0-9.]+\/[-a-z0-9]+|none)$/, 'must be namespace/name of a Service, or none')
    .default('kube-system/kube-dns'),
  /** Undefined: those of the host's resolv.conf. */
  upstreams: z.array(serverField).max(16).optional(),
  /** What `a-b-c-d.NAMESPACE.pod` stands for: any address, one that a pod there has, or nothing. */
  pods: z.enum(['any', 'existing', 'none']).default('any'),
  /** Seconds. */
  ttl: seconds(0, 3600).default(5),
  cache: dnsCache.prefault({}),
});

export const configSchema = z.strictObject({
  node: nameField,
  runDirectory: pathField.default('/run/overweft'),
  store,
  encapsulation: encapsulationField.default('geneve'),
  /** `subnet`: no encapsulation to peers on a subnet of the underlay's device that want it, too. */
  direct: z.enum(['off', 'subnet']).default('off'),
  /** Kept open beside it, for peers that it does not reach. */
  fallbackEncapsulations: z.array(encapsulationField).default([]),
  vni: vniField.default(1),
  ports: z.strictObject({ vxlan: portField.default(4789), geneve: portField.default(6081) }).prefault({}),
  geneve: geneve.prefault({}),
  underlay: underlay.prefault({}),
  podNetwork: podNetwork.prefault({}),
  masquerade: masquerade.prefault({}),
  services: services.prefault({}),
  loadBalancer: loadBalancer.prefault({}),
  peers: z
    .array(peer)
    .default([])
    .refine(
      (peers) => new Set(peers.map(({ name }) => name)).size === peers.length,
      'must not name a peer twice',
    ),
  tables: tables.prefault({}),
  workers: integer(1, MAX_WORKERS).default(1),
  /** Of each TAP and on each tunnel's port, for each worker: flows do not wait behind those of another queue. */
  queues: integer(1, MAX_QUEUES)
    .refine((count) => (count & (count - 1)) === 0, 'must be a power of two')
    .default(8),
  offloads: offloads.prefault({}),
  polling: polling.prefault({}),
  liveness: liveness.prefault({}),
  pathMTU: pathMTU.prefault({}),
  cni: cni.prefault({}),
  /** Absent: no resolver. */
  dns: dns.optional(),
  /** Unix socket of the API. */
  api: z.strictObject({ socket: pathField.optional() }).prefault({}),
  /** Additional TCP listener for /metrics, /livez, /readyz and /healthz. */
  metrics: z.strictObject({ address: addressField, port: portField.default(9464) }).optional(),
  /** Additional TCP listener for the last three alone, where kube-proxy has them. */
  health: z
    .strictObject({
      address: addressField.prefault('127.0.0.1'),
      port: portField.default(10_256),
    })
    .optional(),
  /** Connections as JSON lines. */
  flowLog: z.strictObject({ file: pathField }).optional(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

/** A validated configuration, defaults filled in. */
export type Config = z.output<typeof configSchema>;
export type KubernetesConfig = z.output<typeof kubernetesStore>;
export type EtcdConfig = z.output<typeof etcdStore>;
export type Encapsulation = z.output<typeof encapsulationField>;

function defaultPrefixes(...texts: string[]) {
  return texts.map((text) => prefixField.parse(text));
}
