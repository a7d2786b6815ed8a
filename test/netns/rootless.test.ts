// Nodes of ordinary users on two hosts: their sockets are the hosts', all else is in namespaces of their own.
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { callDaemon, daemonStatus } from '../../src/daemon/client.ts';
import { attachPod, daemonReady } from '../../src/lab/daemon.ts';
import { namespace, node, pod } from '../support/cluster.ts';
import { type Machine, machine, type User } from '../support/ordinary-user.ts';
import { describeWith, root, tun } from '../support/requires.ts';

interface Host {
  readonly i: number;
  readonly user: User;
  /** API socket, from here. */
  readonly socket: string;
}

/** Less than Ethernet's, so that what the pods get shows where it comes from. */
const linkMtu = 1400;

/** Root is needed only to make hosts and to become somebody else. */
describeWith([root, tun], 'nodes without root', () => {
  let room: Machine;
  let hosts: [Host, Host];

  beforeAll(async () => {
    room = await machine();
    await room.asRoot('mkdir', '/run/manifests');
    const objects = [namespace('default'), ...[1, 2].flatMap((i) => [node(i), podOf(i)])];
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    writeFileSync(room.file('/run/manifests/cluster.json'), JSON.stringify(list), { mode: 0o644 });
    for (const i of [1, 2]) await room.asRoot('ip', 'netns', 'add', `host${i}`);
    const veth = ['mtu', `${linkMtu}`, 'type', 'veth', 'peer', 'name', 'u0', 'netns', 'host2'];
    await room.asRoot('ip', 'link', 'add', 'u0', 'netns', 'host1', ...veth);
    hosts = [await host(room, 1), await host(room, 2)];
    for (const one of hosts) await started(one);
    for (const { i, user, socket } of hosts) {
      expect(await user.overweft(['enter', '--node', 'ip', 'netns', 'add', `pod${i}`])).toMatchObject({
        status: 0,
      });
      await attachPod(
        { name: `node-${i}`, socket },
        { namespace: 'default', name: `pod-${i}`, netns: `pod${i}` },
      );
    }
  });
  afterAll(async () => room[Symbol.asyncDispose]());

  it('run as ordinary users, without a capability outside their own namespaces', async () => {
    const initial = await room.asRoot('readlink', '/proc/1/ns/user');
    for (const { socket, user } of hosts) {
      const { pid } = await daemonStatus(socket);
      const { uid } = user;
      expect(await room.asRoot('cat', `/proc/${pid}/status`)).toMatch(
        `Uid:\t${uid}\t${uid}\t${uid}\t${uid}\n`,
      );
      // What it may, it may in a namespace that knows nobody but this user.
      expect(await room.asRoot('readlink', `/proc/${pid}/ns/user`)).not.toBe(initial);
      expect((await room.asRoot('cat', `/proc/${pid}/uid_map`)).trim().split(/ +/)).toEqual([
        '0',
        `${uid}`,
        '1',
      ]);
      expect((await user.processes()).split('\n').length).toBeGreaterThan(1);
      const links = await room.asRoot('ip', 'netns', 'exec', `host${user.uid - 1000}`, 'ip', '-o', 'link');
      expect(links, 'nothing is made on the host').not.toContain('ow-');
    }
  });

  it.each(['10.244.2.2', 'fd00:244:2::2', '10.244.2.1', 'fd00:244:2::1'])(
    'carry pings from pod to pod and to the other node (%s)',
    async (address) => {
      const { status, stdout } = await inPod(hosts[0], 'ping', '-c', '1', '-W', '10', address);
      expect(status, stdout).toBe(0);
    },
  );

  it.each([
    ['10.244.2.2', 8080],
    ['fd00:244:2::2', 8081],
  ] as const)('carry TCP, whole and unchanged (%s)', async (address, port) => {
    const bytes = 8 << 20;
    // It ends with its one connection.
    hosts[1].user.start(inPodWords(hosts[1], hosts[1].user.node, '-e', sink(port)));
    await expect
      .poll(async () => (await inPod(hosts[1], 'ss', '-Hltn', `sport = :${port}`)).stdout)
      .toContain(`${port}`);
    const sent = await inPod(hosts[0], hosts[0].user.node, '-e', stream(address, port, bytes));
    expect(sent.stdout, sent.stderr).toBe(`${bytes} same`);
  });

  it('serve the CNI plugin of a runtime in their namespaces', async () => {
    const [first] = hosts;
    const cni = (command: string) => [
      ...['enter', '--node', 'env', `CNI_COMMAND=${command}`, 'CNI_CONTAINERID=c1', 'CNI_IFNAME=eth0'],
      ...['CNI_NETNS=/run/netns/by-cni', 'CNI_PATH=/nowhere'],
      ...[
        'CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME=by-cni',
        `${first.user.checkout}/build/overweft-cni`,
      ],
    ];
    const input = JSON.stringify({ cniVersion: '1.1.0', name: 'pods', type: 'overweft-cni' });
    expect((await first.user.overweft(['enter', '--node', 'ip', 'netns', 'add', 'by-cni'])).status).toBe(0);
    const added = await first.user.overweft(cni('ADD'), { input });
    expect(added.status, added.stdout).toBe(0);
    expect(JSON.parse(added.stdout).ips).toHaveLength(2);
    const ping = ['ip', 'netns', 'exec', 'by-cni', 'ping', '-c', '1', '-W', '10', 'fd00:244:2::2'];
    const { status, stdout } = await first.user.overweft(['enter', '--node', ...ping]);
    expect(status, stdout).toBe(0);
    expect((await first.user.overweft(cni('DEL'), { input })).status).toBe(0);
  });

  it("knows the MTU of the host's route", async () => {
    const { peers, ports, offloads } = await daemonStatus(hosts[0].socket);
    expect(offloads.tunnelGso).toEqual({
      used: false,
      reason: 'the underlay lies in another network namespace',
    });
    const vxlan = { ipv4: linkMtu - 50, ipv6: linkMtu - 70 };
    expect(peers.flatMap(({ tunnels }) => tunnels.map(({ mtu }) => mtu))).toEqual([vxlan.ipv4, vxlan.ipv6]);
    expect(ports.find(({ name }) => name === 'default/pod-1')?.mtu).toBe(vxlan.ipv4);
  });

  it('finds its pods again after it was killed', async () => {
    const [first] = hosts;
    const { pid } = await daemonStatus(first.socket);
    await room.asRoot('kill', '-KILL', `${pid}`);
    await expect.poll(() => daemonStatus(first.socket).catch(() => 'gone')).toBe('gone');
    await started(first);
    const { status, stdout } = await inPod(first, 'ping', '-c', '1', '-W', '10', 'fd00:244:2::2');
    expect(status, stdout).toBe(0);
  });

  it('leaves out a node that only ipip reaches, by name, and goes on with the others', async () => {
    const [first] = hosts;
    const added = {
      ...node(3),
      metadata: { name: 'node-3', annotations: { 'overweft.io/encapsulation': 'ipip' } },
    };
    const file = room.file('/run/manifests/node-3.json');
    writeFileSync(file, JSON.stringify(added), { mode: 0o644 });
    const said = async () => (await daemonStatus(first.socket)).warnings;
    await expect
      .poll(said)
      .toEqual([expect.stringMatching(/^Node node-3: is reached by ipip alone, .*only root/)]);
    expect(await daemonStatus(first.socket)).toMatchObject({ fault: null });
    const { status, stdout } = await inPod(first, 'ping', '-c', '1', '-W', '10', '10.244.2.2');
    expect(status, stdout).toBe(0);
    rmSync(file);
    await expect.poll(said).toEqual([]);
  });

  it('refuses what only root can open, and a second daemon, by name', async () => {
    const [{ user, i }] = hosts;
    const file = `${user.home}/ipip.yaml`;
    writeFileSync(room.file(file), stringify({ ...config(i), encapsulation: 'ipip' }));
    const ipip = await user.overweft(['run', '--rootless', '--config', file]);
    expect(ipip).toMatchObject({ status: 1 });
    expect(ipip.stderr).toContain('encapsulation: ipip needs raw sockets of the host');
    const second = await user.overweft(['run', '--rootless', '--config', `${user.home}/node.yaml`]);
    expect(second).toMatchObject({ status: 1 });
    expect(second.stderr).toContain('192.0.2.1:4789');
    const plain = await user.overweft(['run', '--config', `${user.home}/node.yaml`]);
    expect(plain).toMatchObject({ status: 1 });
    expect(plain.stderr).toContain('--rootless');
  });

  it('leaves nothing running when it stops without pods', async () => {
    for (const { i, user, socket } of hosts) {
      const { pid } = await daemonStatus(socket);
      expect((await callDaemon(socket, 'DELETE', `/v1/ports/default/pod-${i}`)).status).toBe(200);
      await room.asRoot('kill', '-TERM', `${pid}`);
      await expect.poll(user.processes).toBe('');
    }
  });
});

