// When a daemon is ready for container runtimes, kubelets and systemd: at the same moment, and not before.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callDaemon } from '../../src/daemon/client.ts';
import { type Daemon, logTail, startDaemon, writeConfig } from '../../src/lab/daemon.ts';
import { type Netns, netns } from '../support/netns.ts';
import { type Notified, notified } from '../support/notified.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';

describeWith([root, tun, command('setpriv')], 'a daemon that becomes ready', () => {
  const directory = mkdtempSync(`${tmpdir()}/overweft-ready-`);
  const socket = `${directory}/run/overweft.sock`;
  const confDirectory = `${directory}/net.d`;
  const manifest = `${directory}/manifests/node.yaml`;
  let ns: Netns;
  let manager: Notified;
  let daemon: Daemon;

  beforeAll(async () => {
    ns = await netns('owready');
    manager = await notified(`${directory}/notify`);
    mkdirSync(`${directory}/manifests`);
    writeFileSync(manifest, 'kind: Node\napiVersion: v1\nmetadata: {name: node-1}\nspec: {podCIDRs: [x]}\n');
    const place = {
      ...{ name: 'node-1', netns: ns.name, socket },
      ...{ config: `${directory}/config.yaml`, log: `${directory}/log` },
    };
    writeConfig(place, {
      node: 'node-1',
      runDirectory: `${directory}/run`,
      store: { type: 'file', directory: `${directory}/manifests` },
      underlay: { addresses: ['192.0.2.1'] },
      cni: { confDirectory },
    });
    await ns.exec('ip', 'address', 'add', '192.0.2.1/32', 'dev', 'lo');
    process.env.NOTIFY_SOCKET = `${directory}/notify`;
    process.env.WATCHDOG_USEC = '1000000';
    // As deploy/ starts it: /proc/sys is read-only in a container, and there are no more capabilities than these. The
    // process that systemd knows must be the one that tells it.
    const contain = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$@"';
    const program = fileURLToPath(new URL('../../deploy/overweft', import.meta.url));
    const bounding = '--bounding-set=-all,+net_admin,+net_raw,+sys_admin';
    const container = ['unshare', '--mount', 'sh', '-c', contain, 'sh'];
    daemon = startDaemon(place, [...container, 'setpriv', bounding, '--no-new-privs', program]);
    delete process.env.NOTIFY_SOCKET;
    delete process.env.WATCHDOG_USEC;
  });
  afterAll(async () => {
    if (daemon?.ended() === null) process.kill(daemon.pid, 'SIGKILL');
    manager?.[Symbol.dispose]();
    await ns?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const answers = async (path: string) =>
    (await callDaemon(socket, 'GET', path).catch(() => undefined))?.status;

  it('waits for a good cluster state, alive', async () => {
    // The daemon waits ten seconds before it says so.
    await expect
      .poll(manager.heard, { timeout: 60_000 })
      .toEqual([expect.stringMatching(/^STATUS=waiting: .*node\.yaml: Node node-1: spec\.podCIDRs\[0\]/)]);
    expect([await answers('/livez'), await answers('/readyz'), await answers('/healthz')]).toEqual([
      200, 503, 503,
    ]);
    expect(existsSync(`${confDirectory}/10-overweft.conflist`)).toBe(false);
  });

  it('tells everybody when it has one', async () => {
    writeFileSync(
      manifest,
      'kind: Node\napiVersion: v1\nmetadata: {name: node-1}\nspec: {podCIDRs: [10.244.1.0/24]}\n',
    );
    await expect
      .poll(() => manager.heard()[1], { timeout: 30_000 })
      .toBe('READY=1\nSTATUS=0 pods, 0 of 0 peers alive');
    expect(await answers('/readyz')).toBe(200);
    expect(Number(readFileSync(`${directory}/run/pid`, 'utf8'))).toBe(daemon.pid);
    const written = JSON.parse(readFileSync(`${confDirectory}/10-overweft.conflist`, 'utf8'));
    expect(written.plugins[0]).toMatchObject({ type: 'overweft-cni', socket });
    await expect.poll(() => manager.heard()[2], { timeout: 30_000 }).toMatch(/^WATCHDOG=1\n/);
  });

  it('takes leave of systemd, and leaves the configuration for its successor', async () => {
    process.kill(daemon.pid, 'SIGTERM');
    await expect
      .poll(() => daemon.ended(), { timeout: 30_000, message: logTail(daemon) })
      .toBe('exit status 0');
    expect(manager.heard().at(-1)).toMatch(/^STOPPING=1\n/);
    expect(existsSync(`${confDirectory}/10-overweft.conflist`)).toBe(true);
  });
});
