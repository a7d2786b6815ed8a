// The compiled data path, loaded and typed. Every thread has an instance of its own over the one memory.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What the control thread calls: builders and finders of table areas (asm/table/snapshot.ts). */
export interface ControlExports {
  tablesBegin(
    area: number,
    size: number,
    epoch: number,
    endpoints: number,
    peers: number,
    tunnels: number,
    ports: number,
  ): number;
  tablesAlloc(area: number, bytes: bigint): number;
  endpointPut(
    area: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    identity: number,
    port: number,
    flags: number,
    macLow: number,
    macHigh: number,
    tunnel: number,
  ): number;
  endpointRemove(area: number, a0: number, a1: number, a2: number, a3: number): void;
  endpointsCount(area: number): number;
  peersClear(area: number): void;
  peerPut(area: number, a0: number, a1: number, a2: number, a3: number, kind: number, tunnel: number): number;
  /** Empty frontends of Services. */
  frontendsAlloc(area: number, count: number): number;
  frontendPut(
    area: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    protocol: number,
    port: number,
    kind: number,
    inside: number,
    outside: number,
  ): number;
  frontendRemove(
    area: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    protocol: number,
    port: number,
  ): void;
  tunnelRow(area: number, tunnel: number): number;
  portRow(area: number, port: number): number;
  /** 1: the flows that the region held go on; 0: it was formatted. */
  flowsOpen(): number;
  /** Connections in the table; walks all of it. */
  flowsCount(): number;
}

/** What a worker calls, once a burst. */
export interface WorkerExports {
  workerInit(index: number): void;
  /** Handles received frames; returns the number of messages to transmit. */
  egress(frames: number): number;
  /** Handles received datagrams; returns the number of messages to transmit. */
  ingress(datagrams: number): number;
  /** Tells the flow log of connections that have fallen silent; called often, by one worker. */
  sweep(): void;
  /** Lets go what has waited for a port's rate; returns the number of messages to transmit. */
  shape(): number;
  /** Turns refused messages into drops. */
  settle(messages: number): void;
}

/** Path of a file that the build makes. */
const built = (name: string) => fileURLToPath(import.meta.resolve(`#build/${name}`));

/** Compiled once in a process; modules are shared between threads. */
export function compileDataPath(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(built('overweft.wasm')));
}

export function instantiate<Exports extends ControlExports | WorkerExports>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Exports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
}