async function started({ i, user, socket }: Host): Promise<void> {
  const child = user.start(['run', '--rootless', '--config', `${user.home}/node.yaml`]);
  await daemonReady({
    name: `node-${i}`,
    socket,
    ended: () => (child.exitCode === null ? null : `exit status ${child.exitCode}`),
  });
}

const podOf = (i: number) =>
  pod({ name: `pod-${i}`, node: `node-${i}`, ips: [`10.244.${i}.2`, `fd00:244:${i}::2`] });

const config = (i: number) => ({
  node: `node-${i}`,
  store: { type: 'file', directory: '/run/manifests' },
  encapsulation: 'vxlan',
  underlay: { addresses: [`192.0.2.${i}`, `2001:db8::${i}`] },
  cni: { unknownPods: 'admit' },
});

async function host(room: Machine, i: number): Promise<Host> {
  const name = `host${i}`;
  await room.asRoot('ip', '-n', name, 'link', 'set', 'u0', 'up');
  await room.asRoot('ip', '-n', name, 'address', 'add', `192.0.2.${i}/24`, 'dev', 'u0');
  await room.asRoot('ip', '-n', name, 'address', 'add', `2001:db8::${i}/64`, 'dev', 'u0', 'nodad');
  const user = await room.user(1000 + i, name);
  writeFileSync(room.file(`${user.home}/node.yaml`), stringify(config(i)));
  return { i, user, socket: room.file(`${user.runtime}/overweft/overweft.sock`) };
}

