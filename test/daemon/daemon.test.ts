// One real daemon in a network namespace of its own: API, status, metrics, faults, start and stop.
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Status } from '../../src/daemon/status.ts';
import { type Netns, netns } from '../support/netns.ts';
import { type OverweftNode, overweftNode, program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { overweft, run } from '../support/run.ts';
import { STRANGER, stranger } from '../support/stranger.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

function call(socketPath: string, method: string, path: string, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describeWith([root, tun], 'daemon', () => {
  const names = { node: 'owctl-node', pod: 'owctl-pod', far: 'owctl-far' };
  let nodeNs: Netns;
  let podNs: Netns;
  let farNs: Netns;
  let node: OverweftNode;
  let socket: string;

  beforeAll(async () => {
    nodeNs = await netns(names.node);
    podNs = await netns(names.pod);
    farNs = await netns(names.far);
    await nodeNs.exec(
      'ip',
      'link',
      'add',
      'under0',
      'type',
      'veth',
      'peer',
      'name',
      'under0',
      'netns',
      names.far,
    );
    for (const [i, ns] of [nodeNs, farNs].entries()) {
      await ns.exec('ip', 'address', 'add', `192.0.2.${i + 1}/24`, 'dev', 'under0');
      await ns.exec('ip', 'link', 'set', 'under0', 'up');
    }
    node = await overweftNode(
      names.node,
      {
        underlay: { addresses: ['192.0.2.1'], interface: 'under0' },
        metrics: { address: '127.0.0.1' },
        health: {},
        tables: { endpoints: 24 },
        liveness: { interval: 1, timeout: 2 },
        peers: [{ name: 'far', addresses: ['192.0.2.2'], podCIDRs: ['10.244.2.0/24'], probe: '10.244.2.1' }],
      },
      ['10.244.1.0/24', 'fd00:244:1::/64'],
      [{ name: 'pod-1', netns: names.pod, ips: ['10.244.1.2', 'fd00:244:1::2'] }],
    );
    socket = node.daemon.socket;
  }, 30_000);
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    for (const ns of [nodeNs, podNs, farNs]) await ns?.[Symbol.asyncDispose]();
  });

  const status = async () => JSON.parse((await call(socket, 'GET', '/v1/status')).text) as Status;
  const manifest = (name: string, object: object | string) => {
    writeFileSync(`${node.manifests}/.new`, typeof object === 'string' ? object : JSON.stringify(object));
    renameSync(`${node.manifests}/.new`, `${node.manifests}/${name}`);
  };
  const soon = <T>(assertion: () => Promise<T>) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });

  describe('API', () => {
    it('is for its owner only', () => {
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      for (const name of ['flows', 'ports.json', 'pid']) {
        expect(statSync(`${dirname(socket)}/${name}`).mode & 0o777, name).toBe(0o600);
      }
    });

    it('sets up a pod with its addresses, a gateway, and the MTU of the tunnel', async () => {
      const [link] = JSON.parse(await podNs.exec('ip', '-json', 'address', 'show', 'dev', 'eth0'));
      expect(link).toMatchObject({ mtu: 1450, flags: expect.arrayContaining(['UP', 'LOWER_UP']) });
      const addresses = link.addr_info.map(
        (one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`,
      );
      expect(addresses).toEqual(expect.arrayContaining(['10.244.1.2/32', 'fd00:244:1::2/128']));
      const [route] = JSON.parse(await podNs.exec('ip', '-json', 'route', 'show', 'default'));
      expect(route).toMatchObject({ gateway: '169.254.1.1', dev: 'eth0' });
      const [port] = (await status()).ports.filter(({ kind }) => kind === 'pod');
      expect(port).toMatchObject({ name: 'default/pod-1', mac: link.address, mtu: 1450, isolated: [] });
    });

    it('lets the node and its pod reach each other, in both families', async () => {
      for (const [ns, target] of [
        [names.pod, '10.244.1.1'],
        [names.pod, 'fd00:244:1::1'],
        [names.pod, '192.0.2.1'],
        [names.node, '10.244.1.2'],
        [names.node, 'fd00:244:1::2'],
      ] as const) {
        const { status, stdout } = await run('ping', ['-c', '1', '-W', '2', target], { netns: ns });
        expect(status, `${ns} → ${target}\n${stdout}`).toBe(0);
      }
    });

    it('attaches again without harm', async () => {
      const body = JSON.stringify({ netns: `/run/netns/${names.pod}` });
      const answer = await call(socket, 'PUT', '/v1/ports/default/pod-1', body);
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toMatchObject({ interface: 'eth0', slot: 2, mtu: 1450 });
    });

    it.each([
      ['PUT', '/v1/ports/default/pod-1', '{', 400, 'the body is no JSON'],
      ['PUT', '/v1/ports/default/pod-1', '{"netns": "x"}', 400, 'netns: must be an absolute path'],
      ['PUT', '/v1/ports/default/pod-1', '{"netns": "/x", "mtu": 1}', 400, 'mtu: is not a known field'],
      [
        'PUT',
        '/v1/ports/default/pod-1',
        '{"netns": "/x", "interface": "a/b"}',
        400,
        'interface: must be an interface name',
      ],
      [
        'PUT',
        '/v1/ports/default/pod-1',
        '{"netns": "/run/netns/none"}',
        400,
        '/run/netns/none does not exist',
      ],
      ['PUT', '/v1/ports/Default/pod-1', '{}', 400, 'Default is no Kubernetes name'],
      ['POST', '/v1/ports/default/pod-1', '', 405, 'must be PUT or DELETE'],
      ['GET', '/v2', '', 404, '/v2: no such resource'],
      ['POST', '/metrics', '', 405, 'must be GET'],
    ])('refuses %s %s %s', async (method, path, body, code, message) => {
      const answer = await call(socket, method, path, body);
      expect(answer.status).toBe(code);
      expect(JSON.parse(answer.text).error).toContain(message);
    });

    it('waits for a pod that is announced later', async () => {
      const late = await netns('owctl-late');
      try {
        const answered = call(
          socket,
          'PUT',
          '/v1/ports/default/late',
          JSON.stringify({ netns: '/run/netns/owctl-late' }),
        );
        await new Promise((resolve) => setTimeout(resolve, 200));
        manifest('late.yaml', {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'late' },
          spec: { nodeName: 'node-1' },
          status: { podIPs: [{ ip: '10.244.1.9' }] },
        });
        expect((await answered).status).toBe(200);
        const { status: ping } = await run('ping', ['-c', '1', '-W', '2', '10.244.1.2'], {
          netns: 'owctl-late',
        });
        expect(ping).toBe(0);
        const gone = await call(socket, 'DELETE', '/v1/ports/default/late');
        expect(JSON.parse(gone.text)).toEqual({ detached: true });
        expect((await run('ip', ['link', 'show', 'eth0'], { netns: 'owctl-late' })).status).not.toBe(0);
        const again = await call(socket, 'DELETE', '/v1/ports/default/late');
        expect(JSON.parse(again.text)).toEqual({ detached: false });
      } finally {
        await late[Symbol.asyncDispose]();
      }
    });

    it('attaches no pod that it cannot remember, and detaches all the same', async () => {
      await using first = await netns('owctl-first');
      await using second = await netns('owctl-second');
      manifest('second.yaml', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'second' },
        spec: { nodeName: 'node-1' },
        status: { podIPs: [{ ip: '10.244.1.10' }] },
      });
      const attach = (pod: string, ns: Netns) =>
        call(socket, 'PUT', `/v1/ports/default/${pod}`, JSON.stringify({ netns: `/run/netns/${ns.name}` }));
      const hasEth0 = async (ns: Netns) =>
        (await run('ip', ['link', 'show', 'eth0'], { netns: ns.name })).status === 0;
      const pods = async () =>
        (await status()).ports.flatMap(({ kind, name }) => (kind === 'pod' ? [name] : []));
      const remembered = () => readFileSync(`${dirname(socket)}/ports.json`, 'utf8');
      expect((await attach('late', first)).status).toBe(200);
      // Where the new list is to be written there is something else.
      const inTheWay = `${dirname(socket)}/ports.json.new`;
      mkdirSync(inTheWay);
      try {
        const refused = await attach('second', second);
        expect(refused.status).toBe(500);
        expect(JSON.parse(refused.text).error).toContain('/ports.json: cannot be written: ');
        expect([await hasEth0(second), await pods()]).toEqual([false, ['default/pod-1', 'default/late']]);
        const gone = await call(socket, 'DELETE', '/v1/ports/default/late');
        expect(JSON.parse(gone.text)).toEqual({ detached: true });
        expect([await hasEth0(first), await pods()]).toEqual([false, ['default/pod-1']]);
        expect(remembered()).toContain('late');
      } finally {
        rmdirSync(inTheWay);
      }
      await soon(async () => expect(remembered()).not.toContain('late'));
      expect((await attach('second', second)).status).toBe(200);
      expect((await call(socket, 'DELETE', '/v1/ports/default/second')).status).toBe(200);
    });

    it('forgets a pod whose interface is deleted under it', async () => {
      const robbed = await netns('owctl-robbed');
      try {
        const body = JSON.stringify({ netns: '/run/netns/owctl-robbed' });
        expect((await call(socket, 'PUT', '/v1/ports/default/late', body)).status).toBe(200);
        await robbed.exec('ip', 'link', 'delete', 'eth0');
        await soon(async () =>
          expect((await status()).ports.map(({ name }) => name)).not.toContain('default/late'),
        );
      } finally {
        await robbed[Symbol.asyncDispose]();
      }
    });

    it('forgets a pod whose namespace is deleted under it', async () => {
      const doomed = await netns('owctl-doomed');
      const body = JSON.stringify({ netns: '/run/netns/owctl-doomed' });
      expect((await call(socket, 'PUT', '/v1/ports/default/late', body)).status).toBe(200);
      await doomed[Symbol.asyncDispose]();
      await soon(async () =>
        expect((await status()).ports.map(({ name }) => name)).not.toContain('default/late'),
      );
    });
  });

  describe('status', () => {
    it('accounts for every received frame and names workers without capabilities', async () => {
      const { counters, capabilities, tables, offloads } = await status();
      const dropped = Object.values(counters.dropped).reduce((sum, count) => sum + count, 0);
      expect(counters.received).toBe(counters.forwarded + counters.consumed + dropped);
      expect(counters.received).toBeGreaterThan(0);
      expect(capabilities.workers).toEqual(['0x0']);
      expect(capabilities.control).toBe('0x203000');
      expect(tables).toMatchObject({ endpoints: { capacity: 24 }, ports: { capacity: 1024 } });
      expect(Object.keys(offloads).sort()).toEqual([
        'coalesce',
        'tso',
        'tunnelGso',
        'udpGro',
        'udpSegment',
        'uso',
      ]);
    });

    it('is printed for people and for programs', async () => {
      const text = await overweft(['status', '--socket', socket]);
      expect(text.stdout).toMatch(/^Node\n {2}name +node-1\n/);
      expect(text.stdout).toMatch(/Addresses of pods by CNI\n {2}10\.244\.1\.0\/24 +0 +of +253/);
      expect(text.stdout).toMatch(/default\/pod-1 +2 +10\.244\.1\.2 fd00:244:1::2 +1450/);
      const json = await overweft(['status', '--socket', socket, '--json']);
      expect(JSON.parse(json.stdout)).toMatchObject({ node: 'node-1', fault: null });
      const nobody = await overweft(['status', '--socket', '/nowhere']);
      expect(nobody).toMatchObject({ status: 1, stdout: '' });
      expect(nobody.stderr).toContain('/nowhere: no daemon listens there');
    });

    it('is served to Prometheus with the same numbers', async () => {
      const { stdout } = await run('curl', ['-s', 'http://127.0.0.1:9464/metrics'], { netns: names.node });
      const { text } = await call(socket, 'GET', '/metrics');
      for (const metrics of [stdout, text]) {
        expect(metrics).toMatch(/^overweft_table_capacity\{table="endpoints"\} 24$/m);
        expect(metrics).toMatch(
          /^overweft_pod_addresses\{range="10\.244\.1\.0\/24",state="capacity"\} 253$/m,
        );
        expect(metrics).toMatch(/^overweft_received_total \d+$/m);
        expect(metrics).toMatch(
          /^overweft_tunnel_mtu_bytes\{peer="far",encapsulation="geneve",family="ipv4"\} 1450$/m,
        );
      }
      const outside = await run('curl', ['-s', 'http://127.0.0.1:9464/v1/status'], { netns: names.node });
      expect(outside.stdout).toContain('no such resource');
    });

    it('answers kubelets and load balancers where kube-proxy does, and nobody else there', async () => {
      for (const path of ['livez', 'readyz', 'healthz']) {
        const health = await run('curl', ['-s', `http://127.0.0.1:10256/${path}`], { netns: names.node });
        expect(JSON.parse(health.stdout), path).toMatchObject({ ok: true });
      }
      for (const path of ['metrics', 'v1/status']) {
        const other = await run('curl', ['-s', `http://127.0.0.1:10256/${path}`], { netns: names.node });
        expect(other.stdout, path).toContain('no such resource');
      }
    });

    it('Services 6: fails /healthz under the taint of a leaving node, and stays alive', async () => {
      const healthz = async () => JSON.parse((await call(socket, 'GET', '/healthz')).text);
      const leaving = (taints: object[]) =>
        manifest('node.yaml', {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name: 'node-1' },
          spec: { podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'], taints },
        });
      leaving([{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }]);
      await soon(async () =>
        expect(await healthz()).toEqual({
          ok: false,
          nodeEligible: false,
          error: 'the node is about to be deleted',
        }),
      );
      expect((await call(socket, 'GET', '/healthz')).status).toBe(503);
      expect((await call(socket, 'GET', '/livez')).status).toBe(200);
      expect((await call(socket, 'GET', '/readyz')).status).toBe(200);
      leaving([]);
      await soon(async () => expect(await healthz()).toEqual({ ok: true, nodeEligible: true }));
    });

    it('calls a peer dead that neither answers nor sends', async () => {
      await soon(async () => expect((await status()).peers[0]).toMatchObject({ name: 'far', state: 'dead' }));
    });

    it('finds that a path carries less than its route says, and lowers the MTU of pods', async () => {
      await farNs.exec('ip', 'link', 'set', 'under0', 'mtu', '1400');
      const program = JSON.parse(readFileSync(`${dirname(socket)}/pid`, 'utf8')) as number;
      expect(program).toBe(node.daemon.pid);
      // The next ping is minutes away; routes are looked up every ten seconds.
      await nodeNs.exec('ip', 'route', 'replace', '192.0.2.2/32', 'dev', 'under0', 'mtu', '1380');
      await vi.waitFor(
        async () => {
          expect((await status()).peers[0]?.tunnels[0]?.mtu).toBe(1330);
          expect(await podNs.exec('ip', 'link', 'show', 'eth0')).toContain('mtu 1330');
        },
        { timeout: 35_000, interval: 500 },
      );
    }, 40_000);
  });

  describe('cluster state', () => {
    it('that is bad or does not fit leaves the last good one live', async () => {
      const { epoch } = await status();
      manifest('bad.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nstatus: {podIPs: [{ip: y}]}');
      await soon(async () => {
        const { store } = await status();
        expect(store.faults).toEqual([
          {
            source: 'bad.yaml',
            object: 'Pod default/x',
            field: 'status.podIPs[0].ip',
            message: expect.stringContaining('must be an IPv4'),
          },
        ]);
      });
      const many = Array.from({ length: 60 }, (_, i) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `many-${i}` },
        spec: { nodeName: 'far' },
        status: { podIPs: [{ ip: `10.244.2.${i + 10}` }] },
      }));
      manifest('bad.yaml', { apiVersion: 'v1', kind: 'List', items: many });
      await soon(async () =>
        expect((await status()).fault).toMatch(/^tables\.endpoints is 24 and \d+ are needed/),
      );
      expect((await status()).epoch).toBe(epoch);
      expect((await call(socket, 'GET', '/healthz')).status).toBe(200);
      const { status: ping } = await run('ping', ['-c', '1', '-W', '2', '10.244.1.1'], { netns: names.pod });
      expect(ping).toBe(0);
      manifest('bad.yaml', '');
      await soon(async () => expect((await status()).fault).toBeNull());
    });
  });

  describe('process', () => {
    it('is the only one in its run directory', async () => {
      const second = await overweft(['run', '--config', node.daemon.config]);
      expect(second.status).toBe(1);
      expect(second.stderr).toContain('is in use: another daemon runs with this runDirectory');
      expect((await call(socket, 'GET', '/healthz')).status).toBe(200);
    });

    it('is the only one in its network namespace', async () => {
      const config = readFileSync(node.daemon.config, 'utf8');
      const file = `${node.manifests}/../other.yaml`;
      writeFileSync(file, config.replace(/^runDirectory: .*$/m, `runDirectory: ${node.manifests}/../other`));
      const second = await overweft(['run', '--config', file], { netns: names.node });
      expect(second.status).toBe(1);
      expect(second.stderr).toContain('another daemon runs in this network namespace');
      expect((await call(socket, 'GET', '/healthz')).status).toBe(200);
    });

    it('starts where a stranger has taken its name', async () => {
      await using ns = await netns('owctl-stranger');
      await ns.exec('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lo');
      using _stranger = await stranger('overweft-node', ns.name);
      const underlay = { addresses: ['192.0.2.1'] };
      await using other = await overweftNode(ns.name, { underlay }, ['10.244.1.0/24'], []);
      expect(other.log()).toContain(
        `"user":${STRANGER},"msg":"somebody else has the Unix socket @overweft-node`,
      );
    });

    it('ends when it cannot start, however far it has come', async () => {
      await using ns = await netns('owctl-late-end');
      const directory = `${node.manifests}/../late-end`;
      const file = `${directory}.yaml`;
      const config = {
        node: 'node-1',
        runDirectory: directory,
        store: { type: 'file', directory: node.manifests },
        underlay: { addresses: ['192.0.2.1'] },
        // In a directory that is not there: found out when workers and TAPs are.
        api: { socket: `${directory}/nowhere/overweft.sock` },
      };
      writeFileSync(file, JSON.stringify(config));
      const { status, stderr } = await overweft(['run', '--config', file], { netns: ns.name });
      expect({ status, stderr }).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('cannot start: listen'),
      });
      expect(existsSync(`${directory}/pid`)).toBe(false);
    });

    it('says how much room its run directory lacks, in one line', async () => {
      const directory = `${node.manifests}/../full`;
      mkdirSync(directory);
      const config = readFileSync(node.daemon.config, 'utf8');
      const file = `${directory}.yaml`;
      writeFileSync(file, config.replace(/^runDirectory: .*$/m, `runDirectory: ${directory}`));
      const full = `mount -t tmpfs -o size=256k none ${directory} && exec "$@"`;
      const { status, stderr } = await run('unshare', [
        ...['--mount', 'sh', '-c', full, 'sh', ...program, 'run', '--config', file],
      ]);
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /^\{.*"msg":"cannot start: .*\/full\/flows: no room for \d+ MiB of connections.*\}\n$/,
      );
      expect(stderr).toContain('tables.flows');
      expect(stderr).not.toContain('stack');
    });

    it('does not start with a wrong configuration, and lists every error', async () => {
      const config = `${node.manifests}/../wrong.yaml`;
      writeFileSync(config, 'node: node-1\nunderlay: {addresses: [x]}\nextra: 1\n');
      const { status, stderr, stdout } = await overweft(['run', '--config', config]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain('store: ');
      expect(stderr).toContain('underlay.addresses[0]: must be an IPv4 or IPv6 address');
      expect(stderr).toContain('extra: is not a known field');
    });

    it('stops on SIGTERM, and leaves TAPs for its successor but neither socket nor pid', async () => {
      process.kill(node.daemon.pid, 'SIGTERM');
      await vi.waitFor(() => expect(node.daemon.ended()).toBe('exit status 0'), { timeout: 20_000 });
      expect([existsSync(socket), existsSync(`${dirname(socket)}/pid`)]).toEqual([false, false]);
      expect(await podNs.exec('ip', 'address', 'show', 'dev', 'eth0')).toContain('10.244.1.2/32');
    });
  });
});
