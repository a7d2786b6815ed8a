// The one linear memory: where each region lies for a given configuration (asm/layout/memory.ts draws it).
import {
  FLOW_SIZE,
  FLOW_TAGS_SIZE,
  FLOW_WAYS,
  FLOWS_HEADER_SIZE,
  TRANSLATION_SIZE,
} from '../../asm/layout/flows.ts';
import {
  CONTROL_AREA_A,
  CONTROL_AREA_B,
  CONTROL_AREA_SIZE,
  CONTROL_FLOWS,
  CONTROL_FLOWS_SIZE,
  MAX_PORTS,
  WASM_PAGE,
  WORKER_STRIDE,
  WORKERS,
} from '../../asm/layout/memory.ts';
import { FRONTEND_SIZE } from '../../asm/layout/services.ts';
import { HASH_ROW_SIZE, PORT_SIZE, TABLES_HEADER_SIZE, TUNNEL_SIZE } from '../../asm/layout/tables.ts';
import { TRIE_BYTES_PER_PREFIX } from '../../asm/layout/trie.ts';
import type { Config } from '../config/schema.ts';

/** Capacities that the memory is laid out for. */
export type Sizes = Pick<Config, 'tables' | 'workers'>;

export interface MemoryPlan {
  readonly workers: number;
  readonly flows: { readonly offset: number; readonly size: number };
  readonly areas: readonly [number, number];
  readonly areaSize: number;
  /** Bytes in all, whole WebAssembly pages. */
  readonly size: number;
}

const PAGE = 4096;
const LARGEST = 2 ** 32 - WASM_PAGE;

/** @throws RangeError when the tables do not fit into a 32-bit memory */
export function planMemory({ tables, workers }: Sizes): MemoryPlan {
  const flows = {
    offset: WORKERS + workers * WORKER_STRIDE,
    size: roundUp(flowBytes(tables.flows), PAGE),
  };
  const areaSize = areaBytes(tables);
  const areaA = flows.offset + flows.size;
  const size = roundUp(areaA + 2 * areaSize, WASM_PAGE);
  if (size > LARGEST) {
    const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
    throw new RangeError(
      `tables: need ${mebibytes(size)} MiB of memory, of which there are ${mebibytes(LARGEST)}: lower tables.flows or tables.policyBytes`,
    );
  }
  return { workers, flows, areas: [areaA, areaA + areaSize], areaSize, size };
}

/** Whole buckets, a power of two of them, as flowsOpen in asm/table/flow.ts finds them again. */
function flowBytes(flows: number): number {
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, flows / FLOW_WAYS)));
  return FLOWS_HEADER_SIZE + buckets * (FLOW_TAGS_SIZE + FLOW_WAYS * (FLOW_SIZE + TRANSLATION_SIZE));
}

function areaBytes(sizes: Sizes['tables']): number {
  const { endpoints, routes, cidrs, tunnels, frontends, serviceBytes, policyBytes } = sizes;
  const rooms = [
    TABLES_HEADER_SIZE,
    hashBytes(endpoints),
    hashBytes(tunnels),
    trieBytes(routes),
    trieBytes(cidrs),
    tunnels * TUNNEL_SIZE,
    MAX_PORTS * PORT_SIZE,
    frontendBytes(frontends),
    serviceBytes,
    policyBytes,
  ];
  return roundUp(
    rooms.reduce((sum, bytes) => sum + roundUp(bytes, 64), 0),
    PAGE,
  );
}

/** As slotsFor in asm/table/snapshot.ts: a power of two, half full at most. */
function hashBytes(count: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(count * 2))) * HASH_ROW_SIZE;
}

/** As frontendsAlloc in asm/table/service.ts. */
function frontendBytes(count: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(count * 2))) * FRONTEND_SIZE;
}

/** One trie a family, each with its room for alignment. */
export function trieBytes(count: number): number {
  return count * TRIE_BYTES_PER_PREFIX + 2 * 64;
}

const roundUp = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

/** Views of a linear memory that stay valid: it never moves. */
export interface Memory {
  readonly wasm: WebAssembly.Memory;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;
  /** Atomics need an integer array. */
  readonly words: Uint32Array<SharedArrayBuffer>;
}

/** A zeroed memory whose control block says where the regions are. */
export function createMemory(plan: MemoryPlan): Memory {
  const pages = plan.size / WASM_PAGE;
  const memory = viewMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  memory.view.setUint32(CONTROL_FLOWS, plan.flows.offset, true);
  memory.view.setUint32(CONTROL_FLOWS_SIZE, plan.flows.size, true);
  memory.view.setUint32(CONTROL_AREA_A, plan.areas[0], true);
  memory.view.setUint32(CONTROL_AREA_B, plan.areas[1], true);
  memory.view.setUint32(CONTROL_AREA_SIZE, plan.areaSize, true);
  return memory;
}

export function viewMemory(wasm: WebAssembly.Memory): Memory {
  const { buffer } = wasm;
  return {
    wasm,
    bytes: new Uint8Array(buffer),
    view: new DataView(buffer),
    words: new Uint32Array(buffer),
  };
}

/** Start of a worker's region. */
export const workerBase = (index: number) => WORKERS + index * WORKER_STRIDE;