const inPodWords = ({ i }: Host, ...words: string[]) => [
  'enter',
  '--node',
  'ip',
  'netns',
  'exec',
  `pod${i}`,
  ...words,
];
const inPod = (host: Host, ...words: string[]) => host.user.overweft(inPodWords(host, ...words));

/** Bytes that tell their own place. */
const pattern =
  'const at = (n) => Buffer.from(Uint32Array.from({ length: 16384 }, (_, i) => n * 16384 + i).buffer);';

/** Program that answers a stream with its length and whether it was the pattern. */
const sink = (port: number) => `${pattern}
const server = require('node:net').createServer({ allowHalfOpen: true }, async (socket) => {
  server.close();
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  const all = Buffer.concat(chunks);
  const same = Array.from({ length: all.length / 65536 }, (_, n) => at(n).equals(all.subarray(n * 65536, (n + 1) * 65536)));
  socket.end(all.length + (same.every(Boolean) ? ' same' : ' changed'));
});
server.listen(${port}, '::');`;

const stream = (address: string, port: number, bytes: number) => `${pattern}
const socket = require('node:net').connect({ host: '${address}', port: ${port}, allowHalfOpen: true });
socket.pipe(process.stdout);
for (let n = 0; n < ${bytes} / 65536; n++) socket.write(at(n));
socket.end();`;
