// `overweft doctor` on hosts with one thing wrong, each made in a network namespace.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Finding } from '../../src/doctor/finding.ts';
import { type Netns, netns } from '../support/netns.ts';
import { overweftNode, program } from '../support/overweft-node.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { must, overweft, type RunOptions, run } from '../support/run.ts';

describeWith([root, tun, command('nft'), command('setpriv')], 'overweft doctor', () => {
  const directory = mkdtempSync(`${tmpdir()}/overweft-doctor-`);
  const file = `${directory}/config.yaml`;
  const [netD, bin] = [`${directory}/net.d`, `${directory}/bin`];
  const flags = ['doctor', '--json', '--config', file, '--bin-directory', bin];
  let ns: Netns;

  beforeAll(async () => {
    ns = await netns('owdoctor');
    await ns.exec('ip', 'link', 'add', 'under0', 'type', 'veth', 'peer', 'name', 'under1');
    await ns.exec('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'under0');
    for (const end of ['under0', 'under1']) await ns.exec('ip', 'link', 'set', end, 'up');
  }, 30_000);
  afterAll(async () => {
    await ns?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  }, 30_000);
  beforeEach(() => {
    for (const path of [netD, bin]) rmSync(path, { recursive: true, force: true });
    configure({});
  });

  const configure = (more: object) =>
    writeFileSync(
      file,
      stringify({
        node: 'node-1',
        runDirectory: `${directory}/run`,
        store: { type: 'file', directory },
        underlay: { addresses: ['192.0.2.1'] },
        cni: { confDirectory: netD },
        ...more,
      }),
    );
  const examine = async (options: RunOptions = { netns: 'owdoctor' }, args = flags) => {
    const { status, stdout, stderr } = await overweft(args, options);
    expect(stderr).toBe('');
    return { status, findings: findingsIn(stdout) };
  };
  const findingsIn = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding);
  const of = (findings: readonly Finding[], check: string) => findings.filter((one) => one.check === check);

  it('finds nothing in the way on a good host, and says what to do about each thing that is not', async () => {
    const { status, findings } = await examine();
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(status).toBe(0);
    for (const check of [
      'tun',
      'multiQueue',
      'CAP_NET_ADMIN',
      'ip',
      'underlay 192.0.2.1',
      'udp port 6081',
      'leftovers',
    ])
      expect(of(findings, check), check).toEqual([expect.objectContaining({ severity: 'ok', advice: null })]);
    for (const { severity, check, advice } of findings)
      if (severity === 'warning') expect(advice, check).not.toBeNull();
  });

  it('judges by defaults where there is no configuration, and refuses one that is wrong', async () => {
    const { findings } = await examine(undefined, ['doctor', '--json', '--config', `${directory}/none`]);
    expect(findings[0]).toMatchObject({ check: 'configuration', severity: 'note' });
    configure({ node: 'A' });
    const { status, stderr } = await overweft(flags);
    expect(status).toBe(1);
    expect(stderr).toContain(`${file}: node: must be a name`);
  });

  it('prints for people what it prints for programs', async () => {
    const { stdout } = await overweft(
      flags.filter((flag) => flag !== '--json'),
      { netns: 'owdoctor' },
    );
    expect(stdout).toMatch(/^ {2}ok +tun +\/dev\/net\/tun can be opened\n/);
    expect(stdout).toMatch(/\n0 errors, \d+ warnings, \d+ notes\n$/);
  });

  describe('names', () => {
    it('an underlay address that the host does not have, with those that it has', async () => {
      configure({ underlay: { addresses: ['192.0.2.9'] } });
      const { status, findings } = await examine();
      expect(status).toBe(1);
      expect(of(findings, 'underlay 192.0.2.9')[0]).toMatchObject({
        severity: 'error',
        message: expect.stringContaining('192.0.2.1 (under0)'),
        advice: expect.stringContaining('underlay.addresses'),
      });
    });

    it('an interface without carrier, and one with too small an MTU', async () => {
      await ns.exec('ip', 'link', 'set', 'under0', 'mtu', '1300');
      expect(of((await examine()).findings, 'mtu under0')[0]).toMatchObject({ severity: 'warning' });
      await ns.exec('ip', 'link', 'set', 'under0', 'mtu', '1500');
      await ns.exec('ip', 'link', 'set', 'under1', 'down');
      expect(of((await examine()).findings, 'underlay 192.0.2.1')[0]?.message).toBe('under0 has no carrier');
      await ns.exec('ip', 'link', 'set', 'under1', 'up');
    });

    it('who has its ports: a process, and a device of the kernel', async () => {
      configure({ encapsulation: 'vxlan', health: { port: 18256 } });
      await ns.exec(
        'ip',
        'link',
        'add',
        'flannel.1',
        'type',
        'vxlan',
        'id',
        '1',
        'dstport',
        '4789',
        'dev',
        'under0',
      );
      await ns.exec('ip', 'link', 'set', 'flannel.1', 'up');
      const hold = [
        'import socket, time',
        'u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 6081))',
        't = socket.socket(); t.bind(("127.0.0.1", 18256)); t.listen(); print("held", flush=True); time.sleep(600)',
      ];
      const holder = spawn('ip', ['netns', 'exec', 'owdoctor', 'python3', '-c', hold.join('\n')]);
      await once(holder.stdout, 'data');
      const { status, findings } = await examine();
      holder.kill();
      await ns.exec('ip', 'link', 'delete', 'flannel.1');
      expect(status).toBe(1);
      expect(of(findings, 'udp port 4789')[0]).toMatchObject({
        severity: 'error',
        message: 'is taken by flannel.1, a tunnel device of the kernel; it is for VXLAN',
        advice: 'ip link delete flannel.1, or set ports.vxlan',
      });
      const python = expect.stringMatching(/^is taken by python3\S* \(process \d+\)/);
      expect(of(findings, 'udp port 6081')[0]).toMatchObject({ severity: 'note', message: python });
      expect(of(findings, 'tcp port 18256')[0]).toMatchObject({ severity: 'error', message: python });
    });

    it('source ports of Services that the kernel gives to processes, too', async () => {
      const range = (text: string) => ns.exec('sysctl', '-qw', `net.ipv4.ip_local_port_range=${text}`);
      const shared = async () => of((await examine()).findings, 'source ports')[0];
      expect(await shared()).toMatchObject({ severity: 'ok' });
      await range('15000 65000');
      expect(await shared()).toMatchObject({
        severity: 'warning',
        message: expect.stringContaining('net.ipv4.ip_local_port_range is 15000 65000'),
        advice: expect.stringContaining('ip_local_reserved_ports=61000-65535'),
      });
      configure({ services: { sourcePorts: '65001-65535' } });
      expect(await shared()).toMatchObject({ severity: 'ok' });
      await range('32768 60999');
    });

    it('nobody whose port is at another address', async () => {
      configure({ dns: {}, health: { port: 18256 } });
      await ns.exec('ip', 'link', 'set', 'lo', 'up');
      const hold = [
        'import socket, time',
        'u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.53", 53))',
        't = socket.socket(socket.AF_INET6); t.bind(("::1", 18256)); t.listen()',
        'a = socket.socket(socket.AF_INET6); a.bind(("::", 53)); a.listen(); print("held", flush=True); time.sleep(600)',
      ];
      const holder = spawn('ip', ['netns', 'exec', 'owdoctor', 'python3', '-c', hold.join('\n')]);
      await once(holder.stdout, 'data');
      const { findings } = await examine();
      holder.kill();
      expect(of(findings, 'udp port 53')[0]).toMatchObject({ severity: 'ok' });
      expect(of(findings, 'tcp port 18256')[0]).toMatchObject({ severity: 'ok' });
      expect(of(findings, 'tcp port 53')[0]).toMatchObject({ severity: 'error' });
    });

    it('a route of another network to the addresses of pods', async () => {
      await ns.exec('ip', 'route', 'add', '10.244.7.0/24', 'dev', 'under0');
      const [route] = of((await examine()).findings, 'pod network');
      await ns.exec('ip', 'route', 'delete', '10.244.7.0/24');
      expect(route).toMatchObject({
        severity: 'warning',
        message: expect.stringContaining('10.244.7.0/24 by under0'),
      });
    });

    it('what daemons have left, with the command that removes it', async () => {
      const removals = [
        ['ip link delete ow-node', ['ip', 'tuntap', 'add', 'ow-node', 'mode', 'tap', 'multi_queue']],
        [
          'ip -4 rule delete preference 4401',
          ['ip', 'rule', 'add', 'preference', '4401', 'lookup', '24401', 'protocol', '244'],
        ],
        ['nft delete table inet overweft-masquerade', ['nft', 'add', 'table', 'inet', 'overweft-masquerade']],
      ] as const;
      for (const [, make] of removals) await must(make[0], make.slice(1), { netns: 'owdoctor' });
      mkdirSync(`${directory}/run`);
      writeFileSync(`${directory}/run/pid`, '999999999\n');
      const { findings } = await examine();
      rmSync(`${directory}/run`, { recursive: true });
      const advice = of(findings, 'leftovers').map((one) => one.advice);
      for (const [removal] of removals) {
        expect(advice).toContain(`to be rid of it: ${removal}`);
        await must('sh', ['-c', removal], { netns: 'owdoctor' });
      }
      expect(advice).toContain(`to be rid of it: rm -r ${directory}/run`);
      const after = of((await examine()).findings, 'leftovers');
      expect(after.map(({ message }) => message)).not.toContainEqual(expect.stringContaining('interface'));
    });

    it('another network that runtimes take first, and a plugin that is absent or old', async () => {
      mkdirSync(netD);
      writeFileSync(`${netD}/10-overweft.conflist`, '{}');
      const absent = await examine();
      expect(absent.status).toBe(1);
      expect(of(absent.findings, 'cni plugin')[0]).toMatchObject({
        severity: 'error',
        advice: `overweft cni install --bin-directory ${bin}`,
      });
      mkdirSync(bin);
      writeFileSync(`${bin}/overweft-cni`, 'old');
      writeFileSync(`${netD}/05-cilium.conf`, '{}');
      const { findings } = await examine();
      expect(of(findings, 'cni plugin')[0]?.severity).toBe('warning');
      expect(of(findings, 'cni configuration')[0]).toMatchObject({
        severity: 'error',
        message: expect.stringContaining('05-cilium.conf comes before'),
      });
      await overweft(['cni', 'install', '--bin-directory', bin]);
      rmSync(`${netD}/05-cilium.conf`);
      expect((await examine()).status).toBe(0);
    });

    it('capabilities that are missing, and what then cannot be done', async () => {
      const bounding = '-net_admin,-sys_admin,-net_raw';
      const { status, stdout } = await run('setpriv', [`--bounding-set=${bounding}`, ...program, ...flags]);
      expect(status).toBe(1);
      const findings = findingsIn(stdout);
      for (const check of ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'multiQueue'])
        expect(of(findings, check)[0]?.severity, check).toBe('error');
      expect(of(findings, 'CAP_NET_RAW')[0]).toMatchObject({ severity: 'warning' });
    });

    it('settings that cannot be made, as in a container', async () => {
      const script = 'mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys; exec "$@"';
      const examined = async () => {
        const { stdout } = await run('unshare', ['--mount', 'sh', '-c', script, 'sh', ...program, ...flags], {
          netns: 'owdoctor',
        });
        return findingsIn(stdout);
      };
      const set = (name: string, value: number) =>
        ns.exec('sh', '-c', `echo ${value} > /proc/sys/net/ipv4/${name}`);
      await set('conf/default/rp_filter', 1);
      await set('ip_forward', 0);
      const strict = await examined();
      expect(of(strict, 'sysctl')[0]).toMatchObject({
        severity: 'warning',
        message: expect.stringContaining('/proc/sys is read-only'),
      });
      expect(of(strict, 'forwarding')[0]).toMatchObject({
        severity: 'warning',
        advice: expect.stringContaining('sysctl -w net.ipv4.ip_forward=1'),
      });
      await set('conf/default/rp_filter', 2);
      expect(of(await examined(), 'sysctl')[0]).toMatchObject({ severity: 'note' });
    });

    it('programs that are not installed, and goes on without them', async () => {
      const { status, findings } = await examine({ env: { PATH: '/nowhere' } });
      expect(status).toBe(1);
      expect(of(findings, 'ip')[0]).toMatchObject({ severity: 'error', advice: 'install iproute2' });
      expect(of(findings, 'nft')[0]).toMatchObject({ severity: 'warning', advice: 'install nftables' });
      expect(of(findings, 'clock')).toHaveLength(1);
    });
  });

  it('tells of the daemon that runs: its own ports, and objects that it cannot use', async () => {
    const more = { underlay: { addresses: ['192.0.2.1'] }, health: { port: 18257 } };
    await using node = await overweftNode('owdoctor', more, ['10.244.1.0/24'], []);
    const ask = () => examine({ netns: 'owdoctor' }, ['doctor', '--json', '--config', node.daemon.config]);
    const good = (await ask()).findings;
    for (const check of ['udp port 6081', 'tcp port 18257']) {
      expect(of(good, check)[0], check).toMatchObject({
        severity: 'ok',
        message: expect.stringContaining("is the daemon's"),
      });
    }
    expect(of(good, 'daemon')[0]).toMatchObject({ severity: 'ok' });
    writeFileSync(`${node.manifests}/bad.yaml`, 'apiVersion: v1\nkind: Pod\nmetadata: {name: B}\n');
    await expect
      .poll(async () => of((await ask()).findings, 'cluster state')[0], { timeout: 30_000 })
      .toMatchObject({ severity: 'error', message: expect.stringContaining('bad.yaml') });
  });
});
