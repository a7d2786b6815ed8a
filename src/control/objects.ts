/**
 * The Kubernetes objects that Overweft reads, as far as it reads them.
 *
 * Fields that it does not use are tolerated, as real objects have many; only policies, Services and EndpointSlices are
 * closed, because an unknown field there would silently change who may talk to whom.
 * https://kubernetes.io/docs/reference/kubernetes-api/
 */
import { z } from 'zod';
import { addressField, integer, prefixField } from '../config/fields.ts';
import { covers } from '../net/prefix.ts';
import { clusterNetworkPolicySpec } from './cluster-network-policy.ts';
import { closedMetadata, metadata, metadataFields, protocolField, tolerated } from './object-fields.ts';
import { nodeAnnotations } from './registration.ts';
import { labelSelector } from './selectors.ts';
import { type EndpointSliceObject, endpointSlice, type ServiceObject, service } from './services.ts';

/** What the API server calls a static pod's mirror; kubelet gives runtimes the annotation as the pod's UID. */
const MIRROR = 'kubernetes.io/config.mirror';

const node = z.looseObject({
  kind: z.literal('Node'),
  apiVersion: z.literal('v1'),
  metadata: metadata.extend({
    annotations: nodeAnnotations.nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
  spec: z
    .looseObject({
      podCIDR: prefixField.nullish(),
      podCIDRs: z.array(prefixField).max(2).nullish(),
      taints: z.array(z.looseObject({ key: z.string() })).nullish(),
    })
    .nullish(),
  status: z
    .looseObject({
      addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })).nullish(),
    })
    .nullish(),
});

const namespace = z.looseObject({ kind: z.literal('Namespace'), apiVersion: z.literal('v1'), metadata });

/** IANA_SVC_NAME, RFC 6335 §5.1. */
const portName = z
  .string()
  .regex(
    /^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/,
    'must be a port name: at most 15 lower-case letters, digits and "-", with a letter',
  );

const containerPort = z.object({
  name: portName.nullish(),
  containerPort: integer(1, 65535),
  protocol: protocolField,
  /** Of the node; 0: none. */
  hostPort: integer(0, 65535).nullish(),
  hostIP: z.string().nullish(),
});

const container = z.object({
  ports: z.array(containerPort).nullish(),
  restartPolicy: z.string().nullish(),
});

/** Of a hundred thousand pods nothing is kept that nobody asks for. */
const pod = z.object({
  kind: z.literal('Pod'),
  apiVersion: z.literal('v1'),
  metadata: z.object({
    ...metadataFields,
    annotations: z.object({ [MIRROR]: z.string().optional() }).nullish(),
  }),
  spec: z
    .object({
      nodeName: z.string().nullish(),
      hostNetwork: z.boolean().nullish(),
      containers: z.array(container).nullish(),
      initContainers: z.array(container).nullish(),
    })
    .nullish(),
  status: z
    .object({
      phase: z.string().nullish(),
      podIP: addressField.nullish(),
      podIPs: z.array(z.object({ ip: addressField })).nullish(),
    })
    .nullish(),
});

const ipBlock = z
  .strictObject({ cidr: prefixField, except: z.array(prefixField).nullish() })
  .superRefine(({ cidr, except }, context) => {
    for (const [i, block] of (except ?? []).entries()) {
      if (covers(cidr, block) && block.bits > cidr.bits) continue;
      context.addIssue({
        code: 'custom',
        path: ['except', i],
        message: `must be a smaller block inside ${cidr.text}`,
      });
    }
  });

const policyPeer = z
  .strictObject({
    podSelector: labelSelector.nullish(),
    namespaceSelector: labelSelector.nullish(),
    ipBlock: ipBlock.nullish(),
  })
  .refine(
    (peer) =>
      peer.ipBlock
        ? !peer.podSelector && !peer.namespaceSelector
        : peer.podSelector || peer.namespaceSelector,
    'must have podSelector, namespaceSelector or both, or ipBlock alone',
  );

const policyPort = z
  .strictObject({
    protocol: protocolField,
    port: z.union([integer(1, 65535), portName], { error: 'must be a port number or a port name' }).nullish(),
    endPort: integer(1, 65535).nullish(),
  })
  .superRefine(({ port, endPort }, context) => {
    if (endPort === null || endPort === undefined) return;
    if (typeof port === 'number' && port <= endPort) return;
    context.addIssue({
      code: 'custom',
      path: ['endPort'],
      message: 'needs a port given as a number that is not greater',
    });
  });

const rule = { ports: z.array(policyPort).nullish() };
const peers = z.array(policyPeer).nullish();

const networkPolicySpec = z.strictObject({
  podSelector: labelSelector.nullish().transform((selector) => selector ?? {}),
  policyTypes: z.array(z.enum(['Ingress', 'Egress'])).nullish(),
  ingress: z.array(z.strictObject({ ...rule, from: peers })).nullish(),
  egress: z.array(z.strictObject({ ...rule, to: peers })).nullish(),
});

const networkPolicy = z.strictObject({
  kind: z.literal('NetworkPolicy'),
  apiVersion: z.literal('networking.k8s.io/v1'),
  metadata: closedMetadata,
  // Absent, it is an empty one: no pod of the namespace may be reached.
  spec: networkPolicySpec.nullish().transform((spec) => spec ?? networkPolicySpec.parse({})),
  status: tolerated,
});

const clusterNetworkPolicy = z.strictObject({
  kind: z.literal('ClusterNetworkPolicy'),
  apiVersion: z.enum(['policy.networking.k8s.io/v1alpha2', 'policy.networking.k8s.io/v1beta1']),
  metadata: closedMetadata,
  spec: clusterNetworkPolicySpec,
  status: tolerated,
});

/** Schema of each kind that is understood. */
export const kinds = {
  Node: node,
  Namespace: namespace,
  Pod: pod,
  NetworkPolicy: networkPolicy,
  ClusterNetworkPolicy: clusterNetworkPolicy,
  Service: service,
  EndpointSlice: endpointSlice,
} as const;

export type Kind = keyof typeof kinds;
export type NodeObject = z.output<typeof node>;
export type NamespaceObject = z.output<typeof namespace>;
export type PodObject = z.output<typeof pod>;
export type NetworkPolicyObject = z.output<typeof networkPolicy>;
export type ClusterNetworkPolicyObject = z.output<typeof clusterNetworkPolicy>;
export type PolicyPeer = z.output<typeof policyPeer>;
export type PolicyPort = z.output<typeof policyPort>;

/** Everything that a store knows at one time. */
export interface Objects {
  readonly nodes: readonly NodeObject[];
  readonly namespaces: readonly NamespaceObject[];
  readonly pods: readonly PodObject[];
  readonly policies: readonly NetworkPolicyObject[];
  readonly clusterPolicies: readonly ClusterNetworkPolicyObject[];
  readonly services: readonly ServiceObject[];
  readonly slices: readonly EndpointSliceObject[];
}

/** Names under which Objects has the kinds. */
export const objectFields = {
  Node: 'nodes',
  Namespace: 'namespaces',
  Pod: 'pods',
  NetworkPolicy: 'policies',
  ClusterNetworkPolicy: 'clusterPolicies',
  Service: 'services',
  EndpointSlice: 'slices',
} as const satisfies Record<Kind, keyof Objects>;

/** Objects by kind. */
export const countsOf = (objects: Objects | undefined): Record<string, number> =>
  Object.fromEntries(
    Object.entries(objectFields).map(([kind, field]) => [kind, objects?.[field].length ?? 0]),
  );

export const mirrorOf = ({ metadata }: PodObject) => metadata.annotations?.[MIRROR];
