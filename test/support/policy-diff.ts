import type { CapturedPacket } from '../../src/capture-file/packet.ts';
import { readManifests } from '../../src/control/manifests.ts';
import { type ChangedFlow, PolicyDiff, type Summary } from '../../src/policy/diff/diff.ts';
import { Recorder } from '../../src/policy/diff/recorded.ts';
import { flowJson } from '../../src/policy/diff/text.ts';
import { World } from '../../src/policy/diff/world.ts';
import { wellKnownPorts } from '../../src/replay/inspector.ts';

const RAW = 101;
const FLOWS = 1 << 14;

/** A packet as recorded: its IP packet alone unless a link type says otherwise, whole unless it was longer. */
export interface Sample {
  readonly data: Uint8Array;
  readonly linkType?: number;
  readonly original?: number;
  /** Seconds. */
  readonly time?: number;
}

export interface Comparison {
  readonly flows: readonly ReturnType<typeof flowJson>[];
  readonly summary: Summary;
}

/** The state of a cluster whose objects must be good. */
function worldOf(items: readonly object[]): World {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { objects, faults } = readManifests([{ file: 'all.json', text }]);
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  return new World(objects, FLOWS);
}

/** Takes packets of one capture, named `a`, through both states, `burst` at a time. */
export async function compare(
  before: readonly object[],
  after: readonly object[],
  packets: readonly (Uint8Array | Sample)[],
  { most, burst = packets.length }: { readonly most?: number; readonly burst?: number } = {},
): Promise<Comparison> {
  const diff = new PolicyDiff(worldOf(before), worldOf(after), most);
  const recorder = new Recorder(wellKnownPorts, (address) => diff.isPod(address));
  for (let at = 0; at < packets.length; at += burst) {
    const read = packets.slice(at, at + burst).flatMap((packet, i) => {
      const recorded = recorder.read(captured(packet));
      if (!('unreadable' in recorded)) return [{ ...recorded, file: 'a', n: at + i + 1, length: 0 }];
      diff.skip(recorded.unreadable);
      return [];
    });
    await diff.take(read);
  }
  return { flows: diff.flows.map((flow: ChangedFlow) => flowJson(flow)), summary: diff.summary };
}

function captured(packet: Uint8Array | Sample): CapturedPacket {
  const {
    data,
    linkType = RAW,
    original = data.length,
    time = 0,
  }: Sample = packet instanceof Uint8Array ? { data: packet } : packet;
  return { linkType, data, original, time: BigInt(Math.round(time * 1e9)), comments: [] };
}
