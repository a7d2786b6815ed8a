// `overweft policy diff` as a user meets it, over captures of real traffic.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pcapHeader, pcapRecord } from '../capture-file/bytes.ts';
import { node, pod, policy } from '../support/cluster.ts';
import { ethernet, SYN, tcpPacket } from '../support/packets.ts';
import { overweft } from '../support/run.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}.pcapng`, import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'overweft-diff-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function state(name: string, ...items: readonly object[]): string {
  const directory = join(folder, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'all.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return directory;
}

function capture(name: string, ...parts: readonly Uint8Array[]): string {
  const file = join(folder, name);
  writeFileSync(file, Buffer.concat([pcapHeader(), ...parts]));
  return file;
}

/** The two pods whose traffic the fixtures of the lab hold. */
const pods = [
  node(1),
  node(2),
  pod({ name: 'pod-1', ips: ['10.244.1.2', 'fd00:244:1::2'], labels: { app: 'pod-1' } }),
  pod({ name: 'pod-2', node: 'node-2', ips: ['10.244.2.3', 'fd00:244:2::3'], labels: { app: 'pod-2' } }),
];
const isPod2 = { podSelector: { matchLabels: { app: 'pod-2' } } };
const deny = policy('deny', { ...isPod2, policyTypes: ['Ingress'] });
const udpOnly = policy('udp', { ...isPod2, ingress: [{ ports: [{ protocol: 'UDP', port: 5001 }] }] });

const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' };
const call = pcapRecord(
  ethernet(macs, tcpPacket({ src: '10.244.1.2', dst: '10.244.2.3' }, { dport: 5432, flags: SYN })),
);

describe('overweft policy diff', () => {
  it('tells flows under the decisions that change them', async () => {
    const [old, next] = [state('open', ...pods), state('deny', ...pods, deny, udpOnly)];
    const file = fixture('lab-geneve-ipv6');
    const { status, stdout, stderr } = await overweft(['policy', 'diff', '--old', old, '--new', next, file]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.replaceAll(file, 'FILE').split('\n')).toEqual([
      'now denied',
      '  ingress: allow (not-isolated) → deny (default-deny: NetworkPolicy:default/deny, NetworkPolicy:default/udp)',
      '    TCP default/pod-1 → default/pod-2:5001  12 packets, 2107 bytes, first FILE:3',
      '    TCP default/pod-1 → default/pod-2:5002  12 packets, 2327 bytes, first FILE:21',
      '    UDP default/pod-1 → default/pod-2:5002  4 packets, 2971 bytes, first FILE:33',
      '    ICMP default/pod-1 → default/pod-2  2 packets, 168 bytes, first FILE:1',
      '    ICMPv6 default/pod-1 → default/pod-2  2 packets, 208 bytes, first FILE:19',
      '72 packets: 32 now denied, 0 now allowed, 40 as before (4 by another rule), 0 not judged',
      '',
    ]);
  });

  it.each(['lab-geneve-ipv6', 'lab-ipip-ipv4', 'lab-ipip-ipv6', 'lab-pod'])(
    'judges every packet of %s, and the opposite change as the opposite',
    async (name) => {
      const [old, next] = [state('open', ...pods), state('deny', ...pods, deny)];
      const sums = async (before: string, after: string) => {
        const { stdout } = await overweft([
          ...['policy', 'diff', '--json', '--old', before, '--new', after],
          fixture(name),
        ]);
        return JSON.parse(stdout.trim().split('\n').at(-1) ?? '').summary;
      };
      const there = await sums(old, next);
      const back = await sums(next, old);
      expect(there.changed['now-denied']).toBeGreaterThan(30);
      expect(there.changed['now-allowed']).toBe(0);
      expect(back.changed).toEqual({
        'now-denied': 0,
        'now-allowed': there.changed['now-denied'],
        'other-rule': 0,
      });
      const { packets, unchanged, changed, notJudged } = there;
      const unjudged = Object.values(notJudged as Record<string, number>).reduce((sum, n) => sum + n, 0);
      expect(unchanged + changed['now-denied'] + unjudged).toBe(packets);
    },
  );

  it('--json prints an object a flow, and one with the sums', async () => {
    const [old, next] = [state('open', ...pods), state('deny', ...pods, deny)];
    const file = capture('call.pcap', call);
    const { stdout } = await overweft(['policy', 'diff', '--json', '--old', old, '--new', next, file]);
    const none = '{"verdict":"allow","policies":[],"rule":null,"reason":"not-isolated"}';
    const denied =
      '{"verdict":"deny","policies":["NetworkPolicy:default/deny"],"rule":null,"reason":"default-deny"}';
    expect(stdout.split('\n')).toEqual([
      `{"change":"now-denied","protocol":"TCP","from":{"address":"10.244.1.2","pod":"default/pod-1"},"to":{"address":"10.244.2.3","pod":"default/pod-2"},"port":5432,"packets":1,"bytes":40,"first":{"file":"${file}","n":1},"old":{"verdict":"allow","egress":${none},"ingress":${none}},"new":{"verdict":"deny","egress":${none},"ingress":${denied}}}`,
      '{"summary":{"packets":1,"unchanged":0,"changed":{"now-denied":1,"now-allowed":0,"other-rule":0},"notJudged":{},"unlisted":0,"forgotten":0}}',
      '',
    ]);
  });

  it('--other-rules lists what keeps its fate, too', async () => {
    const all = policy('all', { ...isPod2, ingress: [{}] });
    const [old, next] = [state('open', ...pods), state('all', ...pods, all)];
    const args = ['policy', 'diff', '--old', old, '--new', next, capture('other.pcap', call)];
    expect((await overweft(args)).stdout).toBe(
      '1 packet: 0 now denied, 0 now allowed, 1 as before (1 by another rule), 0 not judged\n',
    );
    expect((await overweft([...args, '--other-rules'])).stdout).toContain(
      'other rule decides\n  ingress: allow (not-isolated) → allow (rule 0 of NetworkPolicy:default/all)\n',
    );
  });

  it('--exit-code tells by its status whether a packet changes its fate', async () => {
    const [old, next] = [state('open', ...pods), state('deny', ...pods, deny)];
    const file = capture('status.pcap', call);
    const status = async (...args: string[]) => (await overweft(['policy', 'diff', ...args, file])).status;
    expect(await status('--old', old, '--new', next)).toBe(0);
    expect(await status('--exit-code', '--old', old, '--new', next)).toBe(2);
    expect(await status('--exit-code', '--old', next, '--new', next)).toBe(0);
    const cut = capture('cut.pcap', call, call.subarray(0, 30));
    expect((await overweft(['policy', 'diff', '--exit-code', '--old', old, '--new', next, cut])).status).toBe(
      1,
    );
  });

  it('says where a file is damaged, and counts what could be read of it and of the next', async () => {
    const [old, next] = [state('open', ...pods), state('deny', ...pods, deny)];
    const damaged = capture('damaged.pcap', call, call.subarray(0, 20));
    const missing = join(folder, 'missing.pcap');
    const { status, stdout, stderr } = await overweft([
      ...['policy', 'diff', '--old', old, '--new', next],
      ...[damaged, missing, capture('good.pcap', call)],
    ]);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `overweft: ${damaged}: byte ${24 + call.length}: packet cut short: 4 of ${call.length - 16} bytes\n` +
        `overweft: ${missing}: ENOENT: no such file or directory, open '${missing}'\n`,
    );
    expect(stdout).toContain(
      `TCP default/pod-1 → default/pod-2:5432  2 packets, 80 bytes, first ${damaged}:1`,
    );
  });

  it('names a directory that is not there', async () => {
    const old = state('open', ...pods);
    const none = join(folder, 'none');
    for (const [before, after, option] of [
      [old, none, 'new'],
      [none, old, 'old'],
    ] as const) {
      const { status, stdout, stderr } = await overweft([
        'policy',
        'diff',
        '--old',
        before,
        '--new',
        after,
        'x',
      ]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^overweft: --${option}: ${none}: cannot be read: ENOENT: .*\\n$`));
    }
  });

  it('names what is wrong with either state', async () => {
    const bad = state('bad', ...pods, policy('typo', { podSelector: {}, ingres: [] }));
    const empty = state('empty', node(1));
    const { status, stdout, stderr } = await overweft([
      ...['policy', 'diff', '--old', bad, '--new', empty],
      capture('unread.pcap', call),
    ]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(
      'overweft: --old: all.json: NetworkPolicy default/typo: items[4].spec.ingres: is not a known field\n' +
        `--new: ${empty}: holds no Pod with an address, so that nothing can be judged\n`,
    );
  });
});
