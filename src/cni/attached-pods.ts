// What the ledger says of the pods of this node, as the cluster state takes it.
import type { Config } from '../config/schema.ts';
import type { Attached, AttachedPod } from '../control/pods.ts';
import type { Attachment, Ledger } from '../ipam/ledger.ts';
import type { Address } from '../net/address.ts';
import type { HostPortPod } from '../service/host-ports.ts';

export class AttachedPods {
  readonly #config: Config;
  readonly #ledger: Pick<Ledger, 'attachments'>;
  readonly #nodeAddresses: () => readonly Address[];
  #of:
    | { readonly attachments: readonly Attachment[]; readonly nodeAddresses: readonly Address[] }
    | undefined;
  #attached: Attached = { pods: [], admitUnknown: false };

  /** @param nodeAddresses that this host has; another array after each change */
  constructor(config: Config, ledger: Pick<Ledger, 'attachments'>, nodeAddresses: () => readonly Address[]) {
    this.#config = config;
    this.#ledger = ledger;
    this.#nodeAddresses = nodeAddresses;
  }

  /** The same object until something changes. */
  get attached(): Attached {
    const { attachments } = this.#ledger;
    const nodeAddresses = this.#nodeAddresses();
    if (this.#of?.attachments !== attachments || this.#of.nodeAddresses !== nodeAddresses) {
      this.#of = { attachments, nodeAddresses };
      this.#attached = {
        pods: attachments.map((one) => this.#pod(one)),
        admitUnknown: this.#config.cni.unknownPods === 'admit',
        hostPorts: { pods: withHostPorts(attachments), addresses: nodeAddresses },
      };
    }
    return this.#attached;
  }

  #pod({ namespace, pod, uid, addresses }: Attachment): AttachedPod {
    return { namespace, name: pod, uid, node: this.#config.node, addresses };
  }
}

/** Of several attachments of one pod the last counts: the others are being taken away. */
function withHostPorts(attachments: readonly Attachment[]): HostPortPod[] {
  const last = new Map(attachments.map((one) => [`${one.namespace}/${one.pod}`, one]));
  return [...last].flatMap(([key, { addresses, hostPorts }]) =>
    hostPorts.length === 0 ? [] : [{ key, addresses, hostPorts }],
  );
}
