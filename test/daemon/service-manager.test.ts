// What systemd hears of a daemon's life, by its own protocol.
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/daemon/health.ts';
import { ServiceManager } from '../../src/daemon/service-manager.ts';
import { loadAddon } from '../../src/phy/addon.ts';
import { type Notified, notified } from '../support/notified.ts';

const alive: Verdict = { ok: true };
const hanging: Verdict = { ok: false, error: 'worker 0 hangs' };
const socket = `@overweft-manager-${process.pid}`;
const addon = loadAddon();

const managerIn = (environment: NodeJS.ProcessEnv, state = alive) =>
  new ServiceManager({
    addon,
    environment,
    health: { live: async () => state },
    summary: () => '2 pods',
    log: pino({ level: 'silent' }),
  });

/** What is heard while the manager is ready, until `isEnough`. */
async function whileReady(
  environment: NodeJS.ProcessEnv,
  state: Verdict,
  isEnough: (heard: string[]) => boolean,
) {
  using ear: Notified = await notified(socket);
  const manager = managerIn({ NOTIFY_SOCKET: socket, ...environment }, state);
  manager.ready();
  await expect.poll(() => isEnough(ear.heard())).toBe(true);
  manager.stopping();
  await expect.poll(() => ear.heard().at(-1)).toContain('STOPPING=1');
  return ear.heard();
}

describe('service manager', () => {
  it('hears of readiness, of what is waited for, and of the end', async () => {
    using ear = await notified(socket);
    const manager = managerIn({ NOTIFY_SOCKET: socket });
    manager.waiting('no tables\nyet');
    manager.ready();
    manager.stopping();
    await expect
      .poll(ear.heard)
      .toEqual(['STATUS=waiting: no tables yet', 'READY=1\nSTATUS=2 pods', 'STOPPING=1\nSTATUS=stopping']);
  });

  it('is fed its watchdog while the workers answer', async () => {
    const heard = await whileReady({ WATCHDOG_USEC: '20000' }, alive, ({ length }) => length > 2);
    expect(heard.slice(1, 3)).toEqual(Array(2).fill('WATCHDOG=1\nSTATUS=2 pods'));
  });

  it('starves its watchdog when a worker hangs, and hears why', async () => {
    const heard = await whileReady({ WATCHDOG_USEC: '20000' }, hanging, ({ length }) => length > 2);
    expect(heard.slice(1, 3)).toEqual(Array(2).fill('STATUS=worker 0 hangs'));
  });

  it('is not told of a watchdog that watches another process', async () => {
    const other = { WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' };
    const heard = await whileReady(other, alive, ({ length }) => length > 0);
    expect(heard.join()).not.toContain('WATCHDOG=1');
  });

  it('may be absent, or gone', () => {
    for (const environment of [{}, { NOTIFY_SOCKET: '/nowhere' }]) {
      const manager = managerIn(environment);
      manager.ready();
      expect(() => manager.stopping()).not.toThrow();
    }
  });
});
