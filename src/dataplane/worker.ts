// A data-plane worker thread: takes descriptors over, gives its capabilities up, runs the loop.
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { MAX_PORTS, MAX_VERDICTS, WORKER_STATS, WORKER_VERDICTS } from '../../asm/layout/memory.ts';
import { STAT_COUNT } from '../../asm/layout/tables.ts';
import { type Addon, loadAddon } from '../phy/addon.ts';
import { runLoop } from './loop.ts';
import { type Memory, viewMemory, workerBase } from './memory.ts';
import type { Command, Report, Request, WorkerCounters, WorkerData } from './messages.ts';
import { instantiate, type WorkerExports } from './module.ts';

const { index, module, memory: wasm, wakeup, spin } = workerData as WorkerData;
const control = parentPort as MessagePort;
const report = (message: Report) => control.postMessage(message);

const memory = viewMemory(wasm);
const addon = loadAddon();
// Descriptors arrive open, so nothing here ever needs a privilege.
addon.dropCapabilities();
addon.attachMemory(memory.bytes);
addon.attachWakeup(wakeup);
addon.setSpin(spin);
const dataPath = instantiate<WorkerExports>(module, wasm);
dataPath.workerInit(index);
report({ type: 'ready', capabilities: addon.capabilities(), threadId: addon.threadId() });

runLoop(addon, dataPath, memory, index, {
  messages() {
    for (;;) {
      const received = receiveMessageOnPort(control) as { message: Request } | undefined;
      if (!received) return;
      answer(received.message);
    }
  },
  failures: () => report({ type: 'failures', failures: addon.takeFailures() }),
});

function answer(request: Request): void {
  try {
    const counters = obey(addon, memory, request);
    report({ type: 'done', id: request.id, ...(counters && { counters }) });
  } catch (error) {
    report({ type: 'refused', id: request.id, message: (error as Error).message });
  }
}

function obey(addon: Addon, memory: Memory, command: Command): WorkerCounters | undefined {
  switch (command.type) {
    case 'adopt-tap':
      for (const [queue, fd] of command.fds.entries()) addon.adoptTap(queueSlot(command.slot, queue), fd);
      return undefined;
    case 'adopt-socket':
      addon.adoptSocket(command.slot, command.fd, command.kind, { receive: command.receive });
      return undefined;
    case 'drop':
      for (let queue = 0; queue < command.queues; queue++) addon.drop(queueSlot(command.slot, queue));
      return undefined;
    case 'counters': {
      const copy = (at: number, count: number) =>
        new BigUint64Array(memory.wasm.buffer, workerBase(index) + at, count).slice();
      return { verdicts: copy(WORKER_VERDICTS, MAX_VERDICTS), stats: copy(WORKER_STATS, STAT_COUNT) };
    }
  }
}

/** Slot of a queue of a port's TAP. */
function queueSlot(port: number, queue: number): number {
  return queue * MAX_PORTS + port;
}
