import type { CapturedPacket } from '../capture-file/packet.ts';
import { type Decoded, readDecoded } from './decoded.ts';
import { Inspector, type TunnelPorts } from './inspector.ts';
import { loadNode } from './node.ts';
import { SentFile } from './sent-file.ts';
import { NodeWay } from './through-node.ts';

/** Says what packets are, and what becomes of them. */
export interface Decoder extends Disposable {
  readonly decode: (packet: CapturedPacket) => Decoded;
}

/** Verdicts say whether packets are well formed. */
export function plainDecoder(ports: TunnelPorts): Decoder {
  const inspector = new Inspector(ports);
  return { decode: (packet) => readDecoded(inspector.inspect(packet)), [Symbol.dispose]: () => {} };
}

/**
 * Verdicts are those of a node, for what concerns it.
 * @param config its daemon's configuration file
 * @param manifests directory of the cluster's objects, that of the configuration's own store unless given
 * @param out file for what the node would have sent
 */
export async function nodeDecoder(
  config: string,
  manifests: string | undefined,
  { vxlan, geneve }: TunnelPorts,
  out?: string,
): Promise<Decoder> {
  const node = await loadNode(config, manifests);
  const way = new NodeWay(node);
  const { ports } = node.config;
  const inspector = new Inspector({ vxlan: [...vxlan, ports.vxlan], geneve: [...geneve, ports.geneve] });
  const file = out === undefined ? undefined : new SentFile(out, node.ports);
  return {
    decode: (packet) => {
      const record = inspector.inspect(packet);
      const decoded = readDecoded(record);
      const outcome = way.take(packet, record, decoded);
      if (!outcome) return decoded;
      for (const sent of outcome.sent) file?.write(sent, packet.time);
      return { ...decoded, verdict: outcome.verdict, reason: outcome.reason };
    },
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}
