// The plugin and one daemon that comes, goes, and is killed: what it remembers, what it refuses, what it never forgets.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { ping } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { callPlugin, container } from '../support/cni.ts';
import { type Netns, netns } from '../support/netns.ts';
import { type OverweftNode, overweftNode } from '../support/overweft-node.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';

const QUARANTINE_SECONDS = 1;

describeWith([root, tun, command('strace')], 'CNI and its daemon', () => {
  let nodeNs: Netns;
  let node: OverweftNode;
  let socket: string;
  const namespaces = new Set<string>();

  beforeAll(async () => {
    nodeNs = await netns('owcnid-node');
    await nodeNs.exec('ip', 'link', 'add', 'under0', 'type', 'veth', 'peer', 'name', 'under1');
    await nodeNs.exec('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'under0');
    await nodeNs.exec('ip', 'link', 'set', 'under0', 'up');
    node = await overweftNode(
      nodeNs.name,
      {
        underlay: { addresses: ['192.0.2.1'], interface: 'under0' },
        cni: { quarantine: QUARANTINE_SECONDS },
      },
      ['10.244.1.0/29', 'fd00:244:1::/64'],
      [],
    );
    socket = node.daemon.socket;
  });
  afterEach(async () => {
    for (const name of [...namespaces]) {
      const { json } = await callPlugin('DEL', config(), container(name));
      expect(json).toBeUndefined();
      await remove(name);
    }
    for (const file of readdirSync(node.manifests)) {
      if (file.startsWith('pod-')) rmSync(`${node.manifests}/${file}`);
    }
    expect(ledger().attachments).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, QUARANTINE_SECONDS * 1000));
  });
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    await nodeNs?.[Symbol.asyncDispose]();
  });

  const config = (more: object = {}) => ({
    cniVersion: '1.1.0',
    name: 'net',
    type: 'overweft-cni',
    socket,
    ...more,
  });
  const identity = (pod: string, uid = '') =>
    `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_UID=${uid}`;
  const add = (name: string, uid?: string) =>
    callPlugin('ADD', config(), container(name, identity(name, uid)));
  const ledger = () => JSON.parse(readFileSync(`${dirname(socket)}/attachments.json`, 'utf8'));
  const bare = (addresses: { address: string }[]) => addresses.map(({ address }) => address.split('/')[0]);
  const ports = async () => (await daemonStatus(socket)).ports.filter(({ kind }) => kind === 'pod');
  const pod = async (name: string): Promise<void> => {
    await netns(name);
    namespaces.add(name);
  };
  const remove = async (name: string): Promise<void> => {
    await run('ip', ['netns', 'delete', name]);
    namespaces.delete(name);
  };
  const describePod = (name: string, metadata: object = {}, status: object = {}): void => {
    const object = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', ...metadata },
      spec: { nodeName: 'node-1' },
      status,
    };
    writeFileSync(`${node.manifests}/.new`, JSON.stringify(object));
    renameSync(`${node.manifests}/.new`, `${node.manifests}/pod-${name}.json`);
  };
  const eth0 = async (name: string): Promise<string> =>
    (await run('ip', ['-oneline', 'address', 'show', 'dev', 'eth0'], { netns: name })).stdout;

  it('a pod waits for its object, and is refused with code 11 where that does not come', async () => {
    await pod('owcnid-a');
    const refused = await add('owcnid-a');
    expect(refused).toMatchObject({
      status: 1,
      json: {
        code: 11,
        msg: 'Pod default/owcnid-a: the store has no such object for this node yet',
        details: expect.stringContaining('cni.unknownPods: admit'),
      },
    });
    expect(await eth0('owcnid-a')).toBe('');
    const waiting = add('owcnid-a');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ports()).toEqual([]);
    describePod('owcnid-a');
    expect((await waiting).status).toBe(0);
    expect(await answersPing('owcnid-a', '10.244.1.1')).toBe(true);
  }, 30_000);

  it('a pod is not taken for its predecessor of the same name', async () => {
    await pod('owcnid-a');
    describePod('owcnid-a', { uid: 'old' }, { podIPs: [{ ip: '10.244.1.6' }] });
    const waiting = add('owcnid-a', 'new');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await ports()).toEqual([]);
    describePod('owcnid-a', { uid: 'new' });
    expect((await waiting).status).toBe(0);
    // Its successor's object, while it still runs: it is nobody's pod now, and cannot send.
    describePod('owcnid-a', { uid: 'newest' });
    await expect.poll(() => ping('owcnid-a', '10.244.1.1')).toBeNull();
  });

  it("a static pod is known by its mirror's annotation", async () => {
    await pod('owcnid-a');
    describePod('owcnid-a', { uid: 'api', annotations: { 'kubernetes.io/config.mirror': 'hash' } });
    expect((await add('owcnid-a', 'hash')).status).toBe(0);
  });

  it('an address that its object names is taken where it is free', async () => {
    await pod('owcnid-a');
    await pod('owcnid-b');
    const status = { podIPs: [{ ip: '10.244.1.5' }, { ip: 'fd00:244:1::55' }] };
    describePod('owcnid-a', { creationTimestamp: '2026-01-01T00:00:00Z' }, status);
    expect(bare((await add('owcnid-a')).json.ips)).toEqual(['10.244.1.5', 'fd00:244:1::55']);
    describePod('owcnid-b', { creationTimestamp: '2026-02-01T00:00:00Z' }, status);
    const other = bare((await add('owcnid-b')).json.ips);
    expect(other).not.toContain('10.244.1.5');
    expect(await answersPing('owcnid-b', '10.244.1.5')).toBe(true);
  });

  it('CNI 7: a used-up range is code 100, STATUS 50, and resting addresses code 11', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `owcnid-${letter}`);
    for (const name of names) {
      await pod(name);
      describePod(name);
    }
    for (const name of names.slice(0, 5)) expect((await add(name)).json.code).toBeUndefined();
    const message = '10.244.1.0/29: every address for pods is in use, 5 in all';
    expect((await add('owcnid-f')).json).toMatchObject({ code: 100, msg: message });
    expect((await callPlugin('STATUS', config())).json).toMatchObject({ code: 50, msg: message });
    // Longer than a busy machine takes until it has asked.
    await node.restart('SIGTERM', { cni: { quarantine: 600 } });
    await callPlugin('DEL', config(), container('owcnid-a'));
    expect((await add('owcnid-f')).json).toMatchObject({
      code: 11,
      msg: expect.stringMatching(/^every free address of 10\.244\.1\.0\/29: .* free in \d+ s$/),
    });
    expect((await callPlugin('STATUS', config())).json).toMatchObject({ code: 50 });
    await node.restart('SIGTERM', { cni: { quarantine: QUARANTINE_SECONDS } });
    await new Promise((resolve) => setTimeout(resolve, QUARANTINE_SECONDS * 1000));
    expect((await callPlugin('STATUS', config())).status).toBe(0);
    expect((await add('owcnid-f')).status).toBe(0);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'a pod outlives %s of its daemon, with its addresses',
    async (signal) => {
      await pod('owcnid-a');
      describePod('owcnid-a');
      const { json: prevResult } = await add('owcnid-a');
      await node.restart(signal);
      await expect.poll(() => ping(nodeNs.name, bare(prevResult.ips)[1] ?? '')).not.toBeNull();
      const checked = await callPlugin('CHECK', config({ prevResult }), container('owcnid-a'));
      expect(checked).toMatchObject({ status: 0, stdout: '' });
      await pod('owcnid-b');
      describePod('owcnid-b');
      const other = bare((await add('owcnid-b')).json.ips);
      for (const address of bare(prevResult.ips)) expect(other).not.toContain(address);
    },
    60_000,
  );

  it('CNI 5: what is deleted, or loses its namespace, while no daemon runs is released by the next one', async () => {
    for (const name of ['owcnid-a', 'owcnid-b', 'owcnid-c']) {
      await pod(name);
      describePod(name);
      expect((await add(name)).status).toBe(0);
    }
    process.kill(node.daemon.pid, 'SIGKILL');
    await expect.poll(() => node.daemon.ended()).not.toBeNull();
    const { json } = await callPlugin('CHECK', config({ prevResult: {} }), container('owcnid-a'));
    expect(json).toMatchObject({ code: 11, msg: 'no overweft daemon runs on this node' });
    expect((await callPlugin('STATUS', config())).json).toMatchObject({ code: 51 });
    expect((await callPlugin('DEL', config(), container('owcnid-a'))).status).toBe(0);
    await remove('owcnid-b');
    await node.restart();
    const attached = () => ledger().attachments.map(({ pod }: { pod: string }) => pod);
    await expect.poll(attached).toEqual(['owcnid-c']);
    expect((await ports()).map(({ name }) => name)).toEqual(['default/owcnid-c']);
    expect(await eth0('owcnid-a')).toBe('');
    expect(readdirSync(`${dirname(socket)}/cni-deleted`)).toEqual([]);
  });

  it('another namespace of the same name is not taken for the pod', async () => {
    await pod('owcnid-a');
    describePod('owcnid-a');
    expect((await add('owcnid-a')).status).toBe(0);
    process.kill(node.daemon.pid, 'SIGKILL');
    await expect.poll(() => node.daemon.ended()).not.toBeNull();
    await remove('owcnid-a');
    await pod('owcnid-a');
    await node.restart();
    expect(await ports()).toEqual([]);
    expect(await eth0('owcnid-a')).toBe('');
  });

  it.each(['ADD', 'DEL'] as const)(
    'a kill at any step of %s neither leaks nor doubles an address',
    async (step) => {
      // strace kills the control thread as it enters its n-th of these calls, for every n until the command gets through.
      const calls = 'openat,rename,clone,clone3,vfork,sendto,ioctl';
      let steps = 0;
      for (let through = false; !through; steps++) {
        await pod('owcnid-a');
        describePod('owcnid-a');
        if (step === 'DEL') expect((await add('owcnid-a')).status).toBe(0);
        else await expect.poll(async () => (await daemonStatus(socket)).store.faults).toEqual([]);
        const tracer = await traced(node.daemon.pid, calls, steps + 1);
        const { status } =
          step === 'ADD' ? await add('owcnid-a') : await callPlugin('DEL', config(), container('owcnid-a'));
        through = node.daemon.ended() === null && status === 0;
        tracer.kill('SIGTERM');
        if (through) break;
        await node.restart('SIGKILL');
        // A pod of another name at this moment gets what nobody has.
        const held = /inet6? (\S+)\/(32|128)/g;
        const inUse = [...(await eth0('owcnid-a')).matchAll(held)].map(([, address]) => address);
        await pod('owcnid-b');
        describePod('owcnid-b');
        const other = await add('owcnid-b');
        expect(other.json.code, JSON.stringify(other.json)).toBeUndefined();
        for (const address of bare(other.json.ips)) expect(inUse).not.toContain(address);
        // The runtime deletes what it could not add or delete, and may do so once more.
        for (const name of ['owcnid-a', 'owcnid-b', 'owcnid-a']) {
          expect((await callPlugin('DEL', config(), container(name))).json).toBeUndefined();
          expect(await eth0(name)).toBe('');
        }
        expect(ledger().attachments).toEqual([]);
        expect(await ports()).toEqual([]);
        for (const name of ['owcnid-a', 'owcnid-b']) await remove(name);
        await new Promise((resolve) => setTimeout(resolve, QUARANTINE_SECONDS * 1000));
      }
      expect(steps).toBeGreaterThan(3);
    },
    300_000,
  );

  /** Returns when the process is being traced. */
  async function traced(pid: number, calls: string, nth: number) {
    const inject = `inject=${calls}:signal=KILL:when=${nth}`;
    const tracer = spawn('strace', ['-p', `${pid}`, '-e', `trace=${calls}`, '-e', inject], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      let text = '';
      tracer.stderr.on('data', (chunk: Buffer) => {
        text += chunk;
        if (text.includes(' attached')) resolve();
      });
      tracer.on('exit', () => reject(new Error(`strace: ${text}`)));
    });
    return tracer;
  }
});
