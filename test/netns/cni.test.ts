// The plugin and a lab's daemon: pods come and go as a container runtime would have it.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { callPlugin, container } from '../support/cni.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { type Netns, netns } from '../support/netns.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';

describeWith([root, tun], 'CNI', () => {
  let lab: Lab;
  let socket: string;
  const namespaces: Netns[] = [];
  const pod = async (name: string): Promise<Netns> => {
    const made = await netns(name);
    namespaces.push(made);
    return made;
  };
  const config = (cniVersion = '1.1.0', more: object = {}) => ({
    cniVersion,
    name: 'net',
    type: 'overweft-cni',
    socket,
    ...more,
  });
  const reaches = async (from: string, to: string): Promise<boolean> =>
    (await run('ping', ['-c', '1', '-W', '2', to], { netns: from })).status === 0;
  const portNames = async () => (await daemonStatus(socket)).ports.map(({ name }) => name);
  const ledger = () => JSON.parse(readFileSync(`${dirname(socket)}/attachments.json`, 'utf8'));

  beforeAll(async () => {
    lab = await labUp();
    socket = lab.nodes[0]?.socket ?? '';
  });
  afterEach(async () => {
    for (const { name, ...made } of namespaces.splice(0)) {
      await callPlugin('DEL', config(), container(name));
      await made[Symbol.asyncDispose]();
    }
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  it('CNI 4: ADD makes the interface, and the pod reaches pods of other nodes at once', async () => {
    const { exec } = await pod('owcni-a');
    const { status, json } = await callPlugin('ADD', config(), container('owcni-a'));
    expect(json).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        {
          name: 'eth0',
          mac: expect.stringMatching(/^..(:..){5}$/),
          mtu: 1450,
          sandbox: '/run/netns/owcni-a',
        },
      ],
      ips: [
        { interface: 0, address: expect.stringMatching(/^10\.244\.1\.\d+\/32$/), gateway: '169.254.1.1' },
        { interface: 0, address: expect.stringMatching(/^fd00:244:1::[\da-f]+\/128$/), gateway: 'fe80::1' },
      ],
      routes: [
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
        { dst: '::/0', gw: 'fe80::1' },
      ],
      dns: {},
    });
    expect(status).toBe(0);
    const [link] = JSON.parse(await exec('ip', '-json', 'address', 'show', 'dev', 'eth0'));
    expect(link).toMatchObject({ address: json.interfaces[0].mac, mtu: 1450 });
    for (const to of lab.pods.flatMap(({ ips }) => ips)) expect(await reaches('owcni-a', to), to).toBe(true);
    expect(await portNames()).toContain('default/owcni-a');
  });

  it('CNI 5: DEL takes interface and address away, as often as it is asked for', async () => {
    const { exec } = await pod('owcni-a');
    const { json } = await callPlugin('ADD', config(), container('owcni-a'));
    for (let i = 0; i < 2; i++) {
      const { status, stdout } = await callPlugin('DEL', config(), container('owcni-a'));
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    }
    expect(await exec('ip', '-oneline', 'link')).not.toContain('eth0');
    expect(await portNames()).not.toContain('default/owcni-a');
    const { attachments, released } = ledger();
    expect(attachments).toEqual([]);
    const addresses = json.ips.map(({ address }: { address: string }) => address.replace(/\/.*/, ''));
    expect(released.map(({ address }: { address: string }) => address)).toEqual(
      expect.arrayContaining(addresses),
    );
  });
});
