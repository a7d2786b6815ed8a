import { DECODED_SIZE } from '../../asm/layout/decoded.ts';
import { TUNNEL_GENEVE, TUNNEL_VXLAN } from '../../asm/layout/tables.ts';
import { MAX_CAPTURED } from '../capture-file/packet.ts';
import { compileDataPath } from '../dataplane/module.ts';

/*
 * The memory of an inspector; no worker's, so it is laid out for this alone:
 *
 *     0         0x10000   0x20000                0x40000
 *     ├ unused ─┼ record ─┼ tunnel kind by port ─┼ packet ─────
 */
const RECORD = 0x10000;
const PORTS = 0x20000;
/** Where in that memory the packet begins; offsets in the record count from the memory's start. */
export const PACKET = 0x40000;
/** The least that the data path declares. */
const PAGES = 64;

/** UDP ports that tell a tunnel. */
export interface TunnelPorts {
  readonly vxlan: readonly number[];
  readonly geneve: readonly number[];
}

/** IANA's ports, and the one of VXLAN before it had one, still flannel's default. */
export const wellKnownPorts: TunnelPorts = { vxlan: [4789, 8472], geneve: [6081] };

/** A packet to be inspected. */
export interface Sample {
  /** LINKTYPE_ value. */
  readonly linkType: number;
  /** At most MAX_CAPTURED bytes. */
  readonly data: Uint8Array;
  /** Bytes on the wire. */
  readonly original: number;
}

/** What the data path wrote about the last packet inspected (asm/layout/decoded.ts draws it). */
export interface DecodedRecord {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** The memory that the record's offsets point into. */
  readonly memory: Buffer;
}

interface InspectExports {
  inspect(
    record: number,
    at: number,
    captured: number,
    original: number,
    linkType: number,
    ports: number,
  ): void;
}

/** The data path's own decoder: the code that live packets meet, in a memory of its own. */
export class Inspector {
  readonly memory: WebAssembly.Memory;
  readonly record: DecodedRecord;
  readonly #exports: InspectExports;

  constructor({ vxlan, geneve }: TunnelPorts = wellKnownPorts, module = compileDataPath()) {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    this.memory = memory;
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    this.#exports = instance.exports as unknown as InspectExports;
    this.record = {
      bytes: Buffer.from(memory.buffer, RECORD, DECODED_SIZE),
      view: new DataView(memory.buffer, RECORD, DECODED_SIZE),
      memory: Buffer.from(memory.buffer),
    };
    for (const port of vxlan) this.record.memory[PORTS + port] = TUNNEL_VXLAN;
    for (const port of geneve) this.record.memory[PORTS + port] = TUNNEL_GENEVE;
  }

  /** Decodes a packet. The record is overwritten by the next one. */
  inspect({ linkType, data, original }: Sample): DecodedRecord {
    if (data.length > MAX_CAPTURED)
      throw new RangeError(`packet of ${data.length} bytes: at most ${MAX_CAPTURED}`);
    this.record.memory.set(data, PACKET);
    this.#exports.inspect(RECORD, PACKET, data.length, original, linkType, PORTS);
    return this.record;
  }
}
