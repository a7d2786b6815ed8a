import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import { WOKEN } from '../../src/phy/addon.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { addon, memory, pattern, transmit, udp } from './burst.ts';
import type { ThreadTask } from './thread.ts';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

function start(task: Omit<ThreadTask, 'memory'>): Worker {
  return new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: { ...task, memory } satisfies ThreadTask,
  });
}

async function result(worker: Worker): Promise<unknown> {
  const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return message;
}

describe('an instance of the addon in each thread', () => {
  it.each([[false], [true]])(
    'closes what its thread owned when that ends (process.exit: %s)',
    async (exit) => {
      await result(start({ step: 'own', exit }));
      const before = openDescriptors();
      for (let round = 0; round < 3; round++)
        expect(await result(start({ step: 'own', exit }))).toBe('opened');
      expect(openDescriptors()).toBe(before);
    },
  );

  it('takes over a socket that another thread released, and closes it at its end', async () => {
    using sender = udp(0, { address: '127.0.0.1' });
    const socket = addon.openUdp({ address: '127.0.0.1', port: 0 });
    const copy = addon.duplicate(socket.fd);
    transmit([{ slot: sender.slot, parts: [pattern(4)], to: { address: '127.0.0.1', port: socket.port } }]);
    expect(addon.release(copy)).toBe(copy);
    const before = openDescriptors();
    expect(await result(start({ step: 'adopt', fd: copy }))).toEqual({ ready: 2, received: 1 });
    expect(openDescriptors()).toBe(before - 1);
    addon.close(socket.fd);
  });

  it('closes, releases and duplicates only what its own thread holds', async () => {
    const socket = addon.openUdp({ address: '127.0.0.1', port: 0 });
    expect(await result(start({ step: 'foreign', fd: socket.fd }))).toBe('EBADF');
    addon.close(socket.fd);
    for (const call of [addon.close, addon.release, addon.duplicate, addon.signal]) {
      expect(() => call(socket.fd)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    }
  });

  it('bequeaths a descriptor to the next program, which inherits it', () => {
    const { fd, port } = addon.openUdp({ address: '127.0.0.1', port: 0 });
    const before = openDescriptors();
    const bequeathed = addon.bequeath(fd);
    expect(bequeathed).toBeGreaterThanOrEqual(64);
    expect(openDescriptors(), 'moved, not copied').toBe(before);
    expect(() => addon.close(bequeathed), 'nobody here owns it').toThrow(
      expect.objectContaining({ code: 'EBADF' }),
    );
    // What a program executed now would find open: only what is not closed on exec.
    const command = `readlink /proc/self/fd/${bequeathed} /proc/self/fd/${fd}`;
    expect(spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout).toMatch(/^socket:\[\d+\]\n$/);
    expect(addon.inherit(bequeathed)).toBe(bequeathed);
    expect(() => addon.inherit(bequeathed)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    expect(spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout).toBe('');
    expect(() => addon.openUdp({ address: '127.0.0.1', port }), 'still bound').toThrow();
    addon.close(bequeathed);
    expect(() => addon.inherit(bequeathed)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  it('wakes another thread, once for each time', async () => {
    const wakeup = addon.openWakeup();
    const worker = start({ step: 'wait', fd: wakeup });
    expect((await once(worker, 'message'))[0]).toBe('waiting');
    addon.signal(wakeup);
    expect(await result(worker)).toEqual({ ready: WOKEN, again: 0 });
    addon.close(wakeup);
  });

  it('says what cannot be adopted', () => {
    const socket = addon.openUdp({ address: '127.0.0.1', port: 0 });
    expect(() => addon.adoptTap(0, socket.fd)).toThrow(/ENOTTY.*TUNGETIFF/);
    expect(() => addon.adoptSocket(FIRST_SOCKET_SLOT, socket.fd, 'raw4')).toThrow("is no 'raw4' socket");
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.adoptSocket(FIRST_SOCKET_SLOT, socket.fd, 'tcp')).toThrow("not 'tcp'");
    expect(() => addon.adoptSocket(FIRST_SOCKET_SLOT - 1, socket.fd, 'udp')).toThrow(
      'slot 8191 is not in 8192..8703',
    );
    expect(() => addon.adoptSocket(1536, socket.fd, 'udp')).toThrow(RangeError);
    expect(() => addon.adoptTap(8192, socket.fd)).toThrow('slot 8192 is not in 0..8191');
    expect(() => addon.drop(FIRST_SOCKET_SLOT)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    addon.adoptSocket(FIRST_SOCKET_SLOT, socket.fd, 'udp');
    const other = addon.openUdp({ address: '127.0.0.1', port: 0 });
    expect(() => addon.adoptSocket(FIRST_SOCKET_SLOT, other.fd, 'udp')).toThrow(
      expect.objectContaining({ code: 'EBUSY' }),
    );
    addon.close(other.fd);
    addon.drop(FIRST_SOCKET_SLOT);
  });
});

describeWith([root, tun], 'capabilities', () => {
  it('are dropped in the worker and kept in the control thread', async () => {
    const own = addon.capabilities();
    expect(own).not.toBe(0n);
    const { before, after, status, refused } = (await result(start({ step: 'capabilities' }))) as Record<
      string,
      unknown
    >;
    expect(before).toBe(own);
    expect(after).toBe(0n);
    expect(status).toMatch(/CapPrm:\t0{16}\nCapEff:\t0{16}/);
    expect(status).toMatch(/NoNewPrivs:\t1/);
    expect(refused).toBe('EPERM');
    expect(addon.capabilities()).toBe(own);
    const control = readFileSync(`/proc/self/task/${addon.threadId()}/status`, 'utf8');
    expect(control).toContain(`CapEff:\t${own.toString(16).padStart(16, '0')}`);
  });
});
