/**
 * Which frames of the underlay's device the data path takes, as a program of the classic packet filter (Linux
 * Documentation/networking/filter.rst). Pure.
 *
 *     to this host, untagged ─┬─ to a pod of this node ───────────────► taken
 *                             ├─ to this node itself, from a pod ─────► taken
 *                             └─ anything else ───────────────────────► not seen here
 *
 * Of what is taken, the data path leaves to the kernel what does not come from the cluster (asm/stage/direct.ts), and the
 * kernel drops the rest (direct-rules.ts).
 */
import type { Prefix } from '../../net/prefix.ts';

/** Blocks of addresses of both families. */
export interface DirectBlocks {
  /** Pods of this node. */
  readonly ranges: readonly Prefix[];
  /** This node itself. */
  readonly own: readonly Prefix[];
  /** Every pod. */
  readonly pods: readonly Prefix[];
}

/** code, jump if true, jump if false, value. */
type Instruction = readonly [number, number, number, number];

// linux/bpf_common.h, linux/filter.h.
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const PACKET_TYPE = 0xfffff004;
const VLAN_TAG_PRESENT = 0xfffff030;
const PACKET_HOST = 0;

/** Longer than any frame. */
const WHOLE = 0x40000;
const TAKE: Instruction = [RETURN, 0, 0, WHOLE];
const LEAVE: Instruction = [RETURN, 0, 0, 0];

const ETHERTYPE = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** Offsets of the addresses in a frame. */
const SOURCE = { 4: 26, 6: 22 } as const;
const DESTINATION = { 4: 30, 6: 38 } as const;

/** The program as `tcpdump -ddd` prints one: how many instructions, then one a line. */
export function directFilter(blocks: DirectBlocks): string {
  const v6 = ofFamily(6, blocks);
  const program = [
    ...unless(PACKET_TYPE, PACKET_HOST),
    ...unless(VLAN_TAG_PRESENT, 0),
    [LOAD_HALF, 0, 0, ETHERTYPE],
    [JUMP_EQUAL, 0, 1, ETHERTYPE_IPV4],
    [JUMP, 0, 0, 2 + v6.length],
    [JUMP_EQUAL, 1, 0, ETHERTYPE_IPV6],
    LEAVE,
    ...v6,
    ...ofFamily(4, blocks),
  ];
  return [program.length, ...program.map((instruction) => instruction.join(' '))].join('\n');
}

function ofFamily(family: 4 | 6, { ranges, own, pods }: DirectBlocks): Instruction[] {
  const of = (list: readonly Prefix[]) => list.filter(({ address }) => address.family === family);
  const toPods = of(ranges).flatMap((block) => inBlock(DESTINATION[family], block, TAKE));
  const fromPods = [...of(pods).flatMap((block) => inBlock(SOURCE[family], block, TAKE)), LEAVE];
  // From the last block on: each jumps over those behind it and one instruction that leaves.
  let toNode: Instruction[] = [LEAVE];
  for (const block of of(own))
    toNode = [...inBlock(DESTINATION[family], block, [JUMP, 0, 0, toNode.length]), ...toNode];
  return [...toPods, ...toNode, ...fromPods];
}

/** Does `then` where the address at `offset` lies in the block; otherwise goes on behind it. */
function inBlock(offset: number, { address, length }: Prefix, then: Instruction): Instruction[] {
  const bytes = address.bytes.subarray(address.family === 4 ? 12 : 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = Math.ceil(length / 32);
  const program: Instruction[] = [then];
  for (let i = words - 1; i >= 0; i--) {
    const bits = Math.min(32, length - i * 32);
    const mask = (0xffffffff << (32 - bits)) >>> 0;
    program.unshift(
      [LOAD_WORD, 0, 0, offset + i * 4],
      [AND, 0, 0, mask],
      [JUMP_EQUAL, 0, program.length, view.getUint32(i * 4)],
    );
  }
  return program;
}

/** Leaves a frame of which the kernel says anything else. */
const unless = (fact: number, value: number): Instruction[] => [
  [LOAD_WORD, 0, 0, fact],
  [JUMP_EQUAL, 1, 0, value],
  LEAVE,
];
