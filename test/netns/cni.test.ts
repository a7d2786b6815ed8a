// The plugin and a lab's daemon: pods come and go as a container runtime would have it.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { ping } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { callPlugin, container } from '../support/cni.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { type Netns, netns } from '../support/netns.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { run } from '../support/run.ts';

describeWith([root, tun], 'CNI', () => {
  let lab: Lab;
  let socket: string;
  let scratch: string;
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
  const add = async (name: string, more: object = {}, version = '1.1.0') => {
    const { json, status } = await callPlugin('ADD', config(version, more), container(name));
    if (status !== 0) throw new Error(JSON.stringify(json));
    return json;
  };
  const portNames = async () => (await daemonStatus(socket)).ports.map(({ name }) => name);
  const ledger = () => JSON.parse(readFileSync(`${dirname(socket)}/attachments.json`, 'utf8'));
  const attached = () => ledger().attachments.map(({ containerId }: { containerId: string }) => containerId);
  const bare = (addresses: { address: string }[]) => addresses.map(({ address }) => address.split('/')[0]);

  beforeAll(async () => {
    scratch = mkdtempSync(`${tmpdir()}/overweft-cni-`);
    lab = await labUp();
    socket = lab.nodes[0]?.socket ?? '';
  });
  afterEach(async () => {
    for (const { name, ...made } of namespaces.splice(0)) {
      await callPlugin('DEL', config(), container(name));
      await made[Symbol.asyncDispose]();
    }
    expect(ledger().attachments).toEqual([]);
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true });
  });

  describe('ADD', () => {
    it('CNI 4: makes the interface, and the pod reaches pods of other nodes at once', async () => {
      const { exec } = await pod('owcni-a');
      const json = await add('owcni-a');
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
          {
            interface: 0,
            address: expect.stringMatching(/^fd00:244:1::[\da-f]+\/128$/),
            gateway: 'fe80::1',
          },
        ],
        routes: [
          { dst: '0.0.0.0/0', gw: '169.254.1.1' },
          { dst: '::/0', gw: 'fe80::1' },
        ],
        dns: {
          nameservers: ['169.254.20.10', 'fd00:169:254:20::10'],
          search: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
          options: ['ndots:5'],
        },
      });
      const [link] = JSON.parse(await exec('ip', '-json', 'address', 'show', 'dev', 'eth0'));
      expect(link).toMatchObject({ address: json.interfaces[0].mac, mtu: 1450 });
      for (const to of lab.pods.flatMap(({ ips }) => ips))
        expect(await answersPing('owcni-a', to), to).toBe(true);
      expect(await portNames()).toContain('default/owcni-a');
    });

    it.each([
      ['0.3.1', { version: '4', interface: 0 }, undefined],
      ['0.4.0', { version: '4', interface: 0 }, undefined],
      ['1.0.0', { interface: 0 }, undefined],
      ['1.1.0', { interface: 0 }, 1450],
    ])('CNI 4: answers in version %s as that has it', async (version, ip, mtu) => {
      await pod('owcni-a');
      const { cniVersion, ips, interfaces } = await add('owcni-a', {}, version);
      expect(cniVersion).toBe(version);
      expect(ips[0]).toEqual({ ...ip, address: expect.any(String), gateway: '169.254.1.1' });
      expect(interfaces[0].mtu).toBe(mtu);
    });

    it('CNI 4: refuses an interface that exists, its own or another, and leaves nothing of the attempt', async () => {
      const { exec } = await pod('owcni-a');
      await add('owcni-a');
      const again = await callPlugin('ADD', config(), container('owcni-a'));
      expect(again).toMatchObject({ status: 1, json: { code: 102, msg: expect.stringContaining('eth0') } });
      expect(await answersPing('owcni-a', lab.pods[1]?.ips[0] ?? '')).toBe(true);
      await callPlugin('DEL', config(), container('owcni-a'));
      await exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
      const other = await callPlugin('ADD', config(), container('owcni-a'));
      expect(other).toMatchObject({ status: 1, json: { code: 102, msg: expect.stringContaining('eth0') } });
      expect(attached()).toEqual([]);
      expect(await exec('ip', '-details', 'link', 'show', 'eth0')).toContain('veth');
    });

    it('CNI 4: gives a pod one interface', async () => {
      await pod('owcni-a');
      await add('owcni-a');
      const second = await callPlugin('ADD', config(), container('owcni-a', '', 'net1'));
      expect(second.json).toMatchObject({ code: 7, msg: expect.stringContaining('has eth0 on Overweft') });
    });

    it('CNI 3: names a namespace that does not exist', async () => {
      const { json } = await callPlugin('ADD', config(), container('owcni-none'));
      expect(json).toMatchObject({ code: 4, msg: 'CNI_NETNS: /run/netns/owcni-none does not exist' });
    });

    it('CNI 4: adds to what a plugin before has made', async () => {
      await pod('owcni-a');
      const prevResult = {
        cniVersion: '1.0.0',
        interfaces: [{ name: 'lo', sandbox: '/run/netns/owcni-a' }],
        ips: [{ interface: 0, address: '127.0.0.1/8' }],
        routes: [{ dst: '192.0.2.0/24' }],
        dns: { nameservers: ['10.96.0.10'] },
        extra: true,
      };
      const json = await add('owcni-a', { prevResult, dns: { search: ['cluster.local'] } }, '1.0.0');
      expect(json).toMatchObject({
        interfaces: [prevResult.interfaces[0], { name: 'eth0' }],
        ips: [prevResult.ips[0], { interface: 1 }, { interface: 1 }],
        routes: [prevResult.routes[0], { dst: '0.0.0.0/0' }, { dst: '::/0' }],
        dns: { nameservers: ['10.96.0.10'], search: ['cluster.local'] },
        extra: true,
      });
      await callPlugin('DEL', config(), container('owcni-a'));
      prevResult.interfaces.push({ name: 'eth0', sandbox: '/run/netns/owcni-a' });
      const behind = await callPlugin('ADD', config('1.0.0', { prevResult }), container('owcni-a'));
      expect(behind.json).toMatchObject({ code: 102, msg: 'eth0 was made by a plugin before this one' });
    });

    it('isolates a pod that nobody describes as the policies of its namespace say', async () => {
      const file = `${lab.manifests}/deny.yaml`;
      writeFileSync(
        file,
        JSON.stringify({
          apiVersion: 'networking.k8s.io/v1',
          kind: 'NetworkPolicy',
          metadata: { name: 'deny', namespace: 'locked' },
          spec: { podSelector: {}, policyTypes: ['Egress'] },
        }),
      );
      try {
        await pod('owcni-a');
        await pod('owcni-b');
        const locked = container('owcni-a', 'IgnoreUnknown=1;K8S_POD_NAMESPACE=locked;K8S_POD_NAME=web');
        expect((await callPlugin('ADD', config(), locked)).status).toBe(0);
        await add('owcni-b');
        const target = lab.pods[1]?.ips[0] ?? '';
        expect(await answersPing('owcni-b', target)).toBe(true);
        // The policy is read within a moment of its writing.
        await expect.poll(() => ping('owcni-a', target)).toBeNull();
        const { ports } = await daemonStatus(socket);
        expect(ports.find(({ name }) => name === 'locked/web')?.isolated).toEqual(['egress']);
      } finally {
        rmSync(file);
      }
    });

    it('CNI 9: fifty at once, none wrong, within four seconds', async () => {
      const names = Array.from({ length: 50 }, (_, i) => `owcni-${i}`);
      for (const name of names) await pod(name);
      const begin = performance.now();
      const results = await Promise.all(names.map((name) => add(name)));
      expect(performance.now() - begin).toBeLessThan(4_000);
      const addresses = results.flatMap(({ ips }) => bare(ips));
      expect(new Set(addresses).size).toBe(100);
      for (const i of [0, 24, 49]) {
        expect(await answersPing(`owcni-${i}`, lab.pods[1]?.ips[1] ?? ''), `owcni-${i}`).toBe(true);
        expect(await answersPing(`owcni-${i}`, addresses[50] ?? ''), `owcni-${i}`).toBe(true);
      }
      const gone = await Promise.all(names.map((name) => callPlugin('DEL', config(), container(name))));
      expect(gone.map(({ status }) => status)).toEqual(names.map(() => 0));
    });
  });

  describe('capabilities', () => {
    it('CNI 10: ips, mac and dns', async () => {
      const { exec } = await pod('owcni-a');
      const runtimeConfig = {
        ips: ['10.244.1.77', 'fd00:244:1::1234/64'],
        mac: '02:11:22:33:44:55',
        dns: { servers: ['10.96.0.10'], searches: ['svc.cluster.local'], options: ['ndots:5'] },
        aliases: ['web'],
        cgroupPath: '/kubepods/pod1',
        'io.kubernetes.cri.pod-annotations': { a: 'b' },
        portMappings: [],
        bandwidth: { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 },
      };
      const json = await add('owcni-a', {
        runtimeConfig,
        dns: { domain: 'cluster.local', nameservers: ['192.0.2.53'] },
      });
      expect(bare(json.ips)).toEqual(['10.244.1.77', 'fd00:244:1::1234']);
      expect(json.interfaces[0].mac).toBe('02:11:22:33:44:55');
      expect(json.dns).toEqual({
        domain: 'cluster.local',
        nameservers: ['10.96.0.10'],
        search: ['svc.cluster.local'],
        options: ['ndots:5'],
      });
      expect(await exec('ip', 'link', 'show', 'eth0')).toContain('02:11:22:33:44:55');
      for (const to of lab.pods[1]?.ips ?? []) expect(await answersPing('owcni-a', to), to).toBe(true);
      await pod('owcni-b');
      const taken = await callPlugin(
        'ADD',
        config('1.1.0', { args: { cni: { ips: ['10.244.1.77'] } } }),
        container('owcni-b'),
      );
      expect(taken.json).toMatchObject({ code: 101, msg: '10.244.1.77: is taken by pod default/owcni-a' });
    });

    it.each([
      ['ipRanges', [[{ subnet: '10.244.1.0/24' }]]],
      ['deviceID', '0000:04:00.5'],
      ['infinibandGUID', 'c2:11:22:33:44:55:66:77'],
    ])('CNI 2: %s is refused with its value', async (name, value) => {
      await pod('owcni-a');
      const asked = config('1.1.0', { runtimeConfig: { [name]: value } });
      const { json } = await callPlugin('ADD', asked, container('owcni-a'));
      expect(json.code).toBe(2);
      expect(json.msg).toContain(`runtimeConfig.${name}: ${JSON.stringify(value)}: `);
    });

    it.each([
      [{ runtimeConfig: { mac: '02:11' } }, 'runtimeConfig.mac: must be a MAC address'],
      [{ runtimeConfig: { ips: ['10.244.1'] } }, 'runtimeConfig.ips[0]: must be an IPv4'],
      [{ runtimeConfig: { ips: ['10.244.2.9'] } }, '10.244.2.9: is not for pods of this node'],
      [{ runtimeConfig: { ips: ['10.244.1.1'] } }, '10.244.1.1: is not for pods of this node'],
      [{ prevResult: { ips: [{ address: 'x' }] } }, 'prevResult.ips[0].address: must be an address'],
    ])('CNI 2: %j is code 7', async (more, message) => {
      await pod('owcni-a');
      const { json } = await callPlugin('ADD', config('1.1.0', more), container('owcni-a'));
      expect(json).toMatchObject({ code: 7, msg: expect.stringContaining(message) });
    });

    it.each([
      ['FOO', 'FOO is no pair KEY=VALUE'],
      ['K8S_POD_NAME=A_b', 'K8S_POD_NAME: A_b is no Kubernetes name'],
    ])('CNI 2: the arguments %s are code 4', async (args, message) => {
      await pod('owcni-a');
      const { json } = await callPlugin('ADD', config(), container('owcni-a', args));
      expect(json).toMatchObject({ code: 4, msg: `CNI_ARGS: ${message}` });
    });

    it('CNI 9: tolerates keys that it does not know', async () => {
      await pod('owcni-a');
      await add('owcni-a', { unknown: [1], capabilities: { portMappings: true }, ipMasq: true, ipam: {} });
    });
  });

  describe('DEL', () => {
    it('CNI 5: takes interface and address away, as often as it is asked for', async () => {
      const { exec } = await pod('owcni-a');
      const { ips } = await add('owcni-a');
      for (let i = 0; i < 2; i++) {
        const { status, stdout } = await callPlugin('DEL', config(), container('owcni-a'));
        expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
      }
      expect(await exec('ip', '-oneline', 'link')).not.toContain('eth0');
      expect(await portNames()).not.toContain('default/owcni-a');
      const { attachments, released } = ledger();
      expect(attachments).toEqual([]);
      expect(bare(released)).toEqual(expect.arrayContaining(bare(ips)));
    });

    it('CNI 5: succeeds without namespace, interface, arguments or a good configuration', async () => {
      const one = await pod('owcni-a');
      await add('owcni-a');
      await one.exec('ip', 'link', 'delete', 'eth0');
      expect((await callPlugin('DEL', config(), container('owcni-a'))).status).toBe(0);

      await add('owcni-a');
      await run('ip', ['netns', 'delete', 'owcni-a']);
      const { CNI_NETNS, ...rest } = container('owcni-a', 'nonsense');
      const wrong = config('1.1.0', { prevResult: 1, runtimeConfig: { mac: 'x' }, args: [] });
      expect((await callPlugin('DEL', wrong, rest)).status).toBe(0);
      expect(attached()).toEqual([]);
      expect((await callPlugin('DEL', config(), container('never-added'))).status).toBe(0);
    });

    it('CNI 5: takes away what stands there unrecorded, but nothing that is no TAP', async () => {
      const { exec } = await pod('owcni-a');
      await exec('ip', 'tuntap', 'add', 'dev', 'eth0', 'mode', 'tap', 'multi_queue', 'vnet_hdr');
      expect((await callPlugin('DEL', config(), container('owcni-a'))).status).toBe(0);
      expect(await exec('ip', '-oneline', 'link')).not.toContain('eth0');
      await exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
      expect((await callPlugin('DEL', config(), container('owcni-a'))).status).toBe(0);
      expect(await exec('ip', '-oneline', 'link')).toContain('eth0');
    });

    it('is done by itself when the namespace is gone without a word', async () => {
      await pod('owcni-a');
      await add('owcni-a');
      await run('ip', ['netns', 'delete', 'owcni-a']);
      await expect.poll(attached).toEqual([]);
      expect(await portNames()).not.toContain('default/owcni-a');
    });
  });

  describe('CHECK', () => {
    const check = (prevResult: object | undefined, version = '1.1.0') =>
      callPlugin('CHECK', config(version, prevResult && { prevResult }), container('owcni-a'));

    it.each(['0.4.0', '1.0.0', '1.1.0'])(
      'CNI 6: is content directly after ADD in version %s',
      async (version) => {
        await pod('owcni-a');
        const result = await add('owcni-a', {}, version);
        expect(await check(result, version)).toEqual({ status: 0, stdout: '', json: undefined });
      },
    );

    it.each([
      ['an IPv4 address', ['addr', 'del', 'IPV4/32', 'dev', 'eth0'], 'eth0 lacks IPV4'],
      ['an IPv6 address', ['addr', 'del', 'IPV6/128', 'dev', 'eth0'], 'eth0 lacks IPV6'],
      ['a route', ['route', 'del', 'default'], 'the route to 0.0.0.0/0 through eth0 is missing'],
      ['an IPv6 route', ['-6', 'route', 'del', 'default'], 'the route to ::/0 through eth0 is missing'],
      ['its being up', ['link', 'set', 'eth0', 'down'], 'eth0 is down'],
      [
        'its MAC',
        ['link', 'set', 'eth0', 'address', '02:00:00:00:00:99'],
        'eth0 has the MAC 02:00:00:00:00:99',
      ],
    ])('CNI 6: misses %s', async (_, line, message) => {
      const { exec } = await pod('owcni-a');
      const result = await add('owcni-a');
      const [ipv4 = '', ipv6 = ''] = bare(result.ips);
      const fill = (text: string) => text.replace('IPV4', ipv4).replace('IPV6', ipv6);
      await exec('ip', ...line.map(fill));
      expect((await check(result)).json).toMatchObject({
        code: 104,
        msg: expect.stringContaining(fill(message)),
      });
    });

    it('CNI 6: tolerates what later plugins have changed and say so', async () => {
      const { exec } = await pod('owcni-a');
      const result = await add('owcni-a');
      await exec('ip', 'addr', 'add', '198.51.100.7/32', 'dev', 'eth0');
      await exec('ip', 'route', 'add', '203.0.113.0/24', 'dev', 'eth0');
      await exec('ip', 'addr', 'del', bare(result.ips)[1] ?? '', 'dev', 'eth0');
      result.ips.pop();
      result.routes.push({ dst: '203.0.113.0/24' });
      result.interfaces.unshift({ name: 'veth0' });
      for (const ip of result.ips) ip.interface = 1;
      expect(await check(result)).toMatchObject({ status: 0 });
    });

    it('CNI 6: misses the interface, the port, the container, prevResult', async () => {
      const { exec } = await pod('owcni-a');
      const result = await add('owcni-a');
      expect((await check(undefined)).json).toMatchObject({
        code: 7,
        msg: expect.stringContaining('prevResult'),
      });
      await exec('ip', 'link', 'delete', 'eth0');
      expect((await check(result)).json).toMatchObject({ code: 104 });
      await callPlugin('DEL', config(), container('owcni-a'));
      expect((await check(result)).json).toMatchObject({ code: 3 });
    });
  });

  describe('GC', () => {
    const listed = (...names: string[]) => names.map((containerID) => ({ containerID, ifname: 'eth0' }));
    const collect = (more: object) => callPlugin('GC', config('1.1.0', more), { CNI_PATH: '/opt/cni/bin' });

    it('CNI 8: releases all of its network that are not listed, under either name of the list', async () => {
      for (const name of ['owcni-a', 'owcni-b', 'owcni-c', 'owcni-d']) await pod(name);
      for (const name of ['owcni-a', 'owcni-b', 'owcni-c']) await add(name);
      await callPlugin('ADD', { ...config(), name: 'other' }, container('owcni-d'));
      expect(await collect({ 'cni.dev/valid-attachments': listed('owcni-a', 'owcni-b') })).toMatchObject({
        status: 0,
        stdout: '',
      });
      expect(attached()).toEqual(['owcni-a', 'owcni-b', 'owcni-d']);
      expect(await portNames()).not.toContain('default/owcni-c');
      expect((await collect({ 'cni.dev/attachments': listed('owcni-b') })).status).toBe(0);
      expect(attached()).toEqual(['owcni-b', 'owcni-d']);
      const both = { 'cni.dev/valid-attachments': [], 'cni.dev/attachments': [] };
      expect((await collect(both)).status).toBe(0);
      expect(attached()).toEqual(['owcni-d']);
    });

    it('CNI 8: without a list it takes only what has lost its namespace', async () => {
      for (const name of ['owcni-a', 'owcni-b']) await pod(name);
      for (const name of ['owcni-a', 'owcni-b']) await add(name);
      await run('ip', ['netns', 'delete', 'owcni-a']);
      expect((await collect({ 'cni.dev/valid-attachments': null })).status).toBe(0);
      expect(attached()).toEqual(['owcni-b']);
    });

    it('CNI 8: takes a list of thousands', async () => {
      const names = Array.from({ length: 3000 }, (_, i) => `${'0123456789abcdef'.repeat(4)}${i}`);
      const both = { 'cni.dev/valid-attachments': listed(...names), 'cni.dev/attachments': listed(...names) };
      expect((await collect(both)).status).toBe(0);
    });
  });

  it('CNI 7: STATUS is content with a daemon that has addresses left', async () => {
    expect(await callPlugin('STATUS', config())).toMatchObject({ status: 0, stdout: '' });
  });

  describe('with another IPAM plugin', () => {
    const ipam = { type: 'owcni-ipam', subnet: '10.244.1.128/25' };
    const environment = (name: string) => ({ ...container(name), CNI_PATH: `/nowhere:${scratch}` });
    const calls = () =>
      existsSync(`${scratch}/calls`) ? readFileSync(`${scratch}/calls`, 'utf8').trim().split('\n') : [];

    /** An IPAM plugin that answers each command by a file of its name, and notes what it was run with. */
    const answers = (files: Record<string, object>, failing: string[] = []) => {
      const script = [
        '#!/bin/sh',
        `echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >> ${scratch}/calls`,
        `cat > ${scratch}/stdin`,
        `[ -f ${scratch}/$CNI_COMMAND ] && cat ${scratch}/$CNI_COMMAND`,
        `case "$CNI_COMMAND" in ${failing.join('|') || 'none'}) exit 1;; esac`,
        'exit 0',
      ];
      rmSync(`${scratch}/calls`, { force: true });
      for (const command of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'])
        rmSync(`${scratch}/${command}`, { force: true });
      for (const [command, answer] of Object.entries(files))
        writeFileSync(`${scratch}/${command}`, JSON.stringify(answer));
      writeFileSync(`${scratch}/owcni-ipam`, script.join('\n'));
      chmodSync(`${scratch}/owcni-ipam`, 0o755);
    };
    const given = {
      cniVersion: '1.1.0',
      ips: [{ address: '10.244.1.130/25', gateway: '10.244.1.129' }],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.244.1.129', mtu: 1400, priority: 7 }],
      dns: { nameservers: ['192.0.2.53'] },
    };

    it('CNI 4: takes its addresses, routes and DNS', async () => {
      answers({ ADD: given });
      const { exec } = await pod('owcni-a');
      const { json } = await callPlugin('ADD', config('1.1.0', { ipam }), environment('owcni-a'));
      expect(json).toMatchObject({
        ips: [{ interface: 0, address: '10.244.1.130/32', gateway: '169.254.1.1' }],
        routes: [
          { dst: '0.0.0.0/0', gw: '169.254.1.1' },
          { dst: '192.0.2.0/24', gw: '169.254.1.1', mtu: 1400, priority: 7 },
        ],
        dns: { nameservers: ['192.0.2.53'] },
      });
      expect(calls()).toEqual(['ADD owcni-a eth0 /run/netns/owcni-a']);
      expect(JSON.parse(readFileSync(`${scratch}/stdin`, 'utf8'))).toEqual(config('1.1.0', { ipam }));
      expect(await exec('ip', 'route')).toMatch(/192\.0\.2\.0\/24 via 169\.254\.1\.1 .* metric 7 .*mtu 1400/);
      expect(await answersPing('owcni-a', lab.pods[1]?.ips[0] ?? '')).toBe(true);
      const prevResult = json;
      const checked = await callPlugin(
        'CHECK',
        config('1.1.0', { ipam, prevResult }),
        environment('owcni-a'),
      );
      expect(checked).toMatchObject({ status: 0, stdout: '' });
      expect((await callPlugin('STATUS', config('1.1.0', { ipam }), environment(''))).status).toBe(0);
      const list = { 'cni.dev/valid-attachments': [{ containerID: 'owcni-a', ifname: 'eth0' }] };
      expect((await callPlugin('GC', config('1.1.0', { ipam, ...list }), environment(''))).status).toBe(0);
      expect((await callPlugin('DEL', config('1.1.0', { ipam }), environment('owcni-a'))).status).toBe(0);
      expect(calls().map((line) => line.split(' ')[0])).toEqual(['ADD', 'CHECK', 'STATUS', 'GC', 'DEL']);
    });

    it('CNI 4: undoes its ADD where it fails, and repeats its error', async () => {
      answers({ ADD: { cniVersion: '1.1.0', code: 11, msg: 'no lease', details: 'in 3 s' } }, ['ADD']);
      await pod('owcni-a');
      const failed = await callPlugin('ADD', config('1.1.0', { ipam }), environment('owcni-a'));
      expect(failed).toMatchObject({
        status: 1,
        json: { code: 11, msg: 'owcni-ipam: no lease', details: 'in 3 s' },
      });
      expect(calls().map((line) => line.split(' ')[0])).toEqual(['ADD', 'DEL']);
    });

    it.each([
      ['the interface cannot be made', given, 102],
      ['the address is not of the pod network', { ips: [{ address: '198.51.100.2/24' }] }, 7],
      ['there is no address', { ips: [] }, 7],
      ['it answers nonsense', { ips: [{ address: 5 }] }, 6],
    ])('CNI 4: undoes its ADD where %s', async (_, answer, code) => {
      answers({ ADD: answer });
      const { exec } = await pod('owcni-a');
      if (code === 102) await exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
      const failed = await callPlugin('ADD', config('1.1.0', { ipam }), environment('owcni-a'));
      expect(failed).toMatchObject({ status: 1, json: { code } });
      expect(calls().map((line) => line.split(' ')[0])).toEqual(['ADD', 'DEL']);
    });

    it.each(['CHECK', 'DEL', 'GC', 'STATUS'])('CNI 7: passes its error on at %s', async (command) => {
      const error = { cniVersion: '1.1.0', code: 51, msg: 'not today', details: '' };
      answers({ ADD: given, [command]: error }, [command]);
      await pod('owcni-a');
      const { json: prevResult } = await callPlugin('ADD', config('1.1.0', { ipam }), environment('owcni-a'));
      const asked = config('1.1.0', { ipam, prevResult, 'cni.dev/valid-attachments': [] });
      expect(await callPlugin(command, asked, environment('owcni-a'))).toMatchObject({
        status: 1,
        json: error,
      });
    });

    it('names one that cannot be found', async () => {
      await pod('owcni-a');
      const missing = config('1.1.0', { ipam: { type: 'owcni-none' } });
      const { json } = await callPlugin('ADD', missing, environment('owcni-a'));
      expect(json).toMatchObject({ code: 7, msg: 'ipam.type: owcni-none cannot be run' });
      expect(json.details).toContain(`CNI_PATH, which is '/nowhere:${scratch}'`);
    });
  });
});
