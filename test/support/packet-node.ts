// Node 1 of a cluster, from its manifests to its tables, and packets that its TAPs receive.
import { WORKER_PACKETS } from '../../asm/layout/memory.ts';
import { PACKET_VERDICT } from '../../asm/layout/packet.ts';
import { workerBase } from '../../src/dataplane/memory.ts';
import { verdictNames } from '../../src/dataplane/statistics.ts';
import { formatMac } from '../../src/net/mac.ts';
import { type ReplayNode, startNode } from '../../src/replay/node.ts';
import { takeFrame } from '../../src/replay/take-frame.ts';
import { desiredFrom } from './cluster.ts';
import { loadConfigText } from './configuration.ts';
import { ethernet, vnet } from './packets.ts';

const NAME = 'node-1';
const config = { ...loadConfigText(NAME, { tables: { flows: 1024 } }), workers: 1 };

export class PacketNode {
  readonly #node: ReplayNode;

  private constructor(node: ReplayNode) {
    this.#node = node;
  }

  /** @param before the same node under other manifests: its connections go on */
  static async with(objects: readonly object[], before?: PacketNode): Promise<PacketNode> {
    const options = { mtu: 1450, before: before === undefined ? undefined : before.#node };
    return new PacketNode(await startNode(config, desiredFrom(objects, NAME), options));
  }

  /**
   * @param from `namespace/name` of a pod, `node` for the node's own processes, `forward` for what its kernel forwards
   * @returns the packet's fate by name
   */
  send(from: string, packet: Uint8Array): string {
    const { ports, desired, memory } = this.#node;
    const port = ports.find(({ kind, pod }) => (kind === 'pod' ? pod : kind) === from);
    if (!port) throw new Error(`${from} has no port`);
    const frame = ethernet({ dst: formatMac(desired.node.routerMac), src: formatMac(port.mac) }, packet);
    takeFrame(this.#node, port.slot, vnet(), frame);
    return verdictNames[memory.view.getUint32(workerBase(0) + WORKER_PACKETS + PACKET_VERDICT, true)] ?? '';
  }
}
