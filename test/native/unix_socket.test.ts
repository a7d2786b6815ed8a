// Datagrams to a service manager's socket, and whose a listener is, by path and by abstract name.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/phy/addon.ts';
import { notified } from '../support/notified.ts';
import { describeWith, root } from '../support/requires.ts';
import { STRANGER, stranger } from '../support/stranger.ts';

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

describe('listenerUser', () => {
  const addon = loadAddon();

  it('is the one of the process that listens', async () => {
    const name = `overweft-listener-${process.pid}`;
    const server = createServer((connection) => connection.destroy());
    await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
    expect(addon.listenerUser(`@${name}`)).toBe(process.geteuid?.());
    server.close();
    expect(() => addon.listenerUser(`@${name}`)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
  });

  describeWith([root], 'of an ordinary user', () => {
    it('is his', async () => {
      const name = `overweft-stranger-${process.pid}`;
      using _stranger = await stranger(name);
      expect(addon.listenerUser(`@${name}`)).toBe(STRANGER);
    });
  });
});
