/**
 * What a transfer costs in system calls and packets, as the kernel counts them: a guard for the shape of the data path
 * that does not depend on how fast the machine is today. The bounds leave room for how busy it is.
 *
 *     pod 1 ── TAP reads ── node 1 ── sends ══ packets on the link ══ receives ── node 2 ── TAP writes ── pod 2
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';

const bytes = 96 << 20;
const port = 5001;

interface Counters {
  /** Calls of the daemon that read or write a file, TAPs above all, and their bytes: proc_pid_io(5). */
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writtenBytes: number;
  /** Datagrams, or trains of them, that went through a socket in one piece: UDP_MIB_OUTDATAGRAMS, UDP_MIB_INDATAGRAMS. */
  readonly sent: number;
  readonly received: number;
  /** On the node's link to the underlay. */
  readonly packetsOut: number;
  readonly packetsIn: number;
}

function counters(pid: number): Counters {
  const io = Object.fromEntries(
    readFileSync(`/proc/${pid}/io`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(': ')),
  );
  const [names = [], values = []] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  const udp = (name: string) => Number(values[names.indexOf(name)]);
  const [, link = ''] = /^\s*under0:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/net/dev`, 'utf8')) ?? [];
  const columns = link.split(/\s+/).map(Number);
  return {
    reads: Number(io.syscr),
    readBytes: Number(io.rchar),
    writes: Number(io.syscw),
    writtenBytes: Number(io.wchar),
    sent: udp('OutDatagrams'),
    received: udp('InDatagrams'),
    packetsIn: columns[1] ?? Number.NaN,
    packetsOut: columns[9] ?? Number.NaN,
  };
}

const difference = (after: Counters, before: Counters): Counters =>
  Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - before[name as keyof Counters]]),
  ) as unknown as Counters;

describeWith([root, tun, command('ethtool')], 'economy of a bulk transfer', () => {
  for (const [offloads, encapsulation] of [
    ['nic', 'geneve'],
    ['nic', 'vxlan'],
    ['none', 'geneve'],
    ['default', 'geneve'],
  ] as const) {
    describe(`${encapsulation}, underlay offloads: ${offloads}`, () => {
      let lab: Lab;
      let client: Traffic;
      let server: Traffic;
      let sender: Counters;
      let receiver: Counters;

      beforeAll(async () => {
        lab = await labUp('--encap', encapsulation, '--underlay-offloads', offloads);
        [client, server] = [trafficIn('ow-pod1'), trafficIn('ow-pod2')];
        await server.listen({ port, mode: 'sink' });
        const before = lab.nodes.map(({ pid }) => counters(pid));
        const transfer = await client.send({ address: lab.pods[1]?.ips[0] ?? '', port, bytes });
        expect(transfer.bytes).toBe(bytes);
        const spent = lab.nodes.map(({ pid }, index) => difference(counters(pid), before[index] as Counters));
        [sender, receiver] = spent as [Counters, Counters];
      });
      afterAll(async () => {
        await client?.[Symbol.asyncDispose]();
        await server?.[Symbol.asyncDispose]();
        await lab?.[Symbol.asyncDispose]();
      });

      it('reads superframes from the sending pod', () => {
        expect(sender.readBytes / sender.reads).toBeGreaterThan(32_000);
      });

      it('sends and writes less than once for 8 KiB', () => {
        expect((sender.sent + sender.writes) / (bytes / 8192)).toBeLessThan(1);
      });

      it(`writes superframes to the receiving pod${offloads === 'none' ? ', joined from single datagrams' : ''}`, () => {
        expect(receiver.writtenBytes / receiver.writes).toBeGreaterThan(offloads === 'none' ? 8_000 : 32_000);
      });

      if (offloads !== 'default') {
        it('sends trains of datagrams', () => {
          expect(sender.packetsOut / sender.sent).toBeGreaterThan(24);
        });
      }

      if (offloads === 'nic') {
        it('receives trains of datagrams', () => {
          expect(receiver.packetsIn / receiver.received).toBeGreaterThan(24);
        });
      }

      if (offloads === 'default') {
        it('hands superframes through the underlay', () => {
          expect(bytes / sender.packetsOut).toBeGreaterThan(32_000);
        });
      }
    });
  }
});
