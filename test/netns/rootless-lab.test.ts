// The lab of an ordinary user, without root anywhere.
import { expect, it } from 'vitest';
import type { LabDescription } from '../../src/lab/state.ts';
import { type Machine, machine, type User } from '../support/ordinary-user.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';

/** Root is needed only to become somebody else. */
describeWith([root, tun, command('dig')], 'lab of an ordinary user', () => {
  it('comes up, is entered, and goes without a trace', async () => {
    await using host = await machine();
    const user = await host.user(65_534);
    const up = await user.overweft(['lab', 'up', '--json', '--nodes', '2', '--pods-per-node', '2']);
    expect(up.status, up.stderr).toBe(0);
    const { nodes, pods }: LabDescription = JSON.parse(up.stdout);
    expect(pods).toHaveLength(4);

    for (const { pid } of nodes) {
      expect(await host.asRoot('cat', `/proc/${pid}/status`)).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      const initial = await host.asRoot('readlink', '/proc/1/ns/user');
      expect(await host.asRoot('readlink', `/proc/${pid}/ns/user`), 'user namespace').not.toBe(initial);
    }
    for (const address of ['10.244.2.3', 'fd00:244:2::3', '10.244.1.4']) {
      const ping = ['ip', 'netns', 'exec', 'ow-pod1', 'ping', '-c', '1', '-W', '5', address];
      const { status, stdout } = await user.overweft(['enter', ...ping]);
      expect(status, stdout).toBe(0);
    }
    const dig = ['ip', 'netns', 'exec', 'ow-pod1', 'dig', '+short', '@169.254.20.10'];
    const version = async () =>
      (await user.overweft(['enter', ...dig, 'dns-version.cluster.local', 'TXT'])).stdout;
    await expect.poll(version).toBe('"1.1.0"\n');
    const socket = '/run/user/65534/overweft/lab/node-1/run/overweft.sock';
    const outside = await user.overweft(['status', '--json', '--socket', socket]);
    expect(JSON.parse(outside.stdout).node).toBe('node-1');

    const second = await user.overweft(['lab', 'up']);
    expect(second.status).toBe(1);
    expect(second.stderr).toContain('overweft lab down');

    expect((await user.overweft(['lab', 'down'])).status).toBe(0);
    await nothingLeft(host, user);
    expect(await user.overweft(['enter', 'true'])).toMatchObject({ status: 1 });
    expect(await user.overweft(['lab', 'down'])).toMatchObject({
      status: 0,
      stderr: 'there was no lab\n',
    });
    await nothingLeft(host, user);
  });

  it('shows the demonstration: ping, TCP, policy', async () => {
    await using host = await machine();
    const user = await host.user(65_534);
    const { status, stdout, stderr } = await user.overweft(['lab', 'demo', '--encap', 'vxlan']);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^ {2}ping .*10\.244\.2\.3/m);
    expect(stdout).toMatch(/^ {2}TCP .*Gbit\/s/m);
    expect(stdout).toMatch(/^ {2}forbidden .*no connection/m);
    expect(stdout).toContain('nothing left behind');
    await nothingLeft(host, user);
  });

  it('begins anew where a lab was killed', async () => {
    await using host = await machine();
    const user = await host.user(65_534);
    expect((await user.overweft(['lab', 'up'])).status).toBe(0);
    await host.asRoot('pkill', '-KILL', '--uid', '65534');
    const again = await user.overweft(['lab', 'demo']);
    expect(again.status, again.stderr).toBe(0);
    await nothingLeft(host, user);
  });

  it('says what the host must allow', async () => {
    await using host = await machine();
    const user = await host.user(65_534);
    const able = await user.overweft(['doctor']);
    expect(able.stdout).toMatch(/^ *ok +rootless +.*overweft run --rootless$/m);
    await host.asRoot('chmod', '0600', '/dev/net/tun');
    const unable = await user.overweft(['doctor']);
    expect(unable.stdout).toMatch(/^ *note +rootless +\/dev\/net\/tun may not be opened/m);
    const closed = await user.overweft(['lab', 'up']);
    expect(closed.status).toBe(1);
    expect(closed.stderr).toContain('/dev/net/tun may not be opened');
    expect(closed.stderr).toContain('chmod 0666 /dev/net/tun');
    await nothingLeft(host, user);
  });
});

async function nothingLeft(host: Machine, { processes, runtime }: User): Promise<void> {
  await expect.poll(processes).toBe('');
  expect(await host.asRoot('find', runtime, '-mindepth', '1', '-not', '-name', 'overweft')).toBe('');
}
