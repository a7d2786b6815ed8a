// `overweft lab up / down / demo`, as a user runs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { answersPing } from '../support/answers-ping.ts';
import { labDown, labUp, leftovers } from '../support/lab.ts';
import { netns } from '../support/netns.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { overweft, run } from '../support/run.ts';

describeWith([root, tun], 'lab', () => {
  afterEach(async () => void (await labDown()));

  it('describes itself as documented', async () => {
    await using lab = await labUp('--nodes', '2', '--pods-per-node', '2');
    const state = '/run/overweft-lab';
    expect(lab.manifests).toBe(`${state}/manifests`);
    expect(lab.nodes).toEqual(
      [1, 2].map((i) => ({
        name: `node-${i}`,
        netns: `ow-node${i}`,
        ips: [`192.0.2.${i}`, `2001:db8::${i}`],
        config: `${state}/node-${i}/config.yaml`,
        socket: expect.stringContaining(`${state}/node-${i}/`),
        log: expect.stringContaining(`${state}/node-${i}/`),
        pid: expect.any(Number),
      })),
    );
    expect(lab.pods).toEqual(
      [1, 2, 1, 2].map((i, index) => ({
        name: `pod-${index + 1}`,
        namespace: 'default',
        netns: `ow-pod${index + 1}`,
        node: `node-${i}`,
        ips: [`10.244.${i}.${index + 2}`, `fd00:244:${i}::${index + 2}`],
      })),
    );
    for (const { pid, socket } of lab.nodes) {
      expect(() => process.kill(pid, 0)).not.toThrow();
      expect(existsSync(socket)).toBe(true);
    }
    expect(await answersPing('ow-pod1', '10.244.1.4'), 'pods of one node').toBe(true);
    expect(await answersPing('ow-pod1', 'fd00:244:2::5'), 'pods of two nodes').toBe(true);
    expect(await answersPing('ow-node1', '10.244.1.2'), 'a node and its pod').toBe(true);
    expect(await answersPing('ow-pod2', 'fd00:244:2::1'), 'a pod and its node').toBe(true);
  });

  it('takes all down, and again without complaint', async () => {
    await labUp();
    expect((await labDown()).status).toBe(0);
    expect(leftovers()).toEqual([]);
    expect((await labDown()).status).toBe(0);
  });

  it('refuses a second lab and names what removes the first', async () => {
    await using lab = await labUp();
    const second = await overweft(['lab', 'up', '--json']);
    expect(second.status).toBe(1);
    expect(second.stdout).toBe('');
    expect(second.stderr).toContain('overweft lab down');
    expect(await answersPing('ow-pod1', lab.pods[1]?.ips[0] ?? ''), 'the first goes on').toBe(true);
  });

  it('removes what a crash left behind', async () => {
    const lab = await labUp();
    for (const { pid } of lab.nodes) process.kill(pid, 'SIGKILL');
    await run('ip', ['netns', 'delete', 'ow-node1']);
    expect((await overweft(['lab', 'up'])).status).toBe(1);
    expect((await labDown()).status).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it('removes a daemon that does not listen to SIGTERM', async () => {
    const lab = await labUp();
    process.kill(lab.nodes[0]?.pid ?? 0, 'SIGSTOP');
    expect((await labDown()).status).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it('fails where one link is broken, names the pairs and leaves nothing', async () => {
    const starting = overweft(['lab', 'up', '--json']);
    const broken = breakLink('node-2', starting);
    const { status, stdout, stderr } = await starting;
    await broken;
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('pod-1 → pod-2 (10.244.2.3)');
    expect(stderr).toContain('pod-2 → pod-1 (fd00:244:1::2)');
    expect(stderr).not.toMatch(/node-\d → /);
    expect(leftovers()).toEqual([]);
  });

  it('ends with all taken down when it is interrupted', async () => {
    for (const command of ['up', 'demo']) {
      const { status } = await overweft(['lab', command], { timeoutMs: 1500 });
      expect(status, command).not.toBe(0);
      expect(leftovers(), command).toEqual([]);
    }
  });

  it('takes all down when nobody reads on', async () => {
    const closed = '"$@" lab demo 2>&1 | head -n 1';
    const { stdout } = await run('sh', ['-c', closed, 'sh', ...program]);
    expect(stdout).toMatch(/^Overweft: two nodes.*\n$/);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    [['--encap', 'gre'], /geneve, vxlan, ipip/],
    [['--underlay', '4'], /ipv4, ipv6/],
    [['--nodes', '0'], /--nodes/],
    [['--pods-per-node', 'two'], /--pods-per-node/],
    [['--nodes', '20', '--pods-per-node', '20'], /253/],
  ])('says what would be right instead of %s', async (args, right) => {
    const { status, stderr } = await overweft(['lab', 'up', ...args]);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(right);
    expect(leftovers()).toEqual([]);
  });

  it('leaves namespaces alone that are not its own', async () => {
    await using other = await netns('ow-visitor');
    await labDown();
    expect(await other.exec('ip', 'link', 'show', 'lo')).toContain('lo');
  });

  it('leaves the lab of another mount namespace alone', async () => {
    const script =
      'mount -t tmpfs none /run && "$@" lab up >&2 && echo up && read go && ' +
      '"$@" status --socket /run/overweft-lab/node-1/run/overweft.sock && "$@" lab down';
    const isolated = ['--mount', '--net', '--propagation', 'private', 'sh', '-c', script, 'sh', ...program];
    const other = spawn('unshare', isolated, { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(other.stdout, 'data');
    other.stdout.resume();
    await labDown();
    other.stdin.end('go\n');
    expect(await once(other, 'exit')).toEqual([0, null]);
  });

  it('needs no more than the root of a user namespace', async () => {
    const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
    const unshare = ['--user', '--map-root-user', '--net', '--mount', 'sh', '-c', script];
    const { status, stdout, stderr } = await run('unshare', [...unshare, ...program, 'lab', 'demo']);
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('nothing left behind');
  });

  describe('demo', () => {
    it('tells its story on one screen and leaves nothing', async () => {
      const begin = Date.now();
      const { status, stdout, stderr } = await overweft(['lab', 'demo']);
      expect(status, stderr).toBe(0);
      const lines = stdout.trimEnd().split('\n');
      expect(lines.length).toBeLessThanOrEqual(24);
      for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(100);
      for (const part of ['GENEVE', '10.244.2.3', 'fd00:244:2::3', 'Gbit/s', 'forbidden', 'policy-ingress']) {
        expect(stdout).toContain(part);
      }
      expect(leftovers()).toEqual([]);
      expect(Date.now() - begin).toBeLessThan(60_000);
    });
  });
});

/** Takes a node off the underlay's bridge as soon as it is there, again and again until `during` has ended. */
async function breakLink(link: string, during: Promise<unknown>): Promise<void> {
  let over = false;
  const done = () => {
    over = true;
  };
  during.then(done, done);
  while (!over) {
    await run('ip', ['-n', 'ow-underlay', 'link', 'set', link, 'nomaster']);
    await sleep(20);
  }
}
