// Real worker threads over a real memory: epochs, messages, capabilities, stopping.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTROL_EPOCH, CONTROL_SEED, WORKER_EPOCH } from '../../asm/layout/memory.ts';
import { TABLES_EPOCH } from '../../asm/layout/tables.ts';
import { createMemory, type Memory, planMemory, workerBase } from '../../src/dataplane/memory.ts';
import { type ControlExports, compileDataPath, instantiate } from '../../src/dataplane/module.ts';
import { WorkerPool } from '../../src/dataplane/pool.ts';
import { Publisher } from '../../src/dataplane/publisher.ts';
import { statisticsOf } from '../../src/dataplane/statistics.ts';
import { fillTables } from '../../src/dataplane/tables.ts';
import { type Addon, loadAddon } from '../../src/phy/addon.ts';
import { desiredFrom } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';

const WORKERS = 2;
const config = loadConfigText('node-1', { workers: WORKERS, tables: { flows: 1024 } });
const addon: Addon = loadAddon();

describe('worker threads', () => {
  let memory: Memory;
  let wasm: ControlExports;
  let pool: WorkerPool;
  let deaths: Error[];

  beforeEach(async () => {
    memory = createMemory(planMemory(config));
    addon.attachMemory(memory.bytes);
    const module = compileDataPath();
    wasm = instantiate<ControlExports>(module, memory.wasm);
    memory.view.setUint32(CONTROL_SEED, 1, true);
    expect(wasm.flowsOpen()).toBe(0);
    deaths = [];
    pool = new WorkerPool(addon, memory, { failures: () => {}, died: (_, error) => deaths.push(error) });
    await pool.start(module, WORKERS);
  });
  afterEach(() => pool.stop());

  const publisher = () => new Publisher(memory, WORKERS, () => pool.wake());
  const publish = (to: Publisher) =>
    to.publish((area, size, epoch) => {
      const input = { desired: desiredFrom([]), config, ports: [], tunnels: new Map() };
      fillTables(wasm, memory, area, size, epoch, input);
      return area;
    });

  it('have no capabilities, and the control thread keeps its own', () => {
    expect(pool.facts.map(({ capabilities }) => capabilities)).toEqual([0n, 0n]);
    expect(new Set(pool.facts.map(({ threadId }) => threadId)).size).toBe(2);
    expect(addon.threadId()).not.toBe(pool.facts[0]?.threadId);
  });

  it('answer between bursts, at once', async () => {
    const begin = performance.now();
    for (let i = 0; i < 50; i++) expect(await pool.counters()).toHaveLength(WORKERS);
    // Asleep for up to 100 ms each time, they are woken.
    expect(performance.now() - begin).toBeLessThan(2_000);
    expect(statisticsOf(await pool.counters())).toMatchObject({
      received: 0,
      forwarded: 0,
      consumed: 0,
      dropped: {},
    });
  });

  it('say why a command is refused, and go on', async () => {
    await expect(pool.ask(0, { type: 'drop', slot: 5, queues: 1 })).rejects.toThrow();
    await expect(pool.ask(0, { type: 'adopt-tap', slot: 5, fds: [9999] })).rejects.toThrow(
      /EBADF|bad file descriptor/i,
    );
    await expect(pool.ask(7, { type: 'counters' })).rejects.toThrow('there is no worker 7');
    expect(await pool.counters()).toHaveLength(WORKERS);
  });

  it('take turns of two table areas, epoch by epoch', async () => {
    const publications = publisher();
    const areas = [await publish(publications), await publish(publications), await publish(publications)];
    expect(areas[0]).toBe(areas[2]);
    expect(areas[0]).not.toBe(areas[1]);
    expect(publications.epoch).toBe(3);
    expect(memory.view.getUint32((areas[2] ?? 0) + TABLES_EPOCH, true)).toBe(3);
  });

  it('keep the live tables when new ones cannot be filled', async () => {
    const publications = publisher();
    await publish(publications);
    const refused = publications.publish(() => {
      throw new Error('does not fit');
    });
    await expect(refused).rejects.toThrow('does not fit');
    expect(publications.epoch).toBe(1);
  });

  it('are waited for while a burst still reads the area', async () => {
    const publications = publisher();
    await publish(publications);
    await publish(publications);
    // A burst under epoch 1, whose area is the next to be filled. No worker runs here that would overwrite it.
    await pool.stop();
    const at = (workerBase(1) + WORKER_EPOCH) / 4;
    Atomics.store(memory.words, at, 1);
    let filled = false;
    const third = publications.publish(() => {
      filled = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(filled).toBe(false);
    Atomics.store(memory.words, at, 0);
    await third;
    expect(filled).toBe(true);
  });

  it('go round the epoch that means no tables', async () => {
    const publications = publisher();
    Atomics.store(memory.words, CONTROL_EPOCH / 4, 0xffffffff);
    await publish(publications);
    expect(publications.epoch).toBe(2);
  });

  it('end when they are asked to', async () => {
    const begin = performance.now();
    await pool.stop();
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(deaths).toEqual([]);
  });
});
