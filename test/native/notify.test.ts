// Datagrams to a service manager's socket, by path and by abstract name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/phy/addon.ts';
import { notified } from '../support/notified.ts';

describe('notify', () => {
  const addon = loadAddon();
  const directory = mkdtempSync(`${tmpdir()}/overweft-notify-`);
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each([`${directory}/socket`, `@overweft-notify-${process.pid}`])('reaches %s', async (socket) => {
    using manager = await notified(socket);
    addon.notify(socket, 'READY=1\nSTATUS=2 pods');
    await expect.poll(manager.heard).toEqual(['READY=1\nSTATUS=2 pods']);
  });

  it('names a socket that nobody has, and one that no address can hold', () => {
    expect(() => addon.notify('/nowhere/socket', 'x')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    const long = `/${'x'.repeat(108)}`;
    expect(() => addon.notify(long, 'x')).toThrow(expect.objectContaining({ code: 'ENAMETOOLONG' }));
    expect(() => addon.notify('', 'x')).toThrow(TypeError);
  });
});
