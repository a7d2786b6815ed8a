/** A worker that does with its own instance of the addon what the test asks for; one message per step. */

import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import { loadAddon } from '../../src/phy/addon.ts';

/** What a step needs to know; `memory` and descriptors come from the test. */
export interface ThreadTask {
  readonly step: 'own' | 'adopt' | 'wait' | 'capabilities' | 'map' | 'foreign';
  readonly memory: WebAssembly.Memory;
  readonly fd?: number;
  readonly path?: string;
  readonly exit?: boolean;
}

const task = workerData as ThreadTask;
const addon = loadAddon();
addon.attachMemory(new Uint8Array(task.memory.buffer as SharedArrayBuffer));
const tell = (message: unknown) => parentPort?.postMessage(message);
const fd = task.fd ?? -1;

const steps: Record<ThreadTask['step'], () => void> = {
  own: () => {
    addon.openWakeup();
    addon.openUdp({ address: '127.0.0.1', port: 0 });
    const socket = addon.openUdp({ address: '127.0.0.1', port: 0 });
    addon.adoptSocket(FIRST_SOCKET_SLOT, socket.fd, 'udp');
    tell('opened');
  },
  adopt: () => {
    addon.adoptSocket(FIRST_SOCKET_SLOT, fd, 'udp');
    tell({ ready: addon.wait(2000), received: addon.receiveDatagrams(0x10000, 16, 0x100000, 4096, 0, 4096) });
  },
  wait: () => {
    addon.attachWakeup(fd);
    tell('waiting');
    tell({ ready: addon.wait(10_000), again: addon.wait(0) });
  },
  capabilities: () => {
    const before = addon.capabilities();
    addon.dropCapabilities();
    const status = readFileSync(`/proc/self/task/${addon.threadId()}/status`, 'utf8');
    let refused: unknown;
    try {
      addon.openTap({ name: 'ownatcap0' });
    } catch (error) {
      refused = (error as { code: string }).code;
    }
    tell({ before, after: addon.capabilities(), status, refused });
  },
  map: () => {
    tell(addon.mapFile(0x100000, 0x10000, task.path ?? ''));
  },
  foreign: () => {
    try {
      addon.close(fd);
    } catch (error) {
      tell((error as { code: string }).code);
    }
  },
};
steps[task.step]();
if (task.exit) process.exit();
