// Many connections, whose entries are had at hand before they are looked up, and entries that say what cannot be.
import { describe, expect, it } from 'vitest';
import {
  FLOW_FLAG_FRONT,
  FLOW_FLAGS,
  FLOW_SIZE,
  FLOW_TAGS_SIZE,
  FLOW_WAYS,
  FLOWS_HEADER_SIZE,
  FLOWS_MASK,
  FRONT_TRANSLATION,
  TRANSLATION_TWIN,
} from '../../../asm/layout/flows.ts';
import { CONTROL_FLOWS } from '../../../asm/layout/memory.ts';
import { STAT_FLOW_HITS } from '../../../asm/layout/tables.ts';
import { udpPacket } from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod } from '../cluster.ts';
import { fate, type TestNode } from '../harness.ts';
import { families, ready, sent, VIP, withWeb } from '../services.ts';

const CONNECTIONS = 4_000;

describe.each(families)('connections over IPv%i', (family) => {
  const client = pod(family, 1, 2);
  const endpoint = pod(family, 2, 2);

  it('are found again among thousands, in both directions', () => {
    const node = nodeOf(1, {}, { flowBuckets: 2_048 });
    const out = (n: number) => udpPacket({ src: client, dst: endpoint }, { sport: 20_000 + n, dport: 53 });
    const back = (n: number) => udpPacket({ src: endpoint, dst: client }, { sport: 53, dport: 20_000 + n });
    const all = Array.from({ length: CONNECTIONS }, (_, n) => n);
    for (const n of all) node.egress(fromPod(1, 2, out(n)));
    for (const n of all) expect(node.ingress(fromPeer(1, back(n))).verdicts).toEqual({ Forward: 1 });
    let hits = 0;
    for (const n of all) hits += node.egress(fromPod(1, 2, out(n))).stats[STAT_FLOW_HITS] ?? 0;
    expect(hits).toBe(CONNECTIONS);
  });

  it('to a Service do without a flow that cannot be where the front says', () => {
    for (const twin of [0xffff_ffff, 0x7fff_ffff, 0x0100_0000, 1, 4096, 6145]) {
      const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
      const packet = udpPacket({ src: client, dst: VIP[family] }, { sport: 40_000, dport: 53 });
      sent(node, packet);
      for (const front of frontsOf(node))
        node.view.setUint32(front + FRONT_TRANSLATION + TRANSLATION_TWIN, twin, true);
      expect(fate(node.egress(fromPod(1, 2, packet)))).toBe('Forward');
    }
  });
});

/** Offsets of all fronts in the table. */
function frontsOf({ view }: TestNode): number[] {
  const flows = view.getUint32(CONTROL_FLOWS, true);
  const buckets = view.getUint32(flows + FLOWS_MASK, true) + 1;
  const entries = flows + FLOWS_HEADER_SIZE + buckets * FLOW_TAGS_SIZE;
  return Array.from({ length: buckets * FLOW_WAYS }, (_, i) => entries + i * FLOW_SIZE).filter(
    (entry) => view.getUint16(entry + FLOW_FLAGS, true) & FLOW_FLAG_FRONT,
  );
}
